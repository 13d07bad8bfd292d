// From chunks to packs: gathers chunks into blocks, gives births, compresses, seals, verifies, fills packs and hands full ones on.
//
// place() is cheap and may be called from any thread; seal() is where the processor time goes and is called by workers, without locks
// but for the place in the pack.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "chunk_index.h"
#include "format/block.h"
#include "packs/pack_builder.h"
#include "seal.h"
#include "vault/writer.h"

struct ZSTD_CCtx_s;

namespace coppice::vault {

inline constexpr std::uint64_t kTreePackBytes = 8u << 20;
inline constexpr std::uint32_t kTreeBlockBytes = 1u << 20;
// Of the buffers that chunks were read into, a block keeps this much alive while it is being filled: three of 4 MiB, which is what one spans
// when all that is read is new.
inline constexpr std::size_t kBlockKeepsBytesMax = 12u << 20;

// A pack and the lock of its builder.
struct OpenPack {
  OpenPack(format::PackName name, Bytes buffer, std::size_t bytes_max) : builder(name, std::move(buffer), bytes_max) {}
  Mutex mutex;
  packs::PackBuilder builder GUARDED_BY(mutex);
  bool closed GUARDED_BY(mutex) = false;   // no more births
};
using OpenPackPtr = std::shared_ptr<OpenPack>;

// A block whose chunks are still plain.
struct PlainBlock {
  format::BlockType type = format::BlockType::kData;
  format::Birth birth;
  OpenPackPtr pack;
  std::vector<format::ChunkEntry> chunks;
  std::vector<SharedBytes> parts;             // the chunks, in order; some may lie in one part
  std::uint32_t plain_bytes = 0;
  std::size_t kept_bytes = 0;             // of the buffers that the parts lie in
  std::uint64_t reserved_bytes = 0;       // what the pack was told to expect
};
using PlainBlockPtr = std::unique_ptr<PlainBlock>;

struct PackerLimits {
  std::uint64_t data_pack_bytes = 32u << 20, tree_pack_bytes = kTreePackBytes;
  std::uint32_t data_block_bytes = 4u << 20;
  int compression_level = kDefaultCompressionLevel;
  bool first = true;                    // of its source: everything is new, and time counts more than bytes
  bool verify = true;
};

// Compression and cipher state of one thread.
class SealContext {
 public:
  SealContext(const format::VaultId& vault, const PackerLimits& limits);
  ~SealContext();
  SealContext(const SealContext&) = delete;

 private:
  friend class BlockPacker;
  ZSTD_CCtx_s* zstd;
  crypto::Aead aead;
  BlockOpener opener;
  Bytes plain, compressed, table, scratch;
};

class BlockPacker {
 public:
  BlockPacker(const Vault& vault, SessionSecret secret, format::SessionId session, ChunkIndex& index, PackerLimits limits, WriterStats& stats);

  // Finds `id` in the table or places it in the block being gathered. When that fills a block, it comes back: seal it. When it closes a
  // pack whose blocks are all sealed, that comes back: store it.
  struct Placement {
    format::ChunkRef ref;
    PlainBlockPtr full;
    OpenPackPtr complete;
  };
  Placement place(format::PackKind kind, const format::ChunkId& id, SharedBytes chunk);
  // The half-filled blocks, at the end.
  std::vector<PlainBlockPtr> take_partial();
  // Compresses, seals, verifies, adds to its pack. Returns the pack when this completed it: store it, then give the buffer back.
  Result<OpenPackPtr> seal(SealContext& context, PlainBlockPtr block);
  // Closes the packs in the making; those already settled come back. After every block was sealed.
  std::vector<OpenPackPtr> close_packs();
  void give_back(Bytes buffer);
  const PackerLimits& limits() const { return limits_; }

 private:
  struct Lane {                            // data and trees each have one
    PlainBlockPtr block;
    OpenPackPtr pack;
    std::uint32_t next_sequence = 0;
  };
  // Returns the pack that this closed, if it is complete.
  OpenPackPtr begin_block(Lane& lane, format::PackKind kind) REQUIRES(mutex_);

  // A block is full when it has this much plaintext. A larger one compresses better, a smaller one is less to open for one small thing.
  std::uint32_t block_target(format::PackKind kind) const { return kind == format::PackKind::kTree ? kTreeBlockBytes : limits_.data_block_bytes; }
  // What a pack that closes at `limit` may come to: the blocks that were sealed when its last one began have their size, and each of the
  // others, which counted with its target, may come to a block's maximum. Memory that is set aside and as a rule never touched.
  std::uint64_t pack_bytes_max(format::PackKind kind, std::uint64_t limit) const {
    constexpr std::uint64_t kBlockBytesMax = format::kBlockHeaderBytes + format::kBlockSealedBytesMax;
    return (limit * kBlockBytesMax + block_target(kind) - 1) / block_target(kind) + format::kPackDirectoryBytesMax;
  }

  const Vault& vault_;
  const SessionSecret secret_;
  const crypto::Suite suite_;
  const format::SessionId session_;
  ChunkIndex& index_;
  const PackerLimits limits_;
  WriterStats& stats_;
  Mutex mutex_;
  Lane lanes_[2] GUARDED_BY(mutex_);
  std::vector<Bytes> spare_buffers_ GUARDED_BY(mutex_);
};

}  // namespace coppice::vault
