#include "format/reference_list.h"

#include <algorithm>
#include <utility>

#include "codec_internal.h"
#include "list_page_internal.h"

namespace coppice::format {
namespace {

constexpr std::size_t kFreshMin = 1024;

// Content-defined, so that packs that come or go change the page they stand on and no other.
bool leaf_ends_after(const PackName& name) {
  const std::uint64_t v = std::uint64_t{name.session.slot} * 31 + name.sequence;
  return (v * 0x9E3779B97F4A7C15ull) >> 56 == 0;
}

// A leaf's names ascend. The first is written whole (as if after generation 0, slot 0); a later one says how far it lies behind
// the one before it, in the most significant field that differs.
void encode_name_delta(Writer& w, const PackName* previous, const PackName& name) {
  const SessionId before = previous ? previous->session : SessionId{};
  w.varint(name.session.generation - before.generation);
  const bool same_generation = name.session.generation == before.generation;
  w.varint(same_generation ? name.session.slot - before.slot : name.session.slot);
  const bool same_series = previous && previous->session == name.session && previous->kind == name.kind;
  const std::uint64_t sequence = same_series ? name.sequence - previous->sequence - 1 : name.sequence;
  w.varint(sequence << 1 | static_cast<std::uint8_t>(name.kind));
}

PackName decode_name_delta(Decoder& d, const PackName* previous) {
  const SessionId before = previous ? previous->session : SessionId{};
  const std::uint64_t generation = before.generation + d.varint_max(0xffffffff);
  std::uint64_t slot = d.varint_max(0xffffffff);
  if (generation == before.generation) slot += before.slot;
  const std::uint64_t sequence_kind = d.varint_max(0xffffffff);
  std::uint64_t sequence = sequence_kind >> 1;
  PackName name;
  name.kind = static_cast<PackKind>(sequence_kind & 1);
  name.session = {static_cast<std::uint32_t>(generation), static_cast<std::uint32_t>(slot)};
  if (previous && previous->session == name.session && previous->kind == name.kind) sequence += previous->sequence + std::uint64_t{1};
  d.rule(generation <= 0xffffffff && slot <= 0xffffffff && sequence <= kPackSequenceMax, "a pack name is out of bounds");
  name.sequence = static_cast<std::uint32_t>(sequence);
  d.rule(!previous || *previous < name, "its packs are not in strict order");
  return name;
}

}  // namespace

void ReferenceSet::merge() const {
  if (fresh_.empty()) return;
  const auto middle = static_cast<std::ptrdiff_t>(rows_.size());
  rows_.reserve(rows_.size() + fresh_.size());
  for (const auto& [pack, ordinals] : fresh_) rows_.push_back({pack, ordinals});
  fresh_.clear();
  std::ranges::inplace_merge(rows_, rows_.begin() + middle, {}, &Row::pack);
}

OrdinalSet& ReferenceSet::row(const PackName& pack) {
  const auto at = std::ranges::lower_bound(rows_, pack, {}, &Row::pack);
  if (at != rows_.end() && at->pack == pack) return at->ordinals;
  if (fresh_.size() > std::max(kFreshMin, rows_.size() / 8) && !fresh_.contains(pack)) merge();
  return fresh_[pack];
}

void ReferenceSet::add(const Birth& birth) {
  CHECK(birth.ordinal < kPackBlocksMax);
  row(birth.pack)[birth.ordinal >> 6] |= 1ull << (birth.ordinal & 63);
}

void ReferenceSet::add(const PackName& pack, const OrdinalSet& ordinals) {
  if (ordinals == OrdinalSet{}) return;
  OrdinalSet& set = row(pack);
  set[0] |= ordinals[0];
  set[1] |= ordinals[1];
}

bool ReferenceSet::contains(const Birth& birth) const {
  const std::vector<Row>& all = packs();
  const auto at = std::ranges::lower_bound(all, birth.pack, {}, &Row::pack);
  return at != all.end() && at->pack == birth.pack && birth.ordinal < kPackBlocksMax &&
         (at->ordinals[birth.ordinal >> 6] >> (birth.ordinal & 63) & 1) != 0;
}

const std::vector<ReferenceSet::Row>& ReferenceSet::packs() const {
  merge();
  return rows_;
}

std::vector<Bytes> encode_reference_leaves(const ReferenceSet& set) {
  std::vector<Bytes> leaves;
  Bytes names;
  std::uint32_t count = 0;
  const PackName* previous = nullptr;
  const auto finish_leaf = [&] {
    Bytes& leaf = leaves.emplace_back();
    Writer w(leaf);
    encode_list_head(w, ListPageKind::kReferenceLeaf);
    w.varint(count);
    w.bytes(names);
    names.clear();
    count = 0;
    previous = nullptr;
  };
  for (const auto& [name, ordinals] : set.packs()) {
    CHECK(name.sequence <= kPackSequenceMax);
    Writer w(names);
    encode_name_delta(w, previous, name);
    w.u64(ordinals[0]);
    w.u64(ordinals[1]);
    previous = &name;
    ++count;
    if (count == kListLeafPacksMax || leaf_ends_after(name)) finish_leaf();
  }
  if (count > 0) finish_leaf();
  return leaves;
}

Result<> decode_reference_leaf(ByteSpan page, ReferenceSet& into) {
  Decoder d("reference list leaf", page);
  decode_list_head(d, ListPageKind::kReferenceLeaf);
  const std::uint64_t count = d.count(kListLeafPacksMax, 3 + 16);
  d.rule(count >= 1, "it holds no pack");
  std::vector<std::pair<PackName, OrdinalSet>> packs;
  packs.reserve(count);
  for (std::uint64_t i = 0; i < count && !d.going_wrong(); ++i) {
    const PackName name = decode_name_delta(d, i > 0 ? &packs.back().first : nullptr);
    OrdinalSet ordinals;
    ordinals[0] = d.u64();
    ordinals[1] = d.u64();
    d.rule(ordinals != OrdinalSet{}, "a pack without a block stands there");
    d.rule(i + 1 == count || !leaf_ends_after(name), "it goes on where a leaf ends");
    packs.emplace_back(name, ordinals);
  }
  TRY(d.complete());
  for (const auto& [name, ordinals] : packs) into.add(name, ordinals);
  return {};
}

Bytes encode_reference_root(const std::vector<Digest>& leaves) {
  CHECK(leaves.size() <= kListRootLeavesMax);
  Bytes page;
  Writer w(page);
  encode_list_head(w, ListPageKind::kReferenceRoot);
  w.varint(leaves.size());
  for (const Digest& leaf : leaves) w.bytes(leaf);
  return page;
}

Result<std::vector<Digest>> decode_reference_root(ByteSpan page) {
  Decoder d("reference list root", page);
  decode_list_head(d, ListPageKind::kReferenceRoot);
  const std::uint64_t count = d.count(kListRootLeavesMax, 32);
  std::vector<Digest> leaves;
  leaves.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) leaves.push_back(d.array<32>());
  TRY(d.complete());
  return leaves;
}

}  // namespace coppice::format
