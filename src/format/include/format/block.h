// A block: chunks compressed and sealed together. The unit of encryption, of reading and of moving between packs.
//
//   header (kBlockHeaderBytes, clear) | ciphertext = AEAD(chunk table | payload)
//
// The header is enough to scrub the block, to move it and to find it in a damaged pack without a key.
#pragma once

#include <vector>

#include "format/ids.h"

namespace coppice::format {

// DO NOT CHANGE THESE ENUM VALUES
enum class BlockType : std::uint8_t { kData = 1, kTree = 2, kSnapshot = 3 };
enum class Codec : std::uint8_t { kStored = 0, kZstd = 1 };

inline constexpr std::uint32_t kBlockHeaderBytes = 160;
inline constexpr std::uint32_t kBlockTagBytes = 16;                 // of the AEAD, at the end of the ciphertext
inline constexpr std::uint32_t kBlockTableBytesMax = 1 + 4 + 3 + kBlockChunksMax * (32 + 4);
inline constexpr std::uint32_t kBlockSealedBytesMax = kBlockTableBytesMax + kBlockPlainBytesMax + kBlockTagBytes;

struct BlockHeader {
  std::uint8_t suite = 0;             // crypto::Suite
  BlockType type = BlockType::kData;
  Birth birth;                        // for kSnapshot: (session, kData, kSnapshotSequence), ordinal 0
  std::uint32_t epoch = 0;
  PublicKey session_key{};            // the session's ephemeral X25519 public half
  std::array<std::byte, 32> salt{};
  std::uint32_t sealed_bytes = 0;     // of the ciphertext, tag included
  std::array<std::byte, 16> checksum{};   // XXH3-128 of the ciphertext
  bool operator==(const BlockHeader&) const = default;
};

// Layout, little-endian: 0 magic "CPBLOCK1" | 8 suite u8 | 9 type u8 | 10 zero u16 | 12 generation u32 | 16 slot u32 | 20 sequence u32 |
// 24 ordinal u16 | 26 kind u8 | 27 zero u8 | 28 epoch u32 | 32 sealed_bytes u32 | 36 zero u32 | 40 session key (32) | 72 salt (32) |
// 104 zero (40) | 144 checksum (16).
// The associated data of the seal is vault id | bytes [0, 144): all but the checksum, which is a function of the ciphertext.
inline constexpr std::uint32_t kBlockHeaderSealedBytes = 144;
void encode_block_header(const BlockHeader& header, std::span<std::byte, kBlockHeaderBytes> out);
// kCorrupt on a wrong magic, unknown type or kind, non-zero reserved bytes, lengths beyond the maxima.
Result<BlockHeader> decode_block_header(ByteSpan bytes);

// The sealed chunk table: u8 codec | u32 plain bytes (sum of the lengths) | varint count | count times (id 32, varint length).
struct ChunkEntry {
  ChunkId id;
  std::uint32_t length = 0;
  bool operator==(const ChunkEntry&) const = default;
};
struct ChunkTable {
  Codec codec = Codec::kStored;
  std::vector<ChunkEntry> chunks;
  bool operator==(const ChunkTable&) const = default;
};
void encode_chunk_table(const ChunkTable& table, Bytes& out);
// Decodes the table at the start of an opened block; `table_bytes` is where the payload starts. Lengths are 1..kChunkBytesMax each and
// sum to the stated total, at most kBlockPlainBytesMax; count 1..kBlockChunksMax. For kStored the payload must be exactly that long.
struct DecodedChunkTable {
  ChunkTable table;
  std::uint32_t plain_bytes = 0;
  std::size_t table_bytes = 0;
};
Result<DecodedChunkTable> decode_chunk_table(ByteSpan opened);

}  // namespace coppice::format
