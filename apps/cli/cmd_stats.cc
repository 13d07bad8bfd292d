// coppice stats: what the vault holds, and what it costs.
#include <map>

#include "cli.h"
#include "keys/roster.h"

namespace coppice::cli {

namespace {
struct Kind {
  std::string_view prefix, name;
  std::uint64_t objects = 0, bytes = 0;
};

int run_stats(const Common& common) {
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto list = opened->vault->snapshots();
  if (!list) return report(common, list.error());
  warn_of_bad(common, *list);
  Kind kinds[] = {{"packs/", "data packs"},
                  {"trees/", "tree packs"},
                  {"index/", "index runs"},
                  {"lists/", "reference lists"},
                  {"", "everything else"}};
  std::uint64_t stored = 0;
  const auto listed = opened->store->list("", [&](const storage::ObjectInfo& object) -> Result<> {
    for (Kind& kind : kinds) {
      if (!object.name.starts_with(kind.prefix)) continue;
      ++kind.objects;
      kind.bytes += object.size;
      break;
    }
    stored += object.size;
    return {};
  });
  if (!listed) return report(common, listed.error());
  std::uint64_t logical = 0, files = 0, readable = 0;
  for (const auto& snapshot : list->snapshots) {
    if (!snapshot.body) continue;
    ++readable;
    logical += snapshot.body->bytes;
    files += snapshot.body->files;
  }
  const vault::Snapshot* oldest = list->snapshots.empty() ? nullptr : &list->snapshots.front();
  const vault::Snapshot* newest = list->snapshots.empty() ? nullptr : &list->snapshots.back();
  std::size_t living = 0;
  for (const auto& member : opened->vault->roster().members) living += keys::is_living(member);
  if (common.json) {
    Json objects = Json::object();
    for (const Kind& kind : kinds) objects[std::string(kind.name)] = {{"objects", kind.objects}, {"bytes", kind.bytes}};
    Json out{{"type", "stats"},
             {"snapshots", list->snapshots.size()},
             {"snapshots_readable", readable},
             {"files", files},
             {"logical_bytes", logical},
             {"stored_bytes", stored},
             {"objects", objects},
             {"keys", living},
             {"epochs", opened->vault->roster().epochs.size()}};
    if (oldest) out["oldest"] = render_utc(tasks::snapshot_time(*oldest));
    if (newest) out["newest"] = render_utc(tasks::snapshot_time(*newest));
    emit(out);
    return kDone;
  }
  print(fmt::format("snapshots        {}\n", list->snapshots.size()));
  if (oldest)
    print(fmt::format("oldest, newest   {}, {}\n", render_local(tasks::snapshot_time(*oldest)),
                      render_local(tasks::snapshot_time(*newest))));
  if (readable < list->snapshots.size())
    print(fmt::format("                 {} of them cannot be read with this key and are not counted below\n",
                      list->snapshots.size() - readable));
  print(fmt::format("in all of them   {} files, {}\n", files, tasks::render_size(logical)));
  print(fmt::format("stored           {}{}\n", tasks::render_size(stored),
                    stored > 0 && logical > 0
                        ? fmt::format(", {:.1f} times less", static_cast<double>(logical) / static_cast<double>(stored))
                        : ""));
  for (const Kind& kind : kinds)
    print(fmt::format("  {:<15}{:>10} in {} objects\n", kind.name, tasks::render_size(kind.bytes), kind.objects));
  print(fmt::format("keys             {} holders, {} epoch{}\n", living, opened->vault->roster().epochs.size(),
                    opened->vault->roster().epochs.size() == 1 ? "" : "s"));
  return kDone;
}
}  // namespace

void add_stats(Cli& cli) {
  CLI::App* command = add_command(cli.app, "stats", "Show what the vault holds and what it costs",
                                  {"coppice stats", "coppice stats --json"});
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli] { cli.action = [&cli] { return run_stats(cli.common); }; });
}

}  // namespace coppice::cli
