// Answers "is this chunk stored already, and where?" for one session: a table of what this session placed and the index runs of this
// writer. Thread-safe. Memory is bounded: the table's entries move into a run of the session's own once their packs are stored, and runs
// are consulted from the newest back as far as their filters fit. What lies further back may be stored again.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "format/snapshot.h"
#include "foundation/mutex.h"
#include "index_run.h"
#include "own_past.h"
#include "vault/vault.h"

namespace coppice::vault {

using Prefix = std::array<std::byte, 16>;
inline Prefix prefix_of(const format::ChunkId& id) {
  Prefix prefix;
  std::memcpy(prefix.data(), id.bytes.data(), prefix.size());
  return prefix;
}

// Ids are keyed hashes: any eight bytes of them are as good a hash as any.
struct PrefixHash {
  std::size_t operator()(const Prefix& prefix) const { return load_le<std::size_t>(prefix, 0); }
};

struct IndexLimits {
  // The defaults are a full session's; a session with less memory has less of each.
  static IndexLimits within(std::uint64_t memory_bytes);
  std::uint64_t filter_bytes = 12u << 20;     // filters and directories of opened runs: some 1.3 bytes a chunk
  std::uint64_t page_bytes = 4u << 20;        // opened pages of all runs
  std::size_t stored_entries = 128u << 10;    // of stored packs, waiting for their run
};

class ChunkIndex {
 public:
  // `runs`: the writer's live runs, in any order. They are opened when the first lookup needs them: an unchanged source opens none. What they say of
  // the packs in `lost` does not count.
  ChunkIndex(const Vault& vault, std::vector<format::RunRecord> runs, LostPacks lost, IndexLimits limits);

  // Looks everywhere for a chunk of that length: an entry that says another one is not about it. A run that cannot be read costs
  // duplicates, not the backup: it is named in notices().
  std::optional<format::IndexEntry> find(const Prefix& prefix, std::uint32_t length);
  // Looks in this session's table only (for the second look, under the caller's lock).
  std::optional<format::IndexEntry> find_recent(const Prefix& prefix);
  void add_recent(const format::IndexEntry& entry);

  // The packs holding these are stored. Makes a run of all such entries when there are many.
  Result<> add_stored(const std::vector<format::IndexEntry>& entries, format::SessionId session);
  // Writes what is left as a run, merging small old runs into it when they have become many. Once, at the end.
  Result<> flush(format::SessionId session);

  const std::vector<format::RunRecord>& written() const { return written_; }         // after flush()
  const std::vector<format::RunRecord>& superseded() const { return superseded_; }
  std::vector<std::string> notices() const;

 private:
  using Runs = std::vector<std::shared_ptr<IndexRun>>;

  Result<> write_runs(std::vector<format::IndexEntry> entries, format::SessionId session);
  Result<std::shared_ptr<IndexRun>> open(const format::RunRecord& record);
  void open_runs() REQUIRES(runs_mutex_);
  void set_runs(Runs runs) REQUIRES(runs_mutex_);
  void drop_run(const std::shared_ptr<IndexRun>& run, const Error& error);
  Result<> take_small_runs();
  bool is_lost(const format::IndexEntry& entry) const { return lost_.contains(entry.birth.pack); }

  const Vault& vault_;
  const LostPacks lost_;
  const IndexLimits limits_;
  IndexPages pages_;
  mutable Mutex table_mutex_;
  std::unordered_map<Prefix, format::IndexEntry, PrefixHash> table_ GUARDED_BY(table_mutex_);
  mutable Mutex runs_mutex_;
  bool opened_ GUARDED_BY(runs_mutex_) = false;
  std::shared_ptr<const Runs> runs_ GUARDED_BY(runs_mutex_);   // newest first; replaced, never changed
  std::vector<std::string> notices_ GUARDED_BY(runs_mutex_);
  // Of the storing thread:
  std::vector<format::RunRecord> live_;                        // newest first
  std::vector<format::RunRecord> written_, superseded_;
  std::vector<format::IndexEntry> stored_;
  std::uint32_t next_number_ = 0;
};

}  // namespace coppice::vault
