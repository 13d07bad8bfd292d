// One backup session: chunks in, one commit out.
//
// A session claims its slot, takes chunks (data asynchronously, tree pages synchronously), deduplicates them against this writer's
// index runs and against itself, packs and stores what is new, and commits. Workers hash, compress, seal and verify; nothing leaves
// memory before it was opened again and compared. Memory is bounded by `memory_bytes`, whatever the size of the source.
//
// After the first failure every call returns that error; nothing is committed. What was acknowledged by then is kept in the local
// journal, and the next session of this writer adopts it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "format/reference_list.h"
#include "format/snapshot.h"
#include "format/tree.h"
#include "foundation/cancel.h"
#include "vault/vault.h"

namespace coppice::vault {

inline constexpr int kDefaultCompressionLevel = 3;

struct WriterOptions {
  unsigned workers = 0;                 // that hash and seal, the calling thread among them; 0: as many as cores (within what the memory allows)
  int compression_level = kDefaultCompressionLevel;
  bool verify = true;                   // open and compare every block before it leaves
  std::uint64_t memory_bytes = 192ull << 20;
  std::uint64_t rate_limit = 0;         // bytes of packs a second towards the store; 0: none
  std::atomic<std::uint64_t>* bytes_stored = nullptr;   // grows with each pack that is durable; outlives the writer
  const CancelToken* cancel = nullptr;  // when cancelled, the rate no longer holds and commit() fails with kCancelled; outlives the writer
};

// The newest snapshot of this lineage by this writer: the base of its next one.
Result<std::optional<Snapshot>> newest_of_lineage(const Vault& vault, std::string_view lineage_name);

struct WriterStats {
  std::atomic<std::uint64_t> chunks{0}, chunks_new{0}, bytes_new{0}, bytes_stored{0}, blocks{0}, packs{0}, bytes_adopted{0};
};

// Bytes and what keeps them alive: chunks that were read into one buffer share it.
struct SharedBytes {
  std::shared_ptr<const Bytes> owner;
  ByteSpan bytes;
};
inline SharedBytes share(Bytes bytes) {
  auto owner = std::make_shared<const Bytes>(std::move(bytes));
  return {.owner = owner, .bytes = *owner};
}

// The future place of a data chunk. Filled in when it was hashed; read it only when ready() (or after Writer::drain()).
class ChunkTicket {
 public:
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  const format::ChunkRef& ref() const { return ref_; }

 private:
  friend class Writer;
  friend struct WriterState;
  format::ChunkRef ref_;
  std::atomic<bool> ready_{false};
};
using ChunkTicketPtr = std::shared_ptr<ChunkTicket>;

class Writer {
 public:
  // `vault` must outlive the writer. `lineage_name`: host and sources, one string; ties the snapshots of one source together.
  static Result<std::unique_ptr<Writer>> begin(const Vault& vault, std::string_view lineage_name, WriterOptions options);
  ~Writer();                            // without commit(): stops the workers, keeps the journal

  format::SessionId session() const;
  // The newest snapshot of this lineage by this writer, if any (verified).
  const std::optional<Snapshot>& previous() const;
  // False when it refers to packs that the vault has lost: then nothing may be taken over from it unread. Lookups do not find what lay in a
  // lost pack, so that what is read again is stored again.
  bool previous_usable() const;

  // Data chunks, 1..kChunkBytesMax bytes; `ticket` (a new one) tells later where it is kept. May block, or
  // hash and seal, while memory is full. One thread (the sequencer) calls put_data.
  Result<> put_data(SharedBytes chunk, ChunkTicketPtr ticket);
  // A tree page. Same thread.
  Result<format::ChunkRef> put_tree(ByteSpan page);
  // Every chunk of an entry that the snapshot's tree will hold must be told, new or reused. Same thread.
  void refer(const format::ChunkRef& ref);
  // Waits until every ticket is ready.
  Result<> drain();
  // The first failure of any stage, if there is one; cheap.
  Result<> status() const;
  const WriterStats& stats() const;
  // What a person should know: a vault that was rolled back, packs that are gone, commits that do not verify, index runs that cannot be
  // read.
  std::vector<std::string> notices() const;
  // Instead of commit(), or after one that was cancelled: stores what is in memory, so that the next session of this writer adopts it.
  // Ends the session.
  Result<> suspend();

  // Flushes, stores packs, runs and lists, then the commit: durable and visible on return. `body.root` etc. are the caller's;
  // finished, added_plain and added_stored are filled in here, and the time that this takes is added to duration_ms. A cancel is heeded until the commit itself is put.
  Result<Snapshot> commit(format::SnapshotBody body);

 private:
  explicit Writer(std::unique_ptr<struct WriterState> state);
  std::unique_ptr<struct WriterState> state_;
};

}  // namespace coppice::vault
