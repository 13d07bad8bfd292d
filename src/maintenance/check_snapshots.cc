// Commits, forgets, claims and index runs: everything that hangs on a session's name.
//
// The list of snapshots is a hint. What a commit says about the one before it in its lineage is evidence: a snapshot
// that was removed behind everybody's back is missed by its successor.

#include <fmt/format.h>

#include <map>

#include "check_internal.h"
#include "crypto/hash.h"
#include "format/index.h"
#include "keys/roster.h"
#include "vault/last_commit.h"

namespace coppice::maintenance {
namespace {

using format::SessionId;

constexpr std::size_t kWindow = 64;  // commits held at once
constexpr std::size_t kRunReadBytes = 1u << 20;

// What one commit brings to the check, taken out of it at once so that the commit need not be kept.
struct Visit {
  Result<SnapshotNote> note = fail(ErrorKind::kNotFound, "");
  std::vector<format::Digest> pack_pages;
  std::vector<format::RunRecord> runs, superseded;
};

Visit visit_session(CheckRun& run, SessionId session) {
  Visit visit;
  Result<vault::Snapshot> snapshot = run.vault.snapshot(session);
  if (!snapshot) {
    visit.note = std::unexpected(std::move(snapshot).error());
    return visit;
  }
  const format::Commit& commit = snapshot->commit;
  SnapshotNote note{.session = session,
                    .hash = snapshot->commit_hash,
                    .signer = snapshot->signer,
                    .sequence = commit.sequence,
                    .previous_session = commit.previous_session,
                    .previous = commit.previous,
                    .packs = commit.packs.packs};
  const auto forgotten = run.vault.is_forgotten(session, note.hash);
  const std::string forget_name = format::forget_object(session);
  if (!forgotten && forgotten.error().kind() == ErrorKind::kDenied)
    run.inform(forget_name, "not honoured: " + forgotten.error().message());
  else if (!forgotten)
    run.damage(forget_name, forgotten.error());
  note.forgotten = forgotten.value_or(false);
  visit.note = note;
  visit.pack_pages = std::move(snapshot->commit.packs.pages);
  visit.runs = std::move(snapshot->commit.runs);
  visit.superseded = std::move(snapshot->commit.superseded);
  run.progress.snapshots += 1;
  return visit;
}

struct Runs {
  std::map<std::pair<SessionId, std::uint32_t>, format::RunRecord> records;
  std::set<std::pair<SessionId, std::uint32_t>> superseded;
};

// How many packs there may be decides how often the vault is gone over. What a commit says of that is a claim; a page that lies in the
// store is evidence.
Result<> weigh_pages(CheckRun& run, const std::vector<format::Digest>& fresh) {
  std::atomic<std::uint64_t> packs{0};
  TRY(run.in_parallel(fresh.size(), kFetchThreads, [&](std::size_t i) {
    if (const auto size = run.vault.store().size(format::list_object(fresh[i])))
      packs += std::min<std::uint64_t>(*size / format::kPackRecordBytesMin, format::kPackPageRecordsMax);
  }));
  run.packs_max += packs;
  return {};
}

Result<> visit_all(CheckRun& run, const std::vector<SessionId>& sessions, Runs& runs) {
  for (std::size_t begin = 0; begin < sessions.size(); begin += kWindow) {
    const std::size_t count = std::min(kWindow, sessions.size() - begin);
    std::vector<Visit> visits(count);
    TRY(run.in_parallel(count, kFetchThreads,
                        [&](std::size_t i) { visits[i] = visit_session(run, sessions[begin + i]); }));
    std::vector<format::Digest> fresh;
    for (std::size_t i = 0; i < count; ++i) {
      Visit& visit = visits[i];
      for (const format::Digest& page : visit.pack_pages)
        if (run.pack_pages.insert(page).second) fresh.push_back(page);
      if (!visit.note) {
        run.damage(format::snapshot_object(sessions[begin + i]), visit.note.error());
        run.bad_snapshots.push_back(sessions[begin + i]);
        continue;
      }
      run.snapshots.push_back(*visit.note);
      for (const format::RunRecord& record : visit.runs)
        runs.records.emplace(std::pair(record.session, record.number), record);
      for (const format::RunRecord& record : visit.superseded) runs.superseded.emplace(record.session, record.number);
    }
    TRY(weigh_pages(run, fresh));
  }
  std::ranges::sort(run.snapshots, {}, &SnapshotNote::session);
  std::ranges::sort(run.bad_snapshots);
  return {};
}

Result<std::vector<SessionId>> listed_sessions(CheckRun& run) {
  std::vector<SessionId> sessions;
  TRY(run.vault.store().list("snapshots/", [&](const storage::ObjectInfo& object) -> Result<> {
    if (const auto session = format::parse_snapshot_object(object.name)) sessions.push_back(*session);
    return {};  // other names are check_objects' business
  }));
  std::ranges::sort(sessions);
  sessions.erase(std::ranges::unique(sessions).begin(), sessions.end());
  return sessions;
}

// Follows every lineage backwards. A predecessor that the list left out is looked for by name, and visited when it is
// there.
Result<> check_lineages(CheckRun& run, Runs& runs) {
  std::set<SessionId> looked_for;
  while (true) {
    std::vector<SessionId> found;
    for (const SnapshotNote& note : run.snapshots) {
      if (note.sequence <= 1 || note.previous == format::Digest{}) continue;
      const std::string name = format::snapshot_object(note.previous_session);
      if (const SnapshotNote* before = find_note(run, note.previous_session)) {
        if (before->hash == note.previous) continue;
        if (const auto id = run.damage(name, ErrorKind::kUnauthentic,
                                       fmt::format("{} follows another commit of that name: it was replaced",
                                                   format::snapshot_object(note.session))))
          run.findings.touch_snapshot(*id, note.session);
        continue;
      }
      if (std::ranges::binary_search(run.bad_snapshots, note.previous_session)) continue;  // there, bad, and told
      if (!looked_for.insert(note.previous_session).second) continue;
      const auto size = run.vault.store().size(name);
      if (size) {
        found.push_back(note.previous_session);
        continue;
      }
      // Reclaim removes what was forgotten; then its forget may be gone as well as the commit, but never without one
      // having been.
      if (size.error().kind() == ErrorKind::kNotFound && run.vault.is_forgotten(note.previous_session, note.previous).value_or(false)) continue;
      if (const auto id = run.damage(name, size.error().kind(),
                                     fmt::format("it is missing, though {} follows it and no forget names it",
                                                 format::snapshot_object(note.session))))
        run.findings.touch_snapshot(*id, note.previous_session);
    }
    if (found.empty()) return {};
    TRY(visit_all(run, found, runs));
  }
}

// ---- claims ----

// Who signed it.
Result<format::MemberId> read_claim(const CheckRun& run, SessionId session) {
  const Bytes bytes = TRY(run.vault.store().get(format::slot_object(session), format::kControlObjectBytesMax));
  const keys::Signed opened =
      TRY(keys::verify_envelope(format::kClaimMagic, bytes, run.vault.keys().anchor(), run.vault.roster(), session));
  const format::Claim claim = TRY(format::decode_claim(opened.body));
  if (claim.session != session)
    return fail(ErrorKind::kUnauthentic, fmt::format("it is a copy of {}", format::slot_object(claim.session)));
  return opened.signer;
}

void check_claim(CheckRun& run, SessionId session) {
  const std::string object = format::slot_object(session);
  const auto verify = [&]() -> Result<> {
    const format::MemberId signer = TRY(read_claim(run, session));
    const SnapshotNote* note = find_note(run, session);
    if (note && note->signer != signer)
      return fail(ErrorKind::kUnauthentic, fmt::format("{} was signed by another member than claimed the session",
                                                       format::snapshot_object(session)));
    return {};
  };
  const Result<> verified = verify();
  if (verified) return;
  if (verified.error().kind() == ErrorKind::kDenied)   // whole, and orders the sessions like any other; a commit there would be void
    run.inform(object, "claimed by a key that was being removed: " + verified.error().message());
  else
    run.damage(object, verified.error());
}

Result<> check_claims(CheckRun& run) {
  TRY(run.vault.store().list("generations/", [&](const storage::ObjectInfo& object) -> Result<> {
    if (const auto session = format::parse_slot_object(object.name)) run.claims.insert(*session);
    return {};
  }));
  for (const SnapshotNote& note : run.snapshots) run.claims.insert(note.session);
  const std::vector<SessionId> sessions(run.claims.begin(), run.claims.end());
  return run.in_parallel(sessions.size(), kFetchThreads, [&](std::size_t i) { check_claim(run, sessions[i]); });
}

// ---- index runs ----

// False: it is damaged.
bool check_run(CheckRun& run, const format::RunRecord& record, bool superseded) {
  const std::string object = format::index_object(record.session, record.number);
  const auto verify = [&]() -> Result<> {
    storage::ObjectStore& store = run.vault.store();
    const std::uint64_t size = TRY(store.size(object));
    if (size != record.bytes)
      return fail(ErrorKind::kCorrupt, fmt::format("the index run is {} bytes long instead of {}", size, record.bytes));
    Bytes head(std::min<std::uint64_t>(size, format::kIndexHeaderBytes));
    TRY(store.get_range(object, 0, head));
    const format::IndexHeader header = TRY(format::decode_index_header(head));
    const auto another = [] { return fail(ErrorKind::kCorrupt, "the index run is not the one that its commit names"); };
    if (header.session != record.session || header.number != record.number || header.entries != record.entries || header.entries == 0 ||
        format::index_page_offset(header, format::index_pages(header)) != size)
      return another();
    Bytes directory(format::index_directory_bytes(header));
    TRY(store.get_range(object, head.size(), directory));
    if (crypto::sha256({ByteSpan(head), ByteSpan(directory)}) != record.hash) return another();
    Bytes window;
    const std::uint32_t pages = format::index_pages(header);
    for (std::uint32_t begin = 0; begin < pages;) {
      std::uint32_t end = begin + 1;
      const std::uint64_t at = format::index_page_offset(header, begin);
      while (end < pages && format::index_page_offset(header, end + 1) - at <= kRunReadBytes) ++end;
      window.resize(format::index_page_offset(header, end) - at);
      TRY(store.get_range(object, at, window));
      for (; begin < end; ++begin) {
        const ByteSpan page = ByteSpan(window).subspan(format::index_page_offset(header, begin) - at, format::index_page_bytes(header, begin));
        if (!equal(crypto::sha256(page), ByteSpan(directory).subspan(std::size_t{begin} * 32, 32)))
          return fail(ErrorKind::kCorrupt, fmt::format("page {} of the index run is not the one that its commit names", begin));
      }
    }
    return {};
  };
  const Result<> verified = verify();
  if (verified) return true;
  if (superseded && verified.error().kind() == ErrorKind::kNotFound) return true;  // its entries stand in another one
  if (const auto id =
          run.damage(object, Error(verified.error()).within("no data is lost, but duplicates may be stored")))
    run.findings.touch_snapshot(*id, record.session);
  return false;
}

}  // namespace

const SnapshotNote* find_note(const CheckRun& run, SessionId session) {
  const auto it = std::ranges::lower_bound(run.snapshots, session, {}, &SnapshotNote::session);
  return it != run.snapshots.end() && it->session == session ? &*it : nullptr;
}

void name_writer(const CheckRun& run, SessionId session, Finding& finding) {
  const SnapshotNote* note = find_note(run, session);
  const auto signer = note ? Result<format::MemberId>(note->signer) : read_claim(run, session);   // of a run that was interrupted there is no commit
  if (!signer) return;
  if (const format::Member* member = keys::find_member(run.vault.roster(), *signer)) finding.signer = member->name;
  if (!note) return;
  if (const auto snapshot = run.vault.snapshot(session); snapshot && snapshot->body) finding.host = snapshot->body->host;
}

Result<> check_snapshots(CheckRun& run) {
  run.progress.phase = CheckPhase::kSnapshots;
  Runs runs;
  const std::vector<SessionId> sessions = TRY(listed_sessions(run));
  run.progress.snapshots_total = sessions.size();
  TRY(visit_all(run, sessions, runs));
  TRY(check_lineages(run, runs));
  for (const vault::LostCommit& lost : vault::find_lost_commits(run.vault)) run.damage(format::snapshot_object(lost.session), lost.error);
  TRY(check_claims(run));

  std::vector<format::RunRecord> records;
  for (const auto& [name, record] : runs.records) {
    records.push_back(record);
    run.runs.insert(name);
  }
  for (const auto& name : runs.superseded) run.runs.insert(name);
  std::atomic<std::uint64_t> chunks{0};
  TRY(run.in_parallel(records.size(), run.workers, [&](std::size_t i) {
    const bool superseded = runs.superseded.contains({records[i].session, records[i].number});
    if (check_run(run, records[i], superseded) && !superseded) chunks += records[i].entries;
  }));
  run.chunks = chunks;
  run.report.runs = records.size();
  for (const SnapshotNote& note : run.snapshots) (note.forgotten ? run.report.forgotten : run.report.snapshots) += 1;
  return {};
}

}  // namespace coppice::maintenance
