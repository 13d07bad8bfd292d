// coppice forget: drops snapshots from the lists, by a signed wish in the vault.
#include <algorithm>

#include "cli.h"
#include "foundation/encoding.h"

namespace coppice::cli {

namespace {
constexpr std::string_view kSpace =
    "forget frees no space by itself: what only these snapshots use stays in the vault until it is reclaimed";

struct ForgetOptions {
  std::vector<std::string> snapshots;
  tasks::SnapshotFilter filter;
  bool yes = false, dry_run = false;
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

int run_forget(const Common& common, const ForgetOptions& options, const CLI::App* command) {
  if (options.snapshots.empty() && options.filter.empty())
    return usage(command, "name snapshots, or choose them with --host, --tag or --path");
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
  if (!common.json && (!common.quiet || !options.yes)) {
    for (const auto* snapshot : *chosen) {
      std::string what;
      if (snapshot->body) {
        what = "  " + shown(snapshot->body->host);
        for (const auto& source : snapshot->body->sources) what += "  " + shown(source);
      }
      print(fmt::format("{}  {}{}\n", snapshot->short_id(), render_local(tasks::snapshot_time(*snapshot)), what));
    }
    std::fflush(stdout);
  }
  if (options.dry_run) {
    if (common.json) {
      for (const auto* snapshot : *chosen) emit(describe_snapshot(*snapshot));
      emit({{"type", "summary"}, {"dry_run", true}, {"forgotten", chosen->size()}});
    } else {
      print(fmt::format("dry run: {} of {} snapshots would be forgotten\n", chosen->size(), list->snapshots.size()));
    }
    return kDone;
  }
  if (!options.yes && !confirm(fmt::format("Forget {} of {} snapshots?", chosen->size(), list->snapshots.size()))) {
    return report(common, Error(ErrorKind::kCancelled, "nothing was forgotten"), "--yes does it without asking");
  }
  std::size_t forgotten = 0;
  for (const auto* snapshot : *chosen) {
    if (auto done = opened->vault->forget(*snapshot); !done) {
      return report(common,
                    done.error().within(
                        fmt::format("forgetting {} ({} were forgotten before it)", snapshot->short_id(), forgotten)),
                    done.error().kind() == ErrorKind::kDenied
                        ? "a reader's or the owner's key may forget; a writer's may not"
                        : "");
    }
    ++forgotten;
    if (common.json) emit({{"type", "forgotten"}, {"id", snapshot->id()}});
  }
  if (common.json) {
    emit({{"type", "summary"}, {"dry_run", false}, {"forgotten", forgotten}});
  } else {
    print(fmt::format("{} forgotten, {} left\n", forgotten, list->snapshots.size() - forgotten));
    if (!common.quiet) note(fmt::format("{}.\n", kSpace));
  }
  return kDone;
}
}  // namespace

void add_forget(Cli& cli) {
  CLI::App* command = add_command(cli.app, "forget", "Drop snapshots from the vault's lists",
                                  {"coppice forget 3fa29c 81bd02", "coppice forget --host old-laptop --dry-run",
                                   "coppice forget --tag test --yes", std::string(kSpace)});
  auto options = std::make_shared<ForgetOptions>();
  command->add_option("snapshot", options->snapshots, "SNAP: an id's first digits (four or more), 'latest' or @TIME")
      ->type_name("SNAP")
      ->check(is_whole_snapshot());
  command->add_flag("-y,--yes", options->yes, "Do not ask");
  command->add_flag("-n,--dry-run", options->dry_run, "Show what would be forgotten");
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_forget(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
