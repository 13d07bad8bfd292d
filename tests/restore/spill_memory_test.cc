#include "spill_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>

#include "support/temp_directory.h"

namespace coppice::restore {
namespace {

platform::Fd open_directory(const std::string& path) { return platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY).value(); }

TEST(SpillMemory, GoesOnInAFileWithoutAName) {
  const testing::TempDirectory directory;
  SpillMemory memory(open_directory(directory.path()), 64u << 10);
  std::vector<char*> blocks;
  for (int i = 0; i < 40; ++i) {
    blocks.push_back(static_cast<char*>(memory.allocate(10'000)));
    std::memset(blocks.back(), i, 10'000);
  }
  EXPECT_FALSE(memory.full());
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(blocks[static_cast<std::size_t>(i)][0], i);
    EXPECT_EQ(blocks[static_cast<std::size_t>(i)][9'999], i);
    memory.deallocate(blocks[static_cast<std::size_t>(i)], 10'000);
  }
}

TEST(SpillMemory, IsFullWhereNoFileCanBeMade) {
  SpillMemory memory({}, 64u << 10);
  void* within = memory.allocate(60'000);
  EXPECT_FALSE(memory.full());
  void* beyond = memory.allocate(60'000);   // given all the same
  EXPECT_TRUE(memory.full());
  std::memset(beyond, 1, 60'000);
  memory.deallocate(within, 60'000);
  memory.deallocate(beyond, 60'000);
}

}  // namespace
}  // namespace coppice::restore
