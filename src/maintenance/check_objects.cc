// What lies in the store and nothing names: debris of runs that were killed, and strangers. Worth knowing, harmless.

#include <fmt/format.h>

#include <charconv>

#include "check_internal.h"
#include "foundation/encoding.h"
#include "keys/roster.h"

namespace coppice::maintenance {
namespace {

constexpr std::size_t kSamplesMax = 5;

// Things of one sort, told in one line.
struct Pile {
  std::uint64_t count = 0, bytes = 0;
  std::vector<std::string> samples;
  void add(const storage::ObjectInfo& object) {
    ++count;
    bytes += object.size;
    if (samples.size() < kSamplesMax) samples.push_back(object.name);
  }
};

void tell(CheckRun& run, const Pile& pile, std::string_view one, std::string_view many, std::string_view why) {
  if (pile.count == 0) return;
  std::string names;
  for (const std::string& sample : pile.samples) names += (names.empty() ? "" : ", ") + render_printable(sample);
  if (pile.count > pile.samples.size()) names += ", ...";
  run.inform(pile.samples.front(),
             fmt::format("{} {} ({} bytes) {}: {}", pile.count, pile.count == 1 ? one : many, pile.bytes, why, names));
}

bool is_index_in_use(const CheckRun& run, std::string_view name, bool& is_index) {
  // index/<g>/<k>/<n>: parsed by trying, since a run's name is only ever made, never read.
  std::array<std::uint32_t, 3> parts{};
  std::string_view rest = name.substr(std::string_view("index/").size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), parts[i]);
    if (error != std::errc{}) return false;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (i < 2 && !rest.starts_with('/')) return false;
    if (i < 2) rest.remove_prefix(1);
  }
  const format::SessionId session{parts[0], parts[1]};
  is_index = rest.empty() && format::index_object(session, parts[2]) == name;
  return is_index && run.runs.contains({session, parts[2]});
}

bool is_control_object(const CheckRun& run, const std::string& name) {
  if (name == format::kVaultObject || name == format::plan_object(0) || name == format::seal_object(0)) return true;
  if (name.starts_with("roster/")) {
    for (std::uint32_t i = 0; i <= run.vault.roster().version; ++i)
      if (name == format::roster_object(i)) return true;
    return false;
  }
  if (name.starts_with("keys/"))
    return std::ranges::any_of(run.vault.roster().members,
                               [&](const format::Member& m) { return name.starts_with(format::key_object(m.id)); });
  if (name.starts_with("snapshots/")) return format::parse_snapshot_object(name).has_value();
  if (name.starts_with("forgets/")) return format::parse_forget_object(name).has_value();
  return name.starts_with("generations/") && format::parse_slot_object(name).has_value();
}

bool is_list_in_use(const CheckRun& run, const std::string& name, bool& is_list) {
  const auto hash = parse_hex(std::string_view(name).substr(std::string_view("lists/").size()));
  is_list = hash && hash->size() == 32;
  return is_list && run.list_pages.contains(load_le<std::uint64_t>(*hash));
}

}  // namespace

Result<> check_objects(CheckRun& run, const Part& part, const PackTable& table) {
  run.progress.phase = CheckPhase::kObjects;
  const bool first = part.index == 0;
  Pile packs, runs, lists, strangers;
  TRY(run.vault.store().list("", [&](const storage::ObjectInfo& object) -> Result<> {
    if (run.cancel.cancelled()) return fail(ErrorKind::kCancelled, "the check was cancelled");
    const std::string& name = object.name;
    bool known = false;
    if (name.starts_with("packs/") || name.starts_with("trees/")) {
      const auto pack = format::parse_pack_object(name);
      known = pack.has_value();
      if (known && run.pack_lists_complete && part.covers(*pack) && !table.find(*pack)) packs.add(object);
    } else if (name.starts_with("index/")) {
      const bool used = is_index_in_use(run, name, known);
      if (first && known && !used) runs.add(object);
    } else if (name.starts_with("lists/")) {
      const bool used = is_list_in_use(run, name, known);
      if (first && known && !used && run.list_pages_complete) lists.add(object);
    } else {
      known = is_control_object(run, name);
    }
    if (first && !known) strangers.add(object);
    return {};
  }));
  constexpr std::string_view kDebris = "of no snapshot, left by a run that did not finish (or made by one under way)";
  tell(run, packs, "pack", "packs", kDebris);
  tell(run, runs, "index run", "index runs", kDebris);
  tell(run, lists, "list page", "list pages", kDebris);
  tell(run, strangers, "object", "objects", "that no vault of this format has");
  if (first && !run.list_pages_complete)
    run.report.not_checked.push_back("There are too many list pages to know which of them are left over.");
  if (first && !run.pack_lists_complete)
    run.report.not_checked.push_back(
        "A list of packs cannot be read, so the packs that stand only there were not looked at, and which packs are left over is not known.");
  std::uint64_t unfinished = 0;
  for (const format::SessionId session : run.claims)
    if (!std::ranges::binary_search(run.snapshots, session, {}, &SnapshotNote::session) &&
        !std::ranges::binary_search(run.bad_snapshots, session))
      ++unfinished;
  if (first && unfinished > 0)
    run.inform("generations/", fmt::format("{} session{} without a snapshot: broken off, or under way", unfinished,
                                           unfinished == 1 ? "" : "s"));
  if (first) run.report.list_pages = run.list_pages.size();
  return {};
}

}  // namespace coppice::maintenance
