// The packs that a session stored or adopted, as pages named by content beside those of the reference lists (lists/<hash>), so that
// a commit stays small whatever its session stored. Clear: names, sizes and hashes of packs.
//
// page: magic "CPLIST01" | u8 2 | varint n | n times (pack name, varint bytes, pack hash (32))
// Within a page the packs ascend strictly; the pages of a commit stand in no order among each other.
#pragma once

#include <vector>

#include "format/ids.h"

namespace coppice::format {

struct PackRecord {
  PackName name;                 // may be of an earlier, adopted session of the same writer
  std::uint64_t bytes = 0;
  Digest hash{};                 // the pack hash
  bool operator==(const PackRecord&) const = default;
};

// What a commit says of them.
struct PackList {
  std::uint64_t packs = 0, bytes = 0;   // of all pages together
  std::vector<Digest> pages;            // every page but the last is full
  bool operator==(const PackList&) const = default;
};

inline constexpr std::uint32_t kPackPageRecordsMax = 4096, kPackPagesMax = 1u << 12;
inline constexpr std::uint32_t kPackRecordBytesMin = 3 + 1 + 32;   // encoded

// `records` ascend strictly by name, 1..kPackPageRecordsMax of them.
Bytes encode_pack_page(const std::vector<PackRecord>& records);
Result<std::vector<PackRecord>> decode_pack_page(ByteSpan page);

}  // namespace coppice::format
