// Which blocks lie in which pack, and which packs the reference lists of some snapshots name: compact, sorted,
// searched.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "format/ids.h"
#include "format/reference_list.h"

namespace coppice::maintenance {

// A part of the packs: those whose name falls to `index` of `count`. One pass of a check covers one part.
struct Part {
  std::uint32_t index = 0, count = 1;
  bool covers(const format::PackName& pack) const;
};

// The packs that commits record, with the births that their directories hold.
class PackTable {
 public:
  struct Row {
    format::PackName pack;
    format::OrdinalSet blocks{};  // born in this pack and held by it
    std::uint64_t bytes = 0;      // of the object, as the commit says
    bool bad = false;             // its directory could not be had: `blocks` means nothing
    bool seen = false;            // the chunks of every block that is not bad itself are in SeenChunks
  };
  void add(const Row& row) { rows_.push_back(row); }
  void settle();  // sorts; rows of one pack become one. Before any find()
  const Row* find(const format::PackName& pack) const;
  void mark_seen(const std::vector<format::PackName>& packs);   // each in the table
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::vector<Row> rows_;
};

// One bit for each snapshot of a batch.
struct Mask {
  static constexpr unsigned kBits = 256;
  std::array<std::uint64_t, kBits / 64> words{};
  void set(unsigned bit) { words[bit / 64] |= std::uint64_t{1} << (bit % 64); }
  bool empty() const { return words == decltype(words){}; }
  bool contains(const Mask& other) const { return (other - *this).empty(); }
  Mask& operator|=(const Mask& other) {
    for (std::size_t i = 0; i < words.size(); ++i) words[i] |= other.words[i];
    return *this;
  }
  friend Mask operator-(Mask a, const Mask& b) {
    for (std::size_t i = 0; i < a.words.size(); ++i) a.words[i] &= ~b.words[i];
    return a;
  }
  friend Mask operator&(Mask a, const Mask& b) {
    for (std::size_t i = 0; i < a.words.size(); ++i) a.words[i] &= b.words[i];
    return a;
  }
  template <class F>
  void each(const F& call) const {
    for (unsigned i = 0; i < words.size(); ++i)
      for (std::uint64_t word = words[i]; word != 0; word &= word - 1)
        call(i * 64 + static_cast<unsigned>(std::countr_zero(word)));
  }
  bool operator==(const Mask&) const = default;
};

// The reference lists of up to Mask::kBits snapshots in one table: lists of neighbours in time are nearly the same, so
// a pack has a row for each different set of blocks, and the row says whose lists have it.
class ListTable {
 public:
  struct Row {
    format::PackName pack;
    format::OrdinalSet blocks{};
    Mask snapshots;
  };
  void add(const Row& row);
  void settle();  // before any find(); more rows may follow, then settle() again
  // The snapshots whose lists name `birth`.
  Mask find(const format::Birth& birth) const;
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::vector<Row> rows_;
  std::size_t settled_ = 0;
};

}  // namespace coppice::maintenance
