#include "pack_table.h"

namespace coppice::maintenance {
namespace {

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Below this many new rows, sorting waits.
constexpr std::size_t kUnsettledMin = 16384;

}  // namespace

bool Part::covers(const format::PackName& pack) const {
  if (count == 1) return true;
  const std::uint64_t session = std::uint64_t{pack.session.generation} << 32 | pack.session.slot;
  return mix(session + mix(std::uint64_t{pack.sequence} << 1 | static_cast<std::uint64_t>(pack.kind))) % count == index;
}

void PackTable::settle() {
  std::ranges::stable_sort(rows_, {}, &Row::pack);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (kept > 0 && rows_[kept - 1].pack == rows_[i].pack) {
      rows_[kept - 1].bad |= rows_[i].bad;
      continue;
    }
    rows_[kept++] = rows_[i];
  }
  rows_.resize(kept);
}

const PackTable::Row* PackTable::find(const format::PackName& pack) const {
  const auto it = std::ranges::lower_bound(rows_, pack, {}, &Row::pack);
  return it != rows_.end() && it->pack == pack ? &*it : nullptr;
}

void PackTable::mark_seen(const std::vector<format::PackName>& packs) {
  for (const format::PackName& pack : packs) std::ranges::lower_bound(rows_, pack, {}, &Row::pack)->seen = true;
}

void ListTable::add(const Row& row) {
  rows_.push_back(row);
  // Pages that differ in one pack repeat the rows of all the others: fold them together before they pile up.
  if (rows_.size() - settled_ > std::max(kUnsettledMin, settled_)) settle();
}

void ListTable::settle() {
  const auto key = [](const Row& row) { return std::pair(row.pack, row.blocks); };
  std::ranges::sort(rows_, [&](const Row& a, const Row& b) { return key(a) < key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (kept > 0 && key(rows_[kept - 1]) == key(rows_[i]))
      rows_[kept - 1].snapshots |= rows_[i].snapshots;
    else
      rows_[kept++] = rows_[i];
  }
  rows_.resize(kept);
  settled_ = kept;
}

Mask ListTable::find(const format::Birth& birth) const {
  Mask found;
  for (auto it = std::ranges::lower_bound(rows_, birth.pack, {}, &Row::pack);
       it != rows_.end() && it->pack == birth.pack; ++it)
    if (birth.ordinal < format::kPackBlocksMax && (it->blocks[birth.ordinal / 64] >> (birth.ordinal % 64) & 1))
      found |= it->snapshots;
  return found;
}

}  // namespace coppice::maintenance
