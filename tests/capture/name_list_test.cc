// The names of a directory come in order, each once, whether they fit into the memory or not.
#include "name_list.h"

#include <fcntl.h>

#include <random>
#include <set>

#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice {
namespace {

using testing::TempDirectory;

std::vector<std::string> all_of(capture::NameList list) {
  std::vector<std::string> names;
  for (;;) {
    const auto name = list.next();
    EXPECT_OK(name);
    if (!name || !*name) return names;
    names.emplace_back(**name);
  }
}

TEST(NameList, IsSortedWithinAndBeyondItsMemory) {
  TempDirectory directory, spill;
  std::mt19937_64 random(3);
  std::set<std::string> names{"CACHEDIR.TAG", "\xff\x01", "a", "ab", "a b"};
  while (names.size() < 3000) {
    std::string name = std::to_string(random());
    name.resize(1 + random() % name.size());
    if (random() % 9 == 0) name += std::string(200, 'x');
    names.insert(name);
  }
  for (const std::string& name : names) {
    const int fd = open((directory / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    close(fd);
  }
  const std::vector<std::string> wanted(names.begin(), names.end());
  for (const std::size_t memory : {std::size_t{1} << 20, std::size_t{20'000}, std::size_t{1}}) {
    SCOPED_TRACE(memory);
    const platform::Fd fd(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto list = capture::NameList::read(fd.get(), spill.path(), memory);
    ASSERT_OK(list);
    EXPECT_TRUE(list->holds_cache_tag());
    EXPECT_EQ(all_of(std::move(*list)), wanted);
  }
  EXPECT_TRUE(std::filesystem::is_empty(spill.path()));
}

TEST(NameList, ANameGivenTwiceComesOnce) {
  EXPECT_EQ(all_of(capture::NameList::of({"b", "a", "b", "a"})), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(all_of(capture::NameList::of({})).empty());
}

}  // namespace
}  // namespace coppice
