#include "seal.h"

#include <fmt/format.h>
#include <zstd.h>

namespace coppice::vault {
namespace {

using format::BlockHeader;
using format::kBlockHeaderBytes;

struct BlockKey {
  crypto::Secret<32 + crypto::kAeadNonceBytes> bytes;
  ByteSpan key() const { return ByteSpan(bytes.view()).first(32); }
  ByteSpan nonce() const { return ByteSpan(bytes.view()).subspan(32); }
};

Bytes encoded_birth(const format::Birth& birth) {
  Bytes out;
  format::Writer w(out);
  format::encode_birth(w, birth);
  return out;
}

// One (key, nonce) per salt; the salt is unlike any other unless birth, randomness and plaintext are all the same. The key buffer is
// kept per thread: allocating guarded memory for every block would cost more than deriving the key.
BlockKey& derive_block_key(const SessionSecret& secret, ByteSpan salt, format::BlockType type, const format::Birth& birth) {
  thread_local BlockKey key;
  Bytes info = to_bytes(as_bytes("coppice 1 block"));
  info.push_back(static_cast<std::byte>(type));
  append(info, encoded_birth(birth));
  crypto::hkdf(secret.key().view(), salt, info, key.bytes.writable());
  return key;
}

Bytes associated_data(const format::VaultId& vault, ByteSpan header) {
  Bytes data;
  data.reserve(vault.size() + format::kBlockHeaderSealedBytes);
  append(data, vault);
  append(data, header.first(format::kBlockHeaderSealedBytes));
  return data;
}

Result<SessionSecret> derive_session(const format::VaultId& vault, std::uint32_t epoch, const format::PublicKey& epoch_public,
                                     const format::PublicKey& session_public, const crypto::Key& shared,
                                     const std::function<SessionSecret(crypto::Key)>& make) {
  Bytes salt;
  format::Writer w(salt);
  w.bytes(vault);
  w.u32(epoch);
  w.bytes(epoch_public);
  w.bytes(session_public);
  return make(crypto::hkdf_key(shared.view(), salt, "coppice 1 session"));
}

}  // namespace

format::Birth snapshot_birth(format::SessionId session) {
  return {.pack = {.session = session, .kind = format::PackKind::kData, .sequence = format::kSnapshotSequence}, .ordinal = 0};
}

Result<SessionSecret> SessionSecret::for_writer(const format::VaultId& vault, const keys::EpochKey& epoch,
                                                const crypto::Key& session_private) {
  const format::PublicKey session_public = crypto::x25519_public(session_private);
  const crypto::Key shared = TRY(crypto::x25519_agree(session_private, epoch.public_key));
  return derive_session(vault, epoch.number, epoch.public_key, session_public, shared,
                        [&](crypto::Key key) { return SessionSecret(std::move(key), session_public, epoch.number); });
}

Result<SessionSecret> SessionSecret::for_reader(const format::VaultId& vault, const keys::EpochKey& epoch,
                                                const format::PublicKey& session_public) {
  if (!epoch.private_key)
    return fail(ErrorKind::kDenied, "this key can write to the vault but not read it back: a reader's key is needed");
  const crypto::Key shared = TRY(crypto::x25519_agree(*epoch.private_key, session_public));
  return derive_session(vault, epoch.number, epoch.public_key, session_public, shared,
                        [&](crypto::Key key) { return SessionSecret(std::move(key), session_public, epoch.number); });
}

void seal_block(const SessionSecret& secret, crypto::Suite suite, const format::VaultId& vault, crypto::Aead& aead, ByteSpan random,
                format::BlockType type, const format::Birth& birth, ByteSpan table, ByteSpan payload, MutableByteSpan into) {
  CHECK(into.size() == sealed_block_bytes(table.size(), payload.size()));
  // The table binds what the chunks are, the checksum how they came to be compressed: the same salt means the same plaintext.
  const crypto::Digest table_digest = crypto::sha256(table);
  const crypto::Checksum payload_checksum = crypto::xxh3_128(payload);

  BlockHeader header{.suite = static_cast<std::uint8_t>(suite), .type = type, .birth = birth, .epoch = secret.epoch(),
                     .session_key = secret.session_public()};
  Bytes salt_input = to_bytes(random);
  append(salt_input, encoded_birth(birth));
  append(salt_input, table_digest);
  append(salt_input, payload_checksum);
  header.salt = crypto::Hmac(secret.key().view()).mac(salt_input);
  header.sealed_bytes = static_cast<std::uint32_t>(into.size() - kBlockHeaderBytes);

  const auto head = std::span<std::byte, kBlockHeaderBytes>(into.data(), kBlockHeaderBytes);
  format::encode_block_header(header, head);
  const BlockKey& key = derive_block_key(secret, header.salt, type, birth);
  const MutableByteSpan sealed = into.subspan(kBlockHeaderBytes);
  aead.seal(suite, key.key(), key.nonce(), associated_data(vault, head), table, payload, sealed);
  header.checksum = crypto::xxh3_128(sealed);
  format::encode_block_header(header, head);
}

BlockOpener::BlockOpener(const format::VaultId& vault) : vault_(vault), zstd_(ZSTD_createDCtx()) { CHECK(zstd_ != nullptr); }
BlockOpener::~BlockOpener() {
  if (zstd_) ZSTD_freeDCtx(zstd_);
}
BlockOpener::BlockOpener(BlockOpener&& other) noexcept
    : vault_(other.vault_), aead_(std::move(other.aead_)), opened_(std::move(other.opened_)), zstd_(std::exchange(other.zstd_, nullptr)) {}

Result<BlockOpener::Opened> BlockOpener::unseal(const SessionSecret& secret, ByteSpan block, const format::BlockHeader& header) {
  if (header.suite != static_cast<std::uint8_t>(crypto::Suite::kAes256Gcm) &&
      header.suite != static_cast<std::uint8_t>(crypto::Suite::kChaCha20Poly1305))
    return fail(ErrorKind::kUnsupported, fmt::format("the block is sealed with cipher suite {}, this program knows 1 and 2", header.suite));
  if (header.sealed_bytes < crypto::kAeadTagBytes || block.size() != kBlockHeaderBytes + std::size_t{header.sealed_bytes})
    return fail(ErrorKind::kCorrupt, "the block's length is not what its header says");
  opened_.resize(header.sealed_bytes - crypto::kAeadTagBytes);
  const BlockKey& key = derive_block_key(secret, header.salt, header.type, header.birth);
  TRY(aead_.open(static_cast<crypto::Suite>(header.suite), key.key(), key.nonce(), associated_data(vault_, block),
                 block.subspan(kBlockHeaderBytes), opened_));
  format::DecodedChunkTable decoded = TRY(format::decode_chunk_table(opened_));
  return Opened{.table = std::move(decoded.table), .plain_bytes = decoded.plain_bytes, .payload = ByteSpan(opened_).subspan(decoded.table_bytes)};
}

Result<ByteSpan> BlockOpener::decompress(const Opened& opened, Bytes& room) {
  if (opened.table.codec == format::Codec::kStored) {
    if (opened.payload.size() != opened.plain_bytes) return fail(ErrorKind::kCorrupt, "the stored payload's length is not that of its chunks");
    return opened.payload;
  }
  room.resize(opened.plain_bytes);
  const std::size_t got = ZSTD_decompressDCtx(zstd_, room.data(), room.size(), opened.payload.data(), opened.payload.size());
  if (ZSTD_isError(got)) return fail(ErrorKind::kCorrupt, std::string("the payload does not decompress: ") + ZSTD_getErrorName(got));
  if (got != room.size()) return fail(ErrorKind::kCorrupt, "the payload decompresses to another length than that of its chunks");
  return ByteSpan(room);
}

Result<> BlockOpener::open(const SessionSecret& secret, ByteSpan block, const format::BlockHeader& header, DecodedBlock& into) {
  Opened opened = TRY(unseal(secret, block, header));
  const ByteSpan plain = TRY(decompress(opened, into.plain));
  if (plain.data() != into.plain.data()) {
    into.plain.clear();
    append(into.plain, plain);
  }
  into.chunks = std::move(opened.table.chunks);
  into.offsets.resize(into.chunks.size());
  std::uint32_t offset = 0;
  for (std::size_t i = 0; i < into.chunks.size(); ++i) {
    into.offsets[i] = offset;
    offset += into.chunks[i].length;
  }
  return {};
}

Result<> BlockOpener::compare(const SessionSecret& secret, ByteSpan block, const format::BlockHeader& header,
                              const std::vector<format::ChunkEntry>& chunks, ByteSpan plain) {
  const Opened opened = TRY(unseal(secret, block, header));
  if (opened.table.chunks != chunks || !equal(TRY(decompress(opened, plain_)), plain)) return fail(ErrorKind::kCorrupt, "it opens to something else");
  return {};
}

Result<format::BlockHeader> read_block_header(ByteSpan block, const format::Birth& birth, format::BlockType type) {
  if (block.size() < kBlockHeaderBytes) return fail(ErrorKind::kCorrupt, "the block is shorter than a block header");
  const BlockHeader header = TRY(format::decode_block_header(block.first(kBlockHeaderBytes)));
  if (header.birth != birth) return fail(ErrorKind::kCorrupt, "another block stands in this one's place");
  if (header.type != type) return fail(ErrorKind::kCorrupt, "the block is of another type than expected");
  if (block.size() != kBlockHeaderBytes + std::size_t{header.sealed_bytes})
    return fail(ErrorKind::kCorrupt, "the block's length is not what its header says");
  if (crypto::xxh3_128(block.subspan(kBlockHeaderBytes)) != header.checksum)
    return fail(ErrorKind::kCorrupt, "the checksum of the ciphertext does not match");
  return header;
}

Result<std::shared_ptr<const SessionSecret>> SecretRing::find(std::uint32_t epoch, const format::PublicKey& session_public) {
  {
    MutexLock lock(mutex_);
    if (auto it = secrets_.find({epoch, session_public}); it != secrets_.end()) return it->second;
  }
  const keys::EpochKey* key = keys_.epoch(epoch);
  if (!key) return fail(ErrorKind::kDenied, fmt::format("our key does not hold epoch {}, with which this was sealed", epoch));
  auto secret = std::make_shared<const SessionSecret>(TRY(SessionSecret::for_reader(vault_, *key, session_public)));
  MutexLock lock(mutex_);
  // A hostile vault can name any number of session keys; what we keep is bounded, the rest is derived again.
  if (secrets_.size() >= 4096) secrets_.clear();
  secrets_.emplace(std::pair(epoch, session_public), secret);
  return secret;
}

}  // namespace coppice::vault
