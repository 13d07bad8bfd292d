// Directories of more names than are looked at in one go.
#include <gmock/gmock.h>

#include "host.h"

namespace coppice {
namespace {

using namespace testing;

TEST(HugeDirectory, ComesInOrderAndStaysUnchanged) {
  Host host;
  for (int i = 0; i < 9000; ++i) {
    const platform::Fd file(::open((host.source + "/" + std::to_string(i * 7919 % 9000)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_TRUE(file);
  }
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(host.look(*report).size(), 9000u);
  write(host.source + "/8000", "changed");
  const auto changed = host.back_up();
  ASSERT_OK(changed);
  EXPECT_EQ(changed->files_unchanged, 8999u);
  EXPECT_EQ(host.look(*changed).at("8000").content, "changed");
}

}  // namespace
}  // namespace coppice
