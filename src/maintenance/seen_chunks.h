// The chunks that a check found in the blocks it read: what a tree says of a chunk can be held against them without reading the block again.
// 64 bits each, made with a number that nobody knows before, so that no reference which is wrong passes for right but by a chance of one in
// 10^12.
#pragma once

#include <cstdint>
#include <vector>

#include "format/block.h"
#include "foundation/mutex.h"

namespace coppice::maintenance {

class SeenChunks {
 public:
  SeenChunks(std::uint64_t seed, std::size_t chunks_max) : seed_(seed), chunks_max_(chunks_max) {}
  // Any number of threads. False when there is no room for all of them; then none is remembered.
  bool add(const format::Birth& block, const std::vector<format::ChunkEntry>& chunks);
  // Before contains(), after the last add().
  void settle();
  bool contains(const format::ChunkRef& ref) const;

 private:
  std::uint64_t print(const format::ChunkRef& ref) const;

  const std::uint64_t seed_;
  const std::size_t chunks_max_;
  Mutex mutex_;
  std::vector<std::uint64_t> adding_ GUARDED_BY(mutex_);
  std::vector<std::uint64_t> prints_;   // sorted
};

}  // namespace coppice::maintenance
