// coppice list: the snapshots, newest last.
#include <algorithm>

#include "cli.h"
#include "foundation/encoding.h"
#include "foundation/time.h"

namespace coppice::cli {

namespace {
struct ListOptions {
  tasks::SnapshotFilter filter;
  bool forgotten = false;
  std::size_t last = 0;
};

// What a writer's key can see of them. When a run began stands inside, the commit says when it was done.
void print_sealed(const std::vector<const vault::Snapshot*>& snapshots) {
  std::vector<std::vector<std::string>> rows{{"ID", "FINISHED", "SESSION", "SIGNED BY", ""}};
  for (const auto* snapshot : snapshots) {
    rows.push_back({snapshot->short_id(), render_local(snapshot->commit.claimed_time),
                    fmt::format("{}.{}", snapshot->session.generation, snapshot->session.slot),
                    shown(snapshot->signer_name), snapshot->forgotten ? "(forgotten)" : ""});
  }
  print(tasks::render_table(rows, {false, false, false, false, false}));
}

int run_list(const Common& common, const ListOptions& options) {
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto list = opened->vault->snapshots(options.forgotten);
  if (!list) return report(common, list.error());
  auto chosen = tasks::filter_snapshots(*list, options.filter);
  if (!chosen) return report(common, chosen.error(), choosing_hint(chosen.error()));
  if (options.last > 0 && chosen->size() > options.last)
    chosen->erase(chosen->begin(), chosen->end() - static_cast<std::ptrdiff_t>(options.last));
  const bool sealed = std::any_of(chosen->begin(), chosen->end(), [](auto* snapshot) { return !snapshot->body; });
  if (common.json) {
    for (const auto* snapshot : *chosen) emit(describe_snapshot(*snapshot));
  } else if (chosen->empty()) {
    if (!common.quiet)
      note(options.filter.empty() ? "There is no snapshot in this vault yet.\n" : "No snapshot matches.\n");
  } else if (sealed) {
    print_sealed(*chosen);
    if (!common.quiet) {
      note(fmt::format("What is in them shows with a reader's key: this one {}.\n",
                       opened->vault->keys().can_write() ? "only makes backups" : "looks after the store only"));
    }
  } else {
    print(tasks::render_snapshots(*chosen, terminal_columns(), shown));
  }
  warn_of_bad(common, *list);
  return list->bad.empty() ? kDone : kWarnings;
}
}  // namespace

void add_list(Cli& cli) {
  CLI::App* command =
      add_command(cli.app, "list", "List snapshots, newest last",
                  {"coppice list", "coppice list --host web1 --tag nightly", "coppice list --last 5 --json"},
                  {.remark = "ADDED is what the snapshot added to the vault, by interrupted runs that it went on from too; TOOK is how long the run took that made it."});
  auto options = std::make_shared<ListOptions>();
  add_filter_options(command, options->filter);
  command->add_option("--last", options->last, "Only the newest N")
      ->type_name("N")
      ->check(is_count())
      ->group("Snapshots");
  command->add_flag("--forgotten", options->forgotten, "Those that were forgotten too")->group("Snapshots");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_list(cli.common, *options); }; });
}

}  // namespace coppice::cli
