// Sealing and opening blocks: docs/format/block.md has the derivations and the security argument.
#pragma once

#include <map>
#include <memory>
#include <functional>
#include <vector>

#include "crypto/aead.h"
#include "crypto/asymmetric.h"
#include "crypto/hash.h"
#include "format/block.h"
#include "foundation/mutex.h"
#include "keys/bundle.h"
#include "vault/reader.h"

struct ZSTD_DCtx_s;

namespace coppice::vault {

// The birth that stands in the header of a commit's sealed body.
format::Birth snapshot_birth(format::SessionId session);

// One session's secret: made once by the writer, found again by a reader from the epoch's private half. Immutable; any number of threads.
class SessionSecret {
 public:
  static Result<SessionSecret> for_writer(const format::VaultId& vault, const keys::EpochKey& epoch, const crypto::Key& session_private);
  static Result<SessionSecret> for_reader(const format::VaultId& vault, const keys::EpochKey& epoch, const format::PublicKey& session_public);
  const format::PublicKey& session_public() const { return session_public_; }
  std::uint32_t epoch() const { return epoch_; }
  const crypto::Key& key() const { return secret_; }

 private:
  SessionSecret(crypto::Key secret, format::PublicKey session_public, std::uint32_t epoch)
      : secret_(std::move(secret)), session_public_(session_public), epoch_(epoch) {}
  crypto::Key secret_;
  format::PublicKey session_public_;
  std::uint32_t epoch_;
};

// How long the block of an encoded chunk table and a payload is.
constexpr std::size_t sealed_block_bytes(std::size_t table_bytes, std::size_t payload_bytes) {
  return format::kBlockHeaderBytes + table_bytes + payload_bytes + crypto::kAeadTagBytes;
}
// Makes `into`, which is that long and overlaps neither, the block header | AEAD(table | payload). `random` is 32 fresh bytes.
void seal_block(const SessionSecret& secret, crypto::Suite suite, const format::VaultId& vault, crypto::Aead& aead, ByteSpan random,
                format::BlockType type, const format::Birth& birth, ByteSpan table, ByteSpan payload, MutableByteSpan into);

// Opens `block` (header and ciphertext, exactly): header rules, birth as expected, checksum, seal, table, decompression within bounds.
// Scratch is reused between calls: one opener per thread. Chunk ids are NOT recomputed here.
class BlockOpener {
 public:
  explicit BlockOpener(const format::VaultId& vault);
  ~BlockOpener();
  BlockOpener(BlockOpener&&) noexcept;
  Result<> open(const SessionSecret& secret, ByteSpan block, const format::BlockHeader& header, DecodedBlock& into);
  // The same steps, to find out whether the block holds just `chunks` with the plaintext `plain`; kCorrupt when it does not.
  Result<> compare(const SessionSecret& secret, ByteSpan block, const format::BlockHeader& header, const std::vector<format::ChunkEntry>& chunks,
                   ByteSpan plain);

 private:
  // Into opened_; the payload is a part of it.
  struct Opened {
    format::ChunkTable table;
    std::uint32_t plain_bytes = 0;
    ByteSpan payload;
  };
  Result<Opened> unseal(const SessionSecret& secret, ByteSpan block, const format::BlockHeader& header);
  // The payload's plaintext: in `room`, or (stored) where it lies.
  Result<ByteSpan> decompress(const Opened& opened, Bytes& room);

  format::VaultId vault_;
  crypto::Aead aead_;
  Bytes opened_, plain_;
  ZSTD_DCtx_s* zstd_;
};

// The header of a whole block, checked against the birth and type that the caller expects, its length and its checksum.
Result<format::BlockHeader> read_block_header(ByteSpan block, const format::Birth& birth, format::BlockType type);

// A reader's session secrets, by (epoch, session public key). Thread-safe.
class SecretRing {
 public:
  // `keys` must outlive the ring.
  SecretRing(const format::VaultId& vault, const keys::KeyBundle& keys) : vault_(vault), keys_(keys) {}
  // kDenied when our key lacks that epoch.
  Result<std::shared_ptr<const SessionSecret>> find(std::uint32_t epoch, const format::PublicKey& session_public);

 private:
  const format::VaultId vault_;
  const keys::KeyBundle& keys_;
  Mutex mutex_;
  std::map<std::pair<std::uint32_t, format::PublicKey>, std::shared_ptr<const SessionSecret>> secrets_ GUARDED_BY(mutex_);
};

}  // namespace coppice::vault
