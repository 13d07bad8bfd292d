// Answers "is this chunk stored already, and where?" for one session: a table of what this session placed and the index runs of this
// writer. Thread-safe. Memory is bounded: the table's entries move into a run of the session's own once their packs are stored.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "format/snapshot.h"
#include "foundation/mutex.h"
#include "index_run.h"
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

class ChunkIndex {
 public:
  // `runs`: the writer's live runs. They are opened when the first lookup needs them: an unchanged source opens none.
  ChunkIndex(const Vault& vault, std::vector<format::RunRecord> runs) : vault_(vault), live_(std::move(runs)) {}

  // Looks everywhere. A run that cannot be read costs duplicates, not the backup: it is named in notices().
  std::optional<format::IndexEntry> find(const Prefix& prefix);
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
  Result<> write_run(std::vector<format::IndexEntry> entries, format::SessionId session);
  void open_runs() REQUIRES(runs_mutex_);
  Result<std::vector<format::IndexEntry>> read_small_runs();

  const Vault& vault_;
  mutable Mutex table_mutex_;
  std::unordered_map<Prefix, format::IndexEntry, PrefixHash> table_ GUARDED_BY(table_mutex_);
  mutable Mutex runs_mutex_;
  bool opened_ GUARDED_BY(runs_mutex_) = false;
  std::vector<std::shared_ptr<IndexRun>> runs_ GUARDED_BY(runs_mutex_);
  std::vector<std::string> notices_ GUARDED_BY(runs_mutex_);
  // Of the storing thread:
  std::vector<format::RunRecord> live_, written_, superseded_;
  std::vector<format::IndexEntry> stored_;
  std::uint32_t next_number_ = 0;
};

}  // namespace coppice::vault
