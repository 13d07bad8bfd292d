// coppice forget: drops snapshots from the lists, by a signed wish in the vault.
#include <algorithm>

#include "capture/backup.h"
#include "cli.h"
#include "platform/clock.h"

namespace coppice::cli {

namespace {
struct ForgetOptions {
  std::vector<std::string> snapshots;
  tasks::SnapshotFilter filter;
  policy::KeepRules rules;
  std::string within;
  ForgetMode mode;
};

Result<std::vector<const vault::Snapshot*>> choose(const vault::SnapshotList& list, const ForgetOptions& options) {
  if (options.snapshots.empty()) return tasks::filter_snapshots(list, options.filter);
  std::vector<const vault::Snapshot*> chosen;
  for (const auto& text : options.snapshots) {
    const auto ref = TRY(tasks::parse_snapshot_ref(text));
    const auto* found = TRY(tasks::find_snapshot(list, ref, options.filter));
    if (std::find(chosen.begin(), chosen.end(), found) == chosen.end()) chosen.push_back(found);
  }
  return chosen;
}

// What would go although a plan of this host keeps it: a run of the plan would not have forgotten it, and none brings it back.
void tell_of_plans(const Common& common, const vault::SnapshotList& list, const std::vector<const vault::Snapshot*>& going) {
  constexpr std::size_t kNamed = 5;
  const auto plans = read_plans(common);
  if (!plans) return;  // a host without a configuration has none
  for (const policy::Plan& plan : plans->configuration.plans) {
    if (plan.keep.empty()) continue;
    const auto groups = tasks::decide_plan(list, plan, plan.host.empty() ? capture::host_name() : plan.host, platform::system_clock().now());
    if (!groups) continue;  // not with this key
    std::size_t count = 0;
    std::string names;
    for (const auto& group : *groups) {
      for (std::size_t i = 0; i < group.snapshots.size(); ++i) {
        if (!group.verdicts[i].keep || std::find(going.begin(), going.end(), group.snapshots[i]) == going.end()) continue;
        if (++count <= kNamed) names += (count > 1 ? ", " : "") + group.snapshots[i]->short_id();
      }
    }
    if (count > kNamed) names += ", ...";
    if (count == 0) continue;
    const std::string what = fmt::format("the keep rules of plan {} would keep {} of these: {}", plan.name, tasks::render_count(count), names);
    const std::string next = fmt::format("'coppice plan keep {} --dry-run' says what the plan's own rules keep, and each of its runs applies them", plan.name);
    if (common.json) emit({{"type", "notice"}, {"message", what}, {"next_step", next}});
    note(fmt::format("coppice: {}\n  {}\n", what, next));
  }
}

// What the rules say of all that was chosen. They look at hosts and sources, so bodies are needed.
int run_by_rules(const Common& common, const vault::Vault& vault, const vault::SnapshotList& list,
                 const std::vector<const vault::Snapshot*>& chosen, const ForgetOptions& options) {
  if (std::any_of(chosen.begin(), chosen.end(), [](auto* snapshot) { return !snapshot->body; })) {
    return report(common, Error(ErrorKind::kDenied, "keep rules look into snapshots, and the key at hand cannot read them"),
                  "a reader's key reads them: --key-file, --passphrase-file or --recovery-sheet");
  }
  const auto zone = policy::TimeZone::find("");
  if (!zone) return report(common, zone.error());
  const auto groups = tasks::decide_groups(chosen, options.rules, platform::system_clock().now(), *zone);
  std::vector<const vault::Snapshot*> going;
  for (const auto& group : groups)
    for (const auto* snapshot : group.to_forget()) going.push_back(snapshot);
  tell_of_plans(common, list, going);
  return forget_by_rules(common, vault, groups, *zone, options.mode);
}

int run_forget(const Common& common, ForgetOptions& options, const CLI::App* command) {
  if (!options.within.empty()) {
    const auto within = policy::parse_duration(options.within);
    if (!within) return usage(command, "--keep-within: " + within.error().message());
    options.rules.within = *within;
  }
  const bool by_rules = !options.rules.empty();
  if (by_rules && !options.snapshots.empty())
    return usage(command, "keep rules choose from all snapshots (or by --host, --tag, --path): name none with them");
  if (!by_rules && options.snapshots.empty() && options.filter.empty())
    return usage(command, "name snapshots, or choose them with --host, --tag, --path or --keep-...");
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto list = opened->vault->snapshots();
  if (!list) return report(common, list.error());
  auto chosen = choose(*list, options);
  if (!chosen) return report(common, chosen.error(), choosing_hint(chosen.error()));
  if (chosen->empty()) {
    return report(common, Error(ErrorKind::kNotFound, "no snapshot matches; nothing was forgotten"),
                  "'coppice list' shows what is there");
  }
  if (by_rules) return run_by_rules(common, *opened->vault, *list, *chosen, options);
  tell_of_plans(common, *list, *chosen);
  return forget_named(common, *opened->vault, *chosen, list->snapshots.size(), options.mode);
}

constexpr const char* kRulesGroup = "Keep rules (of each host, its sources and the key that signed; what any rule keeps, stays)";

void add_rules(CLI::App* command, ForgetOptions& options) {
  const auto add = [&](const char* name, unsigned& count, const char* what) {
    command->add_option(name, count, what)
        ->type_name("N")
        ->check(is_count())
        ->group(kRulesGroup);
  };
  add("--keep-last", options.rules.last, "Keep the newest N");
  add("--keep-hourly", options.rules.hourly, "Keep the newest of each of N hours");
  add("--keep-daily", options.rules.daily, "Keep the newest of each of N days");
  add("--keep-weekly", options.rules.weekly, "Keep the newest of each of N weeks");
  add("--keep-monthly", options.rules.monthly, "Keep the newest of each of N months");
  add("--keep-yearly", options.rules.yearly, "Keep the newest of each of N years");
  command->add_option("--keep-within", options.within, "Keep all within this time before the newest: 36h, 14d, 8w, 1y")
      ->type_name("TIME")
      ->group(kRulesGroup);
}
}  // namespace

void add_forget(Cli& cli) {
  CLI::App* command = add_command(
      cli.app, "forget", "Drop snapshots from the vault's lists",
      {"coppice forget 3fa29c 81bd02", "coppice forget --host old-laptop --dry-run", "coppice forget --tag test --yes",
       "coppice forget --keep-daily 7 --keep-weekly 4 --dry-run    say why each stays or goes"},
      {.remark = forgetting_remark()});
  auto options = std::make_shared<ForgetOptions>();
  command->add_option("snapshot", options->snapshots, "SNAP: an id's first digits (four or more), 'latest' or @TIME")
      ->type_name("SNAP")
      ->check(is_whole_snapshot());
  add_rules(command, *options);
  command->add_flag("-y,--yes", options->mode.yes, "Do not ask");
  command->add_flag("-n,--dry-run", options->mode.dry_run, "Show what would be forgotten");
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_forget(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
