// Clock and entropy.
#include <gtest/gtest.h>

#include "platform/clock.h"
#include "platform/entropy.h"

namespace coppice::platform {
namespace {

TEST(Clock, SystemTimePassesAndManualTimeStands) {
  EXPECT_GT(system_clock().now().seconds, 1'600'000'000);
  const auto earlier = system_clock().monotonic_ns();
  EXPECT_LE(earlier, system_clock().monotonic_ns());
  ManualClock clock({100, 5});
  EXPECT_EQ(clock.now(), (Timestamp{100, 5}));
  const auto before = clock.monotonic_ns();
  clock.advance_seconds(2);
  EXPECT_EQ(clock.now(), (Timestamp{102, 5}));
  EXPECT_EQ(clock.monotonic_ns() - before, 2'000'000'000u);
}

TEST(Entropy, SystemFillsEverythingDifferentlyEachTime) {
  Bytes a(1000), b(1000);
  system_entropy().fill(a);
  system_entropy().fill(b);
  EXPECT_FALSE(equal(a, b));
  EXPECT_FALSE(equal(ByteSpan(a).last(16), Bytes(16, std::byte{0})));
  system_entropy().fill({});
}

TEST(Entropy, TheSameSeedGivesTheSameBytes) {
  SeededEntropy one(7), same(7), other(8);
  Bytes a(37), b(37), c(37);
  one.fill(a);
  same.fill(b);
  other.fill(c);
  EXPECT_TRUE(equal(a, b));
  EXPECT_FALSE(equal(a, c));
  one.fill(b);
  EXPECT_FALSE(equal(a, b));
}

}  // namespace
}  // namespace coppice::platform
