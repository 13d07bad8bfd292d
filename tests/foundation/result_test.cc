#include "foundation/result.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "foundation/check.h"
#include "foundation/queue.h"
#include "support/result.h"

namespace coppice {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ErrorKind::kInvalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) {
  const int h = TRY(half(n));
  return TRY(within(half(h), "second half"));
}

TEST(Result, TryPassesValuesAndErrors) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_FAILS(quarter(3), kInvalid);
  EXPECT_EQ(quarter(6).error().message(), "second half: odd");
}

TEST(Result, AContextIsNotToldTwice) {
  const Error error(ErrorKind::kCorrupt, "packs/0/1/2: too short");
  EXPECT_EQ(error.within("packs/0/1/2").message(), "packs/0/1/2: too short");
  EXPECT_EQ(error.within("packs/0/1").message(), "packs/0/1: packs/0/1/2: too short");
  EXPECT_EQ(error.within("reading").within("reading").message(), "reading: packs/0/1/2: too short");
}

TEST(Result, ErrnoBecomesWhatCallersActOn) {
  EXPECT_EQ(errno_error(ENOENT, "x").kind(), ErrorKind::kNotFound);
  EXPECT_EQ(errno_error(ENOSPC, "x").kind(), ErrorKind::kExhausted);
  EXPECT_EQ(errno_error(EROFS, "x").kind(), ErrorKind::kDenied);
  EXPECT_EQ(errno_error(EEXIST, "x").kind(), ErrorKind::kConflict);
  EXPECT_EQ(errno_error(EIO, "x").kind(), ErrorKind::kUnavailable);
}

TEST(CheckDeathTest, EndsTheProgramInEveryBuild) { EXPECT_DEATH(CHECK(1 + 1 == 3), "1 \\+ 1 == 3 is not true"); }

TEST(BoundedQueue, PassesEverythingFromManyToManyAndDrainsAfterClose) {
  constexpr int kPerProducer = 2000;
  BoundedQueue<int> queue(4);
  std::atomic<long> sum{0};
  {
    std::vector<std::jthread> consumers;
    for (int i = 0; i < 3; ++i)
      consumers.emplace_back([&] {
        while (const auto item = queue.pop()) sum += *item;
      });
    {
      std::vector<std::jthread> producers;
      for (int i = 0; i < 3; ++i)
        producers.emplace_back([&] {
          for (int n = 1; n <= kPerProducer; ++n) EXPECT_TRUE(queue.push(n));
        });
    }
    queue.close();
  }
  EXPECT_EQ(sum, 3L * kPerProducer * (kPerProducer + 1) / 2);
  EXPECT_FALSE(queue.push(1));
}

TEST(BoundedQueue, HoldsWhatItsItemsCostTogether) {
  BoundedQueue<int> queue(10);
  EXPECT_FALSE(queue.try_pop());
  int big = 1, small = 2;
  EXPECT_TRUE(queue.try_push(big, 50));   // alone, whatever it costs
  EXPECT_FALSE(queue.try_push(small, 1));
  EXPECT_EQ(queue.try_pop(), 1);
  EXPECT_TRUE(queue.try_push(small, 7));
  EXPECT_FALSE(queue.try_push(big, 4));
  EXPECT_TRUE(queue.try_push(big, 3));
  EXPECT_EQ(queue.pop(), 2);
  queue.close();
  EXPECT_FALSE(queue.try_push(small, 1));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_FALSE(queue.pop());
}

}  // namespace
}  // namespace coppice
