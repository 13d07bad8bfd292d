// A pack: an object holding many blocks, each born or moved there.
//
//   blocks, one after the other | directory (clear) | footer (kPackFooterBytes)
//
// directory: varint count, then per block: birth, varint offset, varint bytes (header included), leaf hash of those bytes (32).
// footer: magic "CPPACK01" | u32 directory bytes | u32 zero | SHA-256(pack name | directory) (32).  48 bytes.
// The pack hash, which the commit names, is that last SHA-256: it covers every byte through the block hashes, and can be
// computed as blocks are sealed, in parallel.
#pragma once

#include <vector>

#include "format/ids.h"

namespace coppice::format {

struct PackEntry {
  Birth birth;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  Digest hash{};
  bool operator==(const PackEntry&) const = default;
};

inline constexpr std::uint32_t kPackFooterBytes = 48;
inline constexpr std::uint32_t kPackDirectoryBytesMax = kPackBlocksMax * 64;

struct PackFooter {
  std::uint32_t directory_bytes = 0;
  Digest hash{};
  bool operator==(const PackFooter&) const = default;
};

void encode_pack_directory(const std::vector<PackEntry>& entries, Bytes& out);
// What the pack hash is computed over: name (generation u32, slot u32, sequence u32, kind u8) | directory.
Bytes pack_hash_input(const PackName& name, ByteSpan directory);
void encode_pack_footer(const PackFooter& footer, Bytes& out);
Result<PackFooter> decode_pack_footer(ByteSpan bytes);
// Entries must lie one after the other from 0 to `blocks_end`, each at least kBlockHeaderBytes long, at most kPackBlocksMax, births distinct.
Result<std::vector<PackEntry>> decode_pack_directory(ByteSpan bytes, std::uint64_t blocks_end);

}  // namespace coppice::format
