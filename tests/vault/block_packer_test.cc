// Goal: a pack has room for its blocks in whatever order and number they are sealed, however badly they compress.
#include "block_packer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ranges>
#include <vector>

#include "chunk_index.h"
#include "support/result.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using testing::noise;
using testing::TestVault;

class Packing : public ::testing::Test {
 protected:
  // Places a chunk of `bytes` random bytes and as many zeros as `zeros`. Returns the block that this filled.
  PlainBlockPtr place(std::size_t bytes, std::size_t zeros = 0) {
    Bytes chunk = to_bytes(as_bytes(noise(++number_, bytes)));
    chunk.resize(bytes + zeros);
    return place(share(std::move(chunk)));
  }
  PlainBlockPtr place(SharedBytes chunk) {
    format::ChunkId id{};
    store_le<std::uint64_t>(id.bytes, 0, ++number_);
    BlockPacker::Placement placed = packer_.place(format::PackKind::kData, id, std::move(chunk));
    packs_ += placed.complete ? 1 : 0;
    return std::move(placed.full);
  }
  // A block that is nearly full, and then one chunk more: as large as a block can be, and none of it compresses.
  PlainBlockPtr place_largest_block() {
    constexpr std::size_t kPart = (1u << 20) + (300u << 10);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(place(kPart));
    PlainBlockPtr full = place(format::kBlockPlainBytesMax - 3 * kPart);
    EXPECT_TRUE(full);
    return full;
  }
  void seal(PlainBlockPtr block) {
    auto sealed = packer_.seal(context_, std::move(block));
    ASSERT_OK(sealed);
    packs_ += *sealed ? 1 : 0;
  }

  TestVault v_;
  std::unique_ptr<Vault> vault_ = *v_.open();
  ChunkIndex index_{*vault_, {}, {}, {}};
  WriterStats stats_;
  const PackerLimits limits_{.data_pack_bytes = (12u << 20) - 1, .data_block_bytes = 4u << 20};
  BlockPacker packer_{*vault_, *SessionSecret::for_writer(v_.vault.id, vault_->keys().newest_epoch(), crypto::Key()), {0, 1}, index_, limits_, stats_};
  SealContext context_{v_.vault.id, limits_};
  std::uint64_t number_ = 0;
  int packs_ = 0;
};

TEST_F(Packing, TheLastBlocksOfAPackFitWhenNoneOfThemShrinks) {
  EXPECT_FALSE(place(3u << 19, 1u << 19));
  PlainBlockPtr first = place(3u << 19, 1u << 19);
  ASSERT_TRUE(first);
  seal(std::move(first));   // some 3 of the 12 MiB
  std::vector<PlainBlockPtr> waiting;
  for (int i = 0; i < 2; ++i) waiting.push_back(place_largest_block());   // 8 MiB by their targets, 10 in truth
  for (PlainBlockPtr& block : waiting) {
    EXPECT_EQ(block->birth.pack.sequence, 0u);
    seal(std::move(block));
  }
  EXPECT_EQ(packs_, 0);
  EXPECT_FALSE(place(1000));   // closes the pack
  EXPECT_EQ(packs_, 1);
}

TEST_F(Packing, ABlockKeepsFewOfTheBuffersThatItsChunksWereReadInto) {
  constexpr std::size_t kBuffer = 4u << 20, kChunk = 64u << 10;
  std::vector<std::weak_ptr<const Bytes>> buffers;
  std::vector<std::string> placed;
  for (int i = 0; i < 40; ++i) {
    placed.push_back(noise(1000 + static_cast<std::uint64_t>(i), kChunk));
    auto buffer = std::make_shared<Bytes>(kBuffer);
    std::ranges::copy(as_bytes(placed.back()), buffer->begin() + 12345);
    buffers.push_back(buffer);
    EXPECT_FALSE(place({.owner = buffer, .bytes = ByteSpan(*buffer).subspan(12345, kChunk)}));
  }
  EXPECT_LE(std::ranges::count_if(buffers, [](const auto& b) { return !b.expired(); }) * kBuffer, kBlockKeepsBytesMax);
  auto blocks = packer_.take_partial();
  ASSERT_EQ(blocks.size(), 1u);
  std::string together;
  for (const SharedBytes& part : blocks[0]->parts) together += as_text(part.bytes);
  EXPECT_TRUE(std::ranges::equal(together, placed | std::views::join));
}

}  // namespace
}  // namespace coppice::vault
