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

// All births of one snapshot: 16 bytes of set per pack, whatever the number of chunks.
class ReferenceSet {
 public:
  void add(const Birth& birth) { packs_[birth.pack][birth.ordinal >> 6 & 1] |= 1ull << (birth.ordinal & 63); }
  void add(const PackName& pack, const OrdinalSet& ordinals);   // an empty set adds nothing
  bool contains(const Birth& birth) const;
  const std::map<PackName, OrdinalSet>& packs() const { return packs_; }
  bool operator==(const ReferenceSet&) const = default;

 private:
  std::map<PackName, OrdinalSet> packs_;
};

inline constexpr std::uint32_t kListLeafPacksMax = 4096, kListRootLeavesMax = 1u << 18;

std::vector<Bytes> encode_reference_leaves(const ReferenceSet& set);
// Adds the leaf's births to `into`, which is as it was after a failure.
Result<> decode_reference_leaf(ByteSpan page, ReferenceSet& into);
Bytes encode_reference_root(const std::vector<Digest>& leaves);
Result<std::vector<Digest>> decode_reference_root(ByteSpan page);

}  // namespace coppice::format
