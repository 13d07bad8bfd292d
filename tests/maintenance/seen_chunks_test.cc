#include "seen_chunks.h"

#include <gtest/gtest.h>

namespace coppice::maintenance {
namespace {

std::vector<format::ChunkEntry> chunks(std::size_t count) {
  std::vector<format::ChunkEntry> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    all[i].id.bytes[0] = static_cast<std::byte>(i);
    all[i].length = static_cast<std::uint32_t>(100 + i);
  }
  return all;
}

TEST(SeenChunks, OnlyWhatWasSeenJustSo) {
  SeenChunks seen(1, 100);
  const format::Birth block{.pack = {.session = {1, 2}, .kind = format::PackKind::kData, .sequence = 3}, .ordinal = 4};
  ASSERT_TRUE(seen.add(block, chunks(3)));
  seen.settle();
  const format::ChunkRef truth{chunks(3)[1].id, block, 1, 101};
  EXPECT_TRUE(seen.contains(truth));
  const auto lie = [&](auto change) {
    format::ChunkRef ref = truth;
    change(ref);
    return seen.contains(ref);
  };
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.id.bytes[31] = std::byte{1}; }));
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.index = 2; }));
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.length = 102; }));
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.birth.ordinal = 5; }));
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.birth.pack.sequence = 4; }));
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.birth.pack.kind = format::PackKind::kTree; }));
  EXPECT_FALSE(lie([](format::ChunkRef& ref) { ref.birth.pack.session = {2, 1}; }));
}

TEST(SeenChunks, TakesAllChunksOfABlockOrNone) {
  SeenChunks seen(1, 5);
  EXPECT_TRUE(seen.add({.ordinal = 1}, chunks(4)));
  EXPECT_FALSE(seen.add({.ordinal = 2}, chunks(2)));
  EXPECT_TRUE(seen.add({.ordinal = 3}, chunks(1)));
  seen.settle();
  EXPECT_TRUE(seen.contains({chunks(1)[0].id, {.ordinal = 3}, 0, 100}));
  EXPECT_FALSE(seen.contains({chunks(1)[0].id, {.ordinal = 2}, 0, 100}));
}

}  // namespace
}  // namespace coppice::maintenance
