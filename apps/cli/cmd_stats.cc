// coppice stats: what the vault holds, for whom, and what it costs.
#include <map>

#include "cli.h"
#include "foundation/encoding.h"
#include "foundation/time.h"
#include "keys/key_file.h"
#include "keys/roster.h"
#include "tasks/snapshot_table.h"

namespace coppice::cli {

namespace {
// Where the bytes lie. An object belongs to the first kind whose prefix it has.
struct Kind {
  std::string_view prefix, json_name, name;
  std::uint64_t objects = 0, bytes = 0;
};

struct Host {
  std::uint64_t snapshots = 0, added_stored = 0;
  const vault::Snapshot* oldest = nullptr;
  const vault::Snapshot* newest = nullptr;
};

struct Totals {
  std::uint64_t logical = 0, files = 0, readable = 0, stored = 0, keys = 0;
  std::map<std::string, Host> hosts;
  const vault::Snapshot* oldest = nullptr;
  const vault::Snapshot* newest = nullptr;
};

void count_snapshots(const vault::SnapshotList& list, Totals& totals) {
  const auto earlier = [](const vault::Snapshot* a, const vault::Snapshot& b) {
    return a && tasks::snapshot_time(*a) <= tasks::snapshot_time(b);
  };
  for (const auto& snapshot : list.snapshots) {
    if (!earlier(totals.oldest, snapshot)) totals.oldest = &snapshot;
    if (!totals.newest || earlier(totals.newest, snapshot)) totals.newest = &snapshot;
    if (!snapshot.body) continue;
    ++totals.readable;
    totals.logical += snapshot.body->bytes;
    totals.files += snapshot.body->files;
    Host& host = totals.hosts[snapshot.body->host];
    ++host.snapshots;
    host.added_stored += snapshot.body->added_stored;
    if (!earlier(host.oldest, snapshot)) host.oldest = &snapshot;
    if (!host.newest || earlier(host.newest, snapshot)) host.newest = &snapshot;
  }
}

void emit_stats(const tasks::OpenedVault& opened, const vault::SnapshotList& list, const Totals& totals,
                const std::vector<Kind>& kinds, const Result<std::uint64_t>& free_bytes) {
  const auto time_of = [](const vault::Snapshot& snapshot) { return render_time_json(tasks::snapshot_time(snapshot)); };
  Json out{{"type", "stats"}, {"vault_id", hex(opened.vault->id())}};
  put_path(out, "location", opened.location);
  out.update({{"fingerprint", keys::render_fingerprint(opened.vault->keys().anchor())},
              {"snapshots", list.snapshots.size()},
              {"snapshots_readable", totals.readable},
              {"files", totals.files},
              {"bytes", totals.logical},
              {"stored_bytes", totals.stored}});
  if (free_bytes) out["free_bytes"] = *free_bytes;
  out["objects"] = Json::object();
  for (const Kind& kind : kinds)
    out["objects"][std::string(kind.json_name)] = {{"objects", kind.objects}, {"bytes", kind.bytes}};
  out["hosts"] = Json::array();
  for (const auto& [name, host] : totals.hosts) {
    Json one;
    put_path(one, "host", name);
    one.update({{"snapshots", host.snapshots},
                {"oldest", time_of(*host.oldest)},
                {"newest", time_of(*host.newest)},
                {"bytes", host.newest->body->bytes},
                {"added_stored", host.added_stored}});
    out["hosts"].push_back(one);
  }
  out["keys"] = totals.keys;
  out["epochs"] = opened.vault->roster().epochs.size();
  if (totals.oldest) out["oldest"] = time_of(*totals.oldest);
  if (totals.newest) out["newest"] = time_of(*totals.newest);
  emit(out);
}

void print_stats(const tasks::OpenedVault& opened, const vault::SnapshotList& list, const Totals& totals,
                 const std::vector<Kind>& kinds, const Result<std::uint64_t>& free_bytes) {
  const auto line = [](std::string_view name, const std::string& value) {
    print(fmt::format("{:<12} {}\n", name, value));
  };
  line("vault", fmt::format("{}, fingerprint {}", shown(opened.location),
                            keys::render_fingerprint(opened.vault->keys().anchor())));
  if (totals.newest) {
    line("snapshots", fmt::format("{}, from {} to {}", tasks::render_count(list.snapshots.size()),
                                  render_local(tasks::snapshot_time(*totals.oldest)),
                                  render_local(tasks::snapshot_time(*totals.newest))));
  } else {
    line("snapshots", "none yet");
  }
  if (totals.readable > 0 && totals.readable < list.snapshots.size()) {
    line("", fmt::format("{} of them cannot be read with this key and are not counted below",
                         tasks::render_count(list.snapshots.size() - totals.readable)));
  }
  if (totals.readable == 0 && totals.newest)
    line("hold", fmt::format("not known: a {}'s key cannot read them", keys::role_name(opened.vault->keys().role)));
  else
    line("hold", fmt::format("{}, {}", tasks::render_count(totals.files, "file"), tasks::render_size(totals.logical)));
  const double ratio = totals.stored > 0 ? static_cast<double>(totals.logical) / static_cast<double>(totals.stored) : 0;
  line("stored", tasks::render_size(totals.stored) + (ratio > 1 ? fmt::format(", {:.1f} times less", ratio) : ""));
  for (const Kind& kind : kinds) {
    line("", fmt::format("{:>8} of {} ({})", tasks::render_size(kind.bytes), kind.name, tasks::render_count(kind.objects, "object")));
  }
  if (free_bytes) line("free", fmt::format("{} where the vault lies", tasks::render_size(*free_bytes)));
  const std::size_t epochs = opened.vault->roster().epochs.size();
  line("keys", fmt::format("{}, {}", tasks::render_count(totals.keys, "holder"), tasks::render_count(epochs, "data key")));
  if (totals.hosts.empty()) return;
  std::vector<std::vector<std::string>> rows{{"HOST", "SNAPSHOTS", "OLDEST", "NEWEST", "NEWEST HOLDS", "ALL ADDED"}};
  for (const auto& [name, host] : totals.hosts) {
    rows.push_back({shown(name), tasks::render_count(host.snapshots), render_local(tasks::snapshot_time(*host.oldest)),
                    render_local(tasks::snapshot_time(*host.newest)), tasks::render_size(host.newest->body->bytes),
                    tasks::render_size(host.added_stored)});
  }
  print("\n" + tasks::render_table(rows, {false, true, false, false, true, true}, terminal_columns(), {{0, 16}, {2, 16, true}, {3, 16, true}, {2, 0}, {3, 10, true}, {0, 8}}));
}

int run_stats(const Common& common) {
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto list = opened->vault->snapshots();
  if (!list) return report(common, list.error());
  warn_of_bad(common, *list);
  std::vector<Kind> kinds{{"packs/", "data_packs", "data"},
                          {"trees/", "tree_packs", "trees"},
                          {"index/", "index_runs", "indexes"},
                          {"lists/", "reference_lists", "reference lists"},
                          {"", "other", "snapshots, keys and the rest"}};
  Totals totals;
  const auto listed = opened->store->list("", [&](const storage::ObjectInfo& object) -> Result<> {
    for (Kind& kind : kinds) {
      if (!object.name.starts_with(kind.prefix)) continue;
      ++kind.objects;
      kind.bytes += object.size;
      break;
    }
    totals.stored += object.size;
    return {};
  });
  if (!listed) return report(common, listed.error());
  count_snapshots(*list, totals);
  for (const auto& member : opened->vault->roster().members) totals.keys += keys::is_living(member);
  const auto free_bytes = opened->store->free_bytes();
  if (common.json)
    emit_stats(*opened, *list, totals, kinds, free_bytes);
  else
    print_stats(*opened, *list, totals, kinds, free_bytes);
  return list->bad.empty() ? kDone : kWarnings;
}
}  // namespace

void add_stats(Cli& cli) {
  CLI::App* command = add_command(cli.app, "stats", "Show what the vault holds, for which hosts, and what it costs",
                                  {"coppice stats", "coppice stats --json | jq .stored_bytes"},
                                  {.remark = "For each host, NEWEST HOLDS is the size of its newest snapshot alone, and ALL ADDED what all its snapshots added to the vault."});
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli] { cli.action = [&cli] { return run_stats(cli.common); }; });
}

}  // namespace coppice::cli
