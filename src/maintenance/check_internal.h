// The parts of a check, and what they share. check.cc puts them in order.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "findings.h"
#include "foundation/mutex.h"
#include "maintenance/check.h"
#include "pack_table.h"
#include "seen_chunks.h"
#include "vault/reader.h"

namespace coppice::maintenance {

// Round trips that overlap, whatever the number of cores.
inline constexpr unsigned kFetchThreads = 8;

// Pages under lists/ whose hashes are remembered, to know what is left over.
inline constexpr std::size_t kListPagesMax = 2'000'000;

// What is remembered of every snapshot: enough to follow lineages and to come back to it.
struct SnapshotNote {
  format::SessionId session;
  format::Digest hash{};
  format::MemberId signer{};
  std::uint64_t sequence = 0;
  format::SessionId previous_session;
  format::Digest previous{};
  std::uint64_t packs = 0;                         // as it says; for the display
  bool forgotten = false;
};

struct CheckRun {
  const vault::Vault& vault;
  const CheckOptions& options;
  CheckProgress& progress;
  const CancelToken& cancel;
  unsigned workers = 1;
  std::unique_ptr<vault::ChunkReader> reader;  // null when our key cannot read

  Findings findings;
  CheckReport report{};                            // counters; only the orchestrating thread writes it
  std::vector<SnapshotNote> snapshots{};           // verified ones, by session
  std::vector<format::SessionId> bad_snapshots{};  // names taken by what is no valid commit
  std::set<format::SessionId> claims{};
  std::set<std::pair<format::SessionId, std::uint32_t>> runs{};
  std::set<format::Digest> pack_pages{};           // of all commits: each is looked at once, however often it is named
  std::uint64_t packs_max = 0;                     // that those pages can hold, by their sizes in the store
  std::uint64_t chunks = 0;                        // in the index runs that are whole and in use
  std::unordered_set<std::uint64_t> list_pages{};  // first 8 bytes of the hashes of pages in use
  bool list_pages_complete = true;                 // false: there were too many to remember
  bool pack_lists_complete = true;                 // false: a page of one cannot be read, so not every pack is known

  // Cancelled, or the store is gone.
  Result<> go_on() const {
    if (cancel.cancelled()) return fail(ErrorKind::kCancelled, "the check was cancelled");
    return findings.status();
  }
  std::optional<Findings::Id> damage(std::string object, ErrorKind kind, std::string what) {
    return findings.add(Severity::kDamage, std::move(object), Error(kind, std::move(what)));
  }
  std::optional<Findings::Id> damage(std::string object, const Error& error) {
    return findings.add(Severity::kDamage, std::move(object), error);
  }
  // A page that a commit leads to. The caller keeps threads apart.
  void remember_page(const format::Digest& hash) {
    if (list_pages.size() < kListPagesMax)
      list_pages.insert(load_le<std::uint64_t>(hash));
    else
      list_pages_complete = false;
  }
  void inform(std::string object, std::string what) {
    findings.add(Severity::kInformation, std::move(object), Error(ErrorKind::kNotFound, std::move(what)));
  }

  // each(i) for every i below count, from up to `threads` threads; stops early when go_on() says so.
  template <class F>
  Result<> in_parallel(std::size_t count, unsigned threads, const F& each) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
        if (!go_on()) return;
        each(i);
      }
    };
    {
      std::vector<std::jthread> helpers;
      const std::size_t wanted = std::min<std::size_t>(threads, count);
      for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(work);
      work();
    }
    return go_on();
  }
};

// A number that nobody knows before.
inline std::uint64_t random_seed(const CheckRun& run) {
  std::array<std::byte, 8> bytes;
  run.vault.entropy().fill(bytes);
  return load_le<std::uint64_t>(bytes);
}

// vault.json, rosters, key slots, generation 0.
Result<> check_control(CheckRun& run);
// Every commit and forget, lineages, claims, index runs. Fills run.snapshots, claims, runs.
Result<> check_snapshots(CheckRun& run);
// The host and the key of a session, as far as its commit and its claim say.
void name_writer(const CheckRun& run, format::SessionId session, Finding& finding);
// Null when no such commit was verified.
const SnapshotNote* find_note(const CheckRun& run, format::SessionId session);
// The packs of one part: there, as long as the commits say, with the directory that the commits say. Fills `table`.
Result<> check_packs(CheckRun& run, const Part& part, PackTable& table);
// Reads the blocks of the chosen packs of the table. Fills `seen`, and marks in the table whose chunks are there.
Result<> check_data(CheckRun& run, PackTable& table, SeenChunks& seen);
// The reference lists of the snapshots, and their trees, batch by batch.
Result<> check_lists_and_trees(CheckRun& run, const Part& part, const PackTable& table, const SeenChunks& seen);
// What lies in the store that nothing names. `table` is of one part; anything but packs is looked at with the first
// part only.
Result<> check_objects(CheckRun& run, const Part& part, const PackTable& table);

// The trees of up to Mask::kBits snapshots, walked all at once. All vectors are as long as `notes`.
struct TreeBatch {
  const std::vector<SnapshotNote>& notes;
  const PackTable& table;
  const SeenChunks& seen;
  const ListTable& lists;
  const Mask& incomplete;  // those whose lists could not be read whole
  const std::vector<format::Digest>& list_roots;
  const std::vector<std::optional<format::ChunkRef>>& roots;  // none: an empty tree, or one that we cannot open
};
// False when the trees hang the same nodes at far more paths than there are nodes, so that the walk was given up.
Result<bool> check_trees(CheckRun& run, const Part& part, const TreeBatch& batch);

}  // namespace coppice::maintenance
