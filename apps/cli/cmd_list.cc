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

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string all;
  for (const auto& part : parts) all += (all.empty() ? std::string() : std::string(between)) + part;
  return all;
}

// Columns as wide as their widest cell; the last is not padded. Numbers to the right.
void print_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right) {
  std::vector<std::size_t> widths(right.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string blanks(widths[i] - row[i].size(), ' ');
      line += right[i] ? blanks + row[i] : row[i] + (i + 1 < row.size() ? blanks : "");
    }
    while (line.ends_with(' ')) line.pop_back();
    print(line + "\n");
  }
}

void print_snapshots(const std::vector<const vault::Snapshot*>& snapshots) {
  std::vector<std::vector<std::string>> rows{{"ID", "WHEN", "HOST", "WHAT", "SIZE", "ADDED", "TOOK", "TAGS"}};
  for (const auto* snapshot : snapshots) {
    const auto& body = *snapshot->body;
    rows.push_back({snapshot->short_id(), render_local(body.started), shown(body.host), shown(join(body.sources, " ")),
                    tasks::render_size(body.bytes), tasks::render_size(body.added_stored),
                    tasks::render_seconds(static_cast<double>(body.duration_ms) / 1000), shown(join(body.tags, " "))});
    if (!body.complete) rows.back().back() += rows.back().back().empty() ? "(partial)" : " (partial)";
    if (body.warnings > 0)
      rows.back().back() += fmt::format("{}({} warnings)", rows.back().back().empty() ? "" : " ", body.warnings);
  }
  print_table(rows, {false, false, false, false, true, true, true, false});
}

// What a writer's key can see of them.
void print_sealed(const std::vector<const vault::Snapshot*>& snapshots) {
  std::vector<std::vector<std::string>> rows{{"ID", "WHEN", "SESSION", "SIGNED BY"}};
  for (const auto* snapshot : snapshots) {
    rows.push_back({snapshot->short_id(), render_local(snapshot->commit.claimed_time),
                    fmt::format("{}.{}", snapshot->session.generation, snapshot->session.slot),
                    shown(snapshot->signer_name)});
  }
  print_table(rows, {false, false, false, false});
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
    if (!common.quiet) note("What is in them shows with a reader's key: this one only makes backups.\n");
  } else {
    print_snapshots(*chosen);
  }
  warn_of_bad(common, *list);
  return list->bad.empty() ? kDone : kWarnings;
}
}  // namespace

void add_list(Cli& cli) {
  CLI::App* command =
      add_command(cli.app, "list", "List snapshots, newest last",
                  {"coppice list", "coppice list --host web1 --tag nightly", "coppice list --last 5 --json"});
  auto options = std::make_shared<ListOptions>();
  add_filter_options(command, options->filter);
  command->add_option("-l,--last", options->last, "Only the newest N")->type_name("N")->group("Snapshots");
  command->add_flag("--forgotten", options->forgotten, "Those that were forgotten too")->group("Snapshots");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_list(cli.common, *options); }; });
}

}  // namespace coppice::cli
