#include "own_past.h"

#include <map>

#include <fmt/format.h>

#include "vault/last_commit.h"
#include "packs/lists.h"
#include "packs/session.h"
#include "parallel.h"
#include "vault/damaged_packs.h"

namespace coppice::vault {
namespace {

constexpr unsigned kConfirmThreads = 8;
constexpr std::size_t kNamesTold = 5;
constexpr std::uint32_t kWriteFeaturesKnown = 0;   // format 1 has none

struct Sum {
  std::uint64_t packs = 0, bytes = 0;
  bool operator==(const Sum&) const = default;
};

// A pack that must be looked for by name, or read.
struct Suspect {
  format::PackRecord record;
  bool live = false;      // a commit that nobody forgot names it
  bool there = false, mended = false;
};

Result<> list_packs(const Vault& vault, const std::function<void(const format::PackName&, std::uint64_t bytes)>& each) {
  for (const char* prefix : {"packs/", "trees/"})
    TRY(vault.store().list(prefix, [&](const storage::ObjectInfo& object) -> Result<> {
      if (const auto name = format::parse_pack_object(object.name)) each(*name, object.size);
      return {};
    }));
  return {};
}

// The packs of the sessions whose packs the store does not list as the commit sums them up, and those of `damaged`. Nearly always there
// are none: only a session that adopted packs, or lost some, differs. Fills in what is there of sessions that no commit vouches for.
Result<std::vector<Suspect>> find_suspects(const Vault& vault, OwnPast& past, const std::vector<format::SessionId>& others,
                                           const std::vector<format::PackName>& damaged) {
  const auto is_ours = [&](const format::SessionId& session) { return std::ranges::binary_search(past.sessions, session, {}, &OwnPast::Session::id); };
  std::map<format::SessionId, Sum> listed;
  std::vector<format::PackName>& there = past.lost.there;
  TRY(list_packs(vault, [&](const format::PackName& name, std::uint64_t bytes) {
    if (std::ranges::binary_search(others, name.session)) return;
    Sum& sum = listed[name.session];
    ++sum.packs;
    sum.bytes += bytes;
    if (!is_ours(name.session)) there.push_back(name);
  }));
  std::vector<Suspect> suspects;
  std::vector<format::SessionId> unknown;
  for (const OwnPast::Session& session : past.sessions) {
    if (session.packs.packs == 0) continue;
    const bool differs = listed[session.id] != Sum{session.packs.packs, session.packs.bytes};
    // A pack is named by its own session or by a later one that adopted it.
    if (!differs && (damaged.empty() || session.id < damaged.front().session)) continue;
    const Result<> read = packs::read_pack_list(vault.store(), session.packs, [&](const std::vector<format::PackRecord>& records) -> Result<> {
      for (const format::PackRecord& record : records)
        if (differs || std::ranges::binary_search(damaged, record.name)) suspects.push_back({record, !session.forgotten});
      return {};
    });
    if (read) continue;
    past.notices.push_back(fmt::format("the packs of {} cannot be looked for: {}", format::snapshot_object(session.id), read.error().message()));
    if (differs) unknown.push_back(session.id);
  }
  if (!unknown.empty())
    TRY(list_packs(vault, [&](const format::PackName& name, std::uint64_t) {
      if (std::ranges::binary_search(unknown, name.session)) there.push_back(name);
    }));
  for (const OwnPast::Session& session : past.sessions)
    if (!std::ranges::binary_search(unknown, session.id)) past.lost.recorded.push_back(session.id);
  std::ranges::sort(there);
  past.lost.of_the_store = true;
  const auto name = [](const Suspect& suspect) -> const format::PackName& { return suspect.record.name; };
  std::ranges::sort(suspects, [&](const Suspect& a, const Suspect& b) { return name(a) != name(b) ? name(a) < name(b) : a.live > b.live; });
  const auto same = std::ranges::unique(suspects, {}, name);
  suspects.erase(same.begin(), same.end());
  // What a check found damaged, and no commit records, has nobody who could say that it is whole again.
  for (const format::PackName& pack : damaged)
    if (!is_ours(pack.session) && !std::ranges::binary_search(suspects, pack, {}, name)) past.lost.named.push_back(pack);
  return suspects;
}

// A list is a hint: what it has with the right size is taken for there, what it lacks is asked for by name. What a check found damaged is
// read again: it may have been put back since.
Result<> find_lost(const Vault& vault, OwnPast& past, const SnapshotList& all) {
  std::vector<format::SessionId> others;
  for (const Snapshot& snapshot : all.snapshots)
    if (snapshot.signer != vault.keys().member) others.push_back(snapshot.session);
  std::ranges::sort(others);
  std::vector<format::PackName> damaged = remembered_damaged_packs(vault);   // the check looked at every member's packs
  std::erase_if(damaged, [&](const format::PackName& name) { return std::ranges::binary_search(others, name.session); });
  const auto is_damaged = [&](const Suspect& suspect) { return std::ranges::binary_search(damaged, suspect.record.name); };
  std::vector<Suspect> suspects = TRY(find_suspects(vault, past, others, damaged));
  if (suspects.empty()) return {};
  TRY(list_packs(vault, [&](const format::PackName& name, std::uint64_t bytes) {
    const auto it = std::ranges::lower_bound(suspects, name, {}, [](const Suspect& suspect) { return suspect.record.name; });
    if (it != suspects.end() && it->record.name == name && it->record.bytes == bytes && !is_damaged(*it)) it->there = true;
  }));
  std::erase_if(suspects, [](const Suspect& suspect) { return suspect.there; });
  parallel_for(suspects.size(), kConfirmThreads, [&](std::size_t i) {
    Suspect& suspect = suspects[i];
    if (is_damaged(suspect)) {
      if (!suspect.live) return;   // nobody needs it: not worth reading
      const Result<> verified = verify_pack(vault, suspect.record);
      suspect.mended = verified.has_value();
      // What our key or this machine's limits keep from being read is no damage.
      suspect.there = verified || verified.error().kind() == ErrorKind::kDenied || verified.error().kind() == ErrorKind::kExhausted;
      return;
    }
    const Result<std::uint64_t> size = vault.store().size(format::pack_object(suspect.record.name));
    // A store that does not answer has not said that the pack is gone.
    suspect.there = size ? *size == suspect.record.bytes : size.error().kind() != ErrorKind::kNotFound;
  });
  std::string names;
  std::size_t told = 0, live = 0;
  std::vector<format::PackName> mended;
  for (const Suspect& suspect : suspects) {
    if (suspect.mended) mended.push_back(suspect.record.name);
    if (suspect.there) continue;
    past.lost.named.push_back(suspect.record.name);
    past.told.push_back(suspect.record.name);
    if (!suspect.live) continue;
    ++live;
    if (told < kNamesTold) names += (told++ ? ", " : "") + format::pack_object(suspect.record.name);
  }
  forget_damaged_packs(vault, mended);
  if (live > 0)
    past.notices.push_back(fmt::format("{} pack{} of earlier snapshots {} gone from the vault, cut short or damaged: {}{}. What of them the sources still "
                                       "have is stored again; `coppice check --read-data` says what else they cost",
                                       live, live == 1 ? "" : "s", live == 1 ? "is" : "are", names, live > told ? ", ..." : ""));
  return {};
}

// The base is one only if all that it refers to is there.
void judge_previous(const Vault& vault, OwnPast& past) {
  if (!past.previous) return;
  std::vector<format::PackName> gone;
  const Result<> read = packs::read_reference_list(vault.store(), past.previous->commit.list_root, [&](const format::ReferenceSet& set) -> Result<> {
    for (const auto& [pack, blocks] : set.packs()) {
      if (!past.lost.contains(pack)) continue;
      const bool there = !std::ranges::binary_search(past.lost.named, pack) && vault.store().size(format::pack_object(pack));   // a list is a hint
      if (there) past.lost.there.insert(std::ranges::lower_bound(past.lost.there, pack), pack);
      else gone.push_back(pack);
    }
    return {};
  });
  past.previous_usable = read && gone.empty();
  std::erase_if(gone, [&](const format::PackName& pack) { return std::ranges::binary_search(past.told, pack); });
  if (gone.empty()) return;
  past.notices.push_back(fmt::format("{} pack{} that {} refers to (the first: {}) {} gone from the vault or damaged, and no valid commit records {}. What of "
                                     "{} the sources still have is stored again; `coppice check` says more",
                                     gone.size(), gone.size() == 1 ? "" : "s", format::snapshot_object(past.previous->session), format::pack_object(gone.front()),
                                     gone.size() == 1 ? "is" : "are", gone.size() == 1 ? "it" : "them", gone.size() == 1 ? "it" : "them"));
}

const Snapshot* newest_in(const SnapshotList& list, const format::MemberId& writer, const format::Digest& lineage) {
  const Snapshot* newest = nullptr;
  for (const Snapshot& snapshot : list.snapshots)
    if (snapshot.signer == writer && snapshot.commit.lineage == lineage && (!newest || snapshot.commit.sequence > newest->commit.sequence)) newest = &snapshot;
  return newest;
}

}  // namespace

Result<std::optional<Snapshot>> newest_of(const Vault& vault, const format::Digest& lineage) {
  SnapshotList list = TRY(vault.snapshots(true));
  (void)find_last_commit(vault, lineage, list);
  const Snapshot* newest = newest_in(list, vault.keys().member, lineage);
  return newest ? std::optional<Snapshot>(*newest) : std::nullopt;
}

Result<OwnPast> look_back(const Vault& vault, const format::Digest& lineage) {
  OwnPast past;
  SnapshotList list = TRY(vault.snapshots(true));
  if (auto notice = find_last_commit(vault, lineage, list)) past.notices.push_back(std::move(*notice));
  for (const BadSnapshot& bad : list.bad)
    if (bad.object.starts_with("snapshots/")) past.notices.push_back(bad.error.message());

  std::vector<format::RunRecord> superseded;
  for (const Snapshot& snapshot : list.snapshots) {
    const format::Commit& commit = snapshot.commit;
    if (const std::uint32_t unknown = commit.write_features & ~kWriteFeaturesKnown)
      return fail(ErrorKind::kUnsupported,
                  fmt::format("{}: writing to a vault that holds it takes features (bits {:#x}) that this program (format {}) does not have",
                              format::snapshot_object(snapshot.session), unknown, format::kFormatVersion));
    past.after = std::max(past.after, packs::session_after(snapshot.session));
    if (snapshot.signer != vault.keys().member) continue;
    past.sessions.push_back({snapshot.session, commit.packs, snapshot.forgotten});
    past.runs.insert(past.runs.end(), commit.runs.begin(), commit.runs.end());
    superseded.insert(superseded.end(), commit.superseded.begin(), commit.superseded.end());
  }
  std::ranges::sort(past.sessions, {}, &OwnPast::Session::id);
  std::ranges::sort(superseded);
  std::erase_if(past.runs, [&](const format::RunRecord& run) { return std::ranges::binary_search(superseded, run); });
  if (const Snapshot* previous = newest_in(list, vault.keys().member, lineage)) past.previous = *previous;
  TRY(within(find_lost(vault, past, list), "looking for the packs of earlier snapshots"));
  std::ranges::sort(past.lost.named);
  judge_previous(vault, past);
  return past;
}

std::vector<format::PackName> committed_among(const Vault& vault, const OwnPast& past, const std::vector<format::PackName>& names) {
  std::vector<format::PackName> committed;
  if (names.empty()) return committed;
  // A pack is named by its own session or by a later one that adopted it. Where a list cannot be read, a pack may come to be named twice,
  // which costs nobody anything.
  for (auto it = std::ranges::lower_bound(past.sessions, names.front().session, {}, &OwnPast::Session::id); it != past.sessions.end(); ++it)
    (void)packs::read_pack_list(vault.store(), it->packs, [&](const std::vector<format::PackRecord>& records) -> Result<> {
      for (const format::PackRecord& record : records)
        if (std::ranges::binary_search(names, record.name)) committed.push_back(record.name);
      return {};
    });
  std::ranges::sort(committed);
  return committed;
}

}  // namespace coppice::vault
