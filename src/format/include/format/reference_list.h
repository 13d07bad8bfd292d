// The births a snapshot refers to, for reclaim: pages in birth order, named by content, so that unchanged pages are shared between
// snapshots. Clear: it tells which blocks are needed, not what they hold.
//
// leaf: magic "CPLIST01" | u8 0 | varint n | n times (pack name delta, 128-bit set of ordinals (16))
// root: magic "CPLIST01" | u8 1 | varint n | n leaf hashes (32)
// A leaf ends after pack p when ((slot * 31 + sequence) * 0x9E3779B97F4A7C15) >> 56 == 0 or it has kListLeafPacksMax packs.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "format/ids.h"

namespace coppice::format {

using OrdinalSet = std::array<std::uint64_t, 2>;

// All births of one snapshot: 32 bytes a pack, whatever the number of chunks. Packs that are new to it gather in a small table and are
// merged into the sorted rows when they have become an eighth of them. Not thread-safe, not even for readers.
class ReferenceSet {
 public:
  struct Row {
    PackName pack;
    OrdinalSet ordinals{};
    bool operator==(const Row&) const = default;
  };
  void add(const Birth& birth);
  void add(const PackName& pack, const OrdinalSet& ordinals);   // an empty set adds nothing
  bool contains(const Birth& birth) const;
  const std::vector<Row>& packs() const;                        // ascending
  bool operator==(const ReferenceSet& other) const { return packs() == other.packs(); }

 private:
  OrdinalSet& row(const PackName& pack);
  void merge() const;
  mutable std::vector<Row> rows_;
  mutable std::map<PackName, OrdinalSet> fresh_;                // none of them in rows_
};
static_assert(sizeof(ReferenceSet::Row) == 32);

inline constexpr std::uint32_t kListLeafPacksMax = 4096, kListRootLeavesMax = 1u << 18;

std::vector<Bytes> encode_reference_leaves(const ReferenceSet& set);
// Adds the leaf's births to `into`, which is as it was after a failure.
Result<> decode_reference_leaf(ByteSpan page, ReferenceSet& into);
Bytes encode_reference_root(const std::vector<Digest>& leaves);
Result<std::vector<Digest>> decode_reference_root(ByteSpan page);

}  // namespace coppice::format
