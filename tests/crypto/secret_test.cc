#include "crypto/secret.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <type_traits>

#include "crypto/vectors.h"

namespace coppice::crypto {
namespace {

static_assert(!std::is_copy_constructible_v<Key> && !std::is_copy_assignable_v<Key>);
static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>);

bool all_zero(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

TEST(Secret, StartsAsZerosMovesAndDuplicates) {
  Key key;
  EXPECT_TRUE(all_zero(key.view()));
  key.writable()[5] = std::byte{7};
  const Key copy = key.duplicate();
  const Key moved = std::move(key);
  EXPECT_TRUE(equal(copy.view(), moved.view()));
  Key assigned;
  assigned = copy.duplicate();
  EXPECT_EQ(assigned.view()[5], std::byte{7});
}

TEST(SecretDeathTest, AMovedFromSecretCannotBeRead) {
  Key key;
  const Key moved = std::move(key);
  EXPECT_DEATH((void)key.view(), "bytes_ != nullptr");
}

TEST(SecretDeathTest, WritingPastASecretIsCaught) {
  EXPECT_DEATH(
      {
        SecretBytes bytes(16);
        volatile std::byte* p = bytes.writable().data();
        for (int i = 0; i < 8192; ++i) p[i] = std::byte{1};
      },
      "");
}

TEST(Secret, WorksWithoutLockedMemory) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &none), 0);
  const SecretBytes bytes = SecretBytes::copy_of(as_bytes("passphrase"));
  EXPECT_EQ(as_text(bytes.view()), "passphrase");
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

TEST(SecretBytes, HaveAnyLengthAndShrink) {
  EXPECT_TRUE(SecretBytes().view().empty());
  EXPECT_TRUE(SecretBytes(0).view().empty());
  EXPECT_TRUE(SecretBytes::copy_of({}).view().empty());
  SecretBytes bytes(5000);
  EXPECT_TRUE(all_zero(bytes.view()));
  bytes.truncate(10);
  EXPECT_EQ(bytes.view().size(), 10u);
}

TEST(Secret, WipeAndCompare) {
  Bytes bytes(40, std::byte{3});
  EXPECT_TRUE(equal_constant_time(bytes, Bytes(40, std::byte{3})));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes(39, std::byte{3})));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes(40, std::byte{4})));
  EXPECT_TRUE(equal_constant_time({}, {}));
  wipe(bytes);
  EXPECT_TRUE(all_zero(bytes));
  wipe({});
}

}  // namespace
}  // namespace coppice::crypto
