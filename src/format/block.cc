#include "format/block.h"

#include <algorithm>

#include "codec_internal.h"

namespace coppice::format {
namespace {

constexpr std::string_view kBlockMagic = "CPBLOCK1";
constexpr std::size_t kAtSuite = 8, kAtType = 9, kAtZero1 = 10, kAtGeneration = 12, kAtSlot = 16, kAtSequence = 20,
                      kAtOrdinal = 24, kAtKind = 26, kAtZero2 = 27, kAtEpoch = 28, kAtSealedBytes = 32, kAtZero3 = 36,
                      kAtSessionKey = 40, kAtSalt = 72, kAtZero4 = 104, kAtChecksum = 144;
static_assert(kAtChecksum == kBlockHeaderSealedBytes && kAtChecksum + 16 == kBlockHeaderBytes);

bool all_zero(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

template <std::size_t N>
void put(std::span<std::byte, kBlockHeaderBytes> out, std::size_t at, const std::array<std::byte, N>& value) {
  std::memcpy(out.data() + at, value.data(), N);
}

// Null when a header of this type may carry this birth.
const char* birth_breach(BlockType type, const Birth& birth) {
  if (birth.pack.kind > PackKind::kTree) return "unknown pack kind";
  if (type == BlockType::kSnapshot) {
    if (birth.pack.sequence != kSnapshotSequence || birth.pack.kind != PackKind::kData || birth.ordinal != 0)
      return "a snapshot block has another birth than its session gives it";
    return nullptr;
  }
  if (birth.pack.sequence > kPackSequenceMax) return "the pack number is too large";
  if (birth.ordinal >= kPackBlocksMax) return "the ordinal is too large";
  return nullptr;
}

}  // namespace

void encode_block_header(const BlockHeader& header, std::span<std::byte, kBlockHeaderBytes> out) {
  CHECK(birth_breach(header.type, header.birth) == nullptr);
  CHECK(header.sealed_bytes > kBlockTagBytes && header.sealed_bytes <= kBlockSealedBytesMax);
  std::ranges::fill(out, std::byte{0});
  std::memcpy(out.data(), kBlockMagic.data(), kBlockMagic.size());
  store_le<std::uint8_t>(out, kAtSuite, header.suite);
  store_le<std::uint8_t>(out, kAtType, static_cast<std::uint8_t>(header.type));
  store_le<std::uint32_t>(out, kAtGeneration, header.birth.pack.session.generation);
  store_le<std::uint32_t>(out, kAtSlot, header.birth.pack.session.slot);
  store_le<std::uint32_t>(out, kAtSequence, header.birth.pack.sequence);
  store_le<std::uint16_t>(out, kAtOrdinal, header.birth.ordinal);
  store_le<std::uint8_t>(out, kAtKind, static_cast<std::uint8_t>(header.birth.pack.kind));
  store_le<std::uint32_t>(out, kAtEpoch, header.epoch);
  store_le<std::uint32_t>(out, kAtSealedBytes, header.sealed_bytes);
  put(out, kAtSessionKey, header.session_key);
  put(out, kAtSalt, header.salt);
  put(out, kAtChecksum, header.checksum);
}

Result<BlockHeader> decode_block_header(ByteSpan bytes) {
  const auto corrupt = [](const char* rule) { return fail(ErrorKind::kCorrupt, fmt::format("block header: {}", rule)); };
  if (bytes.size() < kBlockHeaderBytes) return corrupt("it ends early");
  if (bytes.size() > kBlockHeaderBytes) return corrupt("bytes are left over");
  if (!equal(bytes.first(kBlockMagic.size()), as_bytes(kBlockMagic))) return corrupt("the magic is not CPBLOCK1");
  if (!all_zero(bytes.subspan(kAtZero1, 2)) || !all_zero(bytes.subspan(kAtZero2, 1)) ||
      !all_zero(bytes.subspan(kAtZero3, 4)) || !all_zero(bytes.subspan(kAtZero4, kAtChecksum - kAtZero4)))
    return corrupt("reserved bytes are not zero");
  BlockHeader header;
  header.suite = load_le<std::uint8_t>(bytes, kAtSuite);
  const auto type = load_le<std::uint8_t>(bytes, kAtType);
  if (type < static_cast<std::uint8_t>(BlockType::kData) || type > static_cast<std::uint8_t>(BlockType::kSnapshot))
    return corrupt("unknown block type");
  header.type = static_cast<BlockType>(type);
  header.birth.pack.session.generation = load_le<std::uint32_t>(bytes, kAtGeneration);
  header.birth.pack.session.slot = load_le<std::uint32_t>(bytes, kAtSlot);
  header.birth.pack.sequence = load_le<std::uint32_t>(bytes, kAtSequence);
  header.birth.pack.kind = static_cast<PackKind>(load_le<std::uint8_t>(bytes, kAtKind));
  header.birth.ordinal = load_le<std::uint16_t>(bytes, kAtOrdinal);
  if (const char* breach = birth_breach(header.type, header.birth)) return corrupt(breach);
  header.epoch = load_le<std::uint32_t>(bytes, kAtEpoch);
  header.sealed_bytes = load_le<std::uint32_t>(bytes, kAtSealedBytes);
  if (header.sealed_bytes <= kBlockTagBytes || header.sealed_bytes > kBlockSealedBytesMax)
    return corrupt("the length of the ciphertext is out of bounds");
  std::memcpy(header.session_key.data(), bytes.data() + kAtSessionKey, 32);
  std::memcpy(header.salt.data(), bytes.data() + kAtSalt, 32);
  std::memcpy(header.checksum.data(), bytes.data() + kAtChecksum, 16);
  return header;
}

void encode_chunk_table(const ChunkTable& table, Bytes& out) {
  CHECK(!table.chunks.empty() && table.chunks.size() <= kBlockChunksMax);
  std::uint64_t plain_bytes = 0;
  for (const ChunkEntry& chunk : table.chunks) {
    CHECK(chunk.length >= 1 && chunk.length <= kChunkBytesMax);
    plain_bytes += chunk.length;
  }
  CHECK(plain_bytes <= kBlockPlainBytesMax);
  Writer w(out);
  w.u8(static_cast<std::uint8_t>(table.codec));
  w.u32(static_cast<std::uint32_t>(plain_bytes));
  w.varint(table.chunks.size());
  for (const ChunkEntry& chunk : table.chunks) {
    w.bytes(chunk.id.bytes);
    w.varint(chunk.length);
  }
}

Result<DecodedChunkTable> decode_chunk_table(ByteSpan opened) {
  Decoder d("chunk table", opened);
  DecodedChunkTable decoded;
  const std::uint8_t codec = d.u8();
  d.rule(codec <= static_cast<std::uint8_t>(Codec::kZstd), "unknown codec");
  decoded.table.codec = static_cast<Codec>(codec);
  decoded.plain_bytes = d.u32();
  d.rule(decoded.plain_bytes <= kBlockPlainBytesMax, "the block is longer than a block may be");
  const std::uint64_t count = d.count(kBlockChunksMax, 33);
  d.rule(count >= 1, "it holds no chunk");
  decoded.table.chunks.reserve(count);
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count && !d.going_wrong(); ++i) {
    ChunkEntry chunk;
    chunk.id.bytes = d.array<32>();
    chunk.length = static_cast<std::uint32_t>(d.varint_max(kChunkBytesMax));
    d.rule(chunk.length >= 1, "a chunk is empty");
    sum += chunk.length;
    decoded.table.chunks.push_back(chunk);
  }
  d.rule(sum == decoded.plain_bytes, "the lengths do not sum to the stated total");
  decoded.table_bytes = d.position();
  const ByteSpan payload = d.bytes(d.remaining());
  d.rule(!payload.empty(), "no payload follows it");
  d.rule(decoded.table.codec != Codec::kStored || payload.size() == decoded.plain_bytes,
         "the stored payload is not as long as its chunks");
  TRY(d.complete());
  return decoded;
}

}  // namespace coppice::format
