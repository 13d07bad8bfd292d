#include "seen_chunks.h"

#include <algorithm>

#include "crypto/hash.h"

namespace coppice::maintenance {

std::uint64_t SeenChunks::print(const format::ChunkRef& ref) const {
  std::array<std::byte, 64> bytes{};
  std::ranges::copy(ref.id.bytes, bytes.begin());
  store_le<std::uint32_t>(bytes, 32, ref.birth.pack.session.generation);
  store_le<std::uint32_t>(bytes, 36, ref.birth.pack.session.slot);
  store_le<std::uint32_t>(bytes, 40, ref.birth.pack.sequence);
  store_le<std::uint16_t>(bytes, 44, ref.birth.ordinal);
  store_le<std::uint16_t>(bytes, 46, ref.index);
  store_le<std::uint32_t>(bytes, 48, ref.length);
  bytes[52] = static_cast<std::byte>(ref.birth.pack.kind);
  return crypto::xxh3_64(bytes, seed_);
}

bool SeenChunks::add(const format::Birth& block, const std::vector<format::ChunkEntry>& chunks) {
  std::vector<std::uint64_t> prints;
  prints.reserve(chunks.size());
  for (const format::ChunkEntry& chunk : chunks)
    prints.push_back(print({chunk.id, block, static_cast<std::uint16_t>(prints.size()), chunk.length}));
  MutexLock lock(mutex_);
  if (adding_.empty()) adding_.reserve(chunks_max_);   // once, so that growing never needs the room twice
  if (chunks_max_ - adding_.size() < prints.size()) return false;
  adding_.insert(adding_.end(), prints.begin(), prints.end());
  return true;
}

void SeenChunks::settle() {
  MutexLock lock(mutex_);
  prints_ = std::move(adding_);
  std::ranges::sort(prints_);
}

bool SeenChunks::contains(const format::ChunkRef& ref) const { return std::ranges::binary_search(prints_, print(ref)); }

}  // namespace coppice::maintenance
