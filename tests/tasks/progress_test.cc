#include "tasks/progress.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coppice::tasks {
namespace {

TEST(Progress, TheLineSaysWhatAPersonWantsToKnow) {
  RateMeter rate;
  rate.add(0, 0, 0);
  rate.add(5, 1'050'000'000, 12'345);
  const ProgressSample sample{12'345, 1'100'000'000, 78'611, 3'200'000'000, true};
  EXPECT_EQ(render_progress(sample, rate, 200), "12,345 of 78,611 files, 1.10 GB of 3.20 GB, 34 %, 210 MB/s, 0:27 left")
      << "files are the slower of the two here";
  EXPECT_EQ(render_progress(sample, rate, 10), "12,345 of ");
}

TEST(Progress, WithoutATotalThereIsNoShareAndNoTimeLeft) {
  RateMeter rate;
  const ProgressSample sample{10, 1000, 500, 0, false};
  EXPECT_EQ(render_progress(sample, rate, 200), "10 files, 1.00 kB (500 files found so far), 0 B/s");
  const auto json = nlohmann::json::parse(render_progress_json(sample, rate, 1.5));
  EXPECT_EQ(json["type"], "progress");
  EXPECT_EQ(json["total_known"], false);
  EXPECT_FALSE(json.contains("remaining_ms"));
}

TEST(Progress, WhatIsReadIsNotCalledStored) {
  const ProgressSample sample{500, 1000, 500, 1000, true, true, 300};
  EXPECT_EQ(render_progress(sample, {}, 200), "500 files, 1.00 kB are read, 300 B are stored; storing the rest");
  EXPECT_EQ(nlohmann::json::parse(render_progress_json(sample, {}, 1.5))["bytes_stored"], 300);
}

TEST(Progress, NothingDividesByZero) {
  RateMeter rate;
  EXPECT_EQ(render_progress({0, 0, 0, 0, true}, rate, 200), "0 of 0 files, 0 B of 0 B, 0 B/s");
  rate.add(1, 5, 5);
  rate.add(1, 5, 5);
  EXPECT_EQ(rate.bytes_per_second(), 0);
  rate.add(2, 3, 3);  // counters that fall (a file read again) are no negative rate
  EXPECT_EQ(rate.bytes_per_second(), 0);
}

TEST(Progress, TheRateForgetsWhatIsLongPast) {
  RateMeter rate;
  rate.add(0, 0, 0);
  for (int second = 1; second <= 100; ++second) rate.add(second, 1'000'000, 0);
  for (int second = 101; second <= 120; ++second)
    rate.add(second, 1'000'000 + static_cast<std::uint64_t>(second - 100) * 1000, 0);
  EXPECT_NEAR(rate.bytes_per_second(), 1000, 1);
}

}  // namespace
}  // namespace coppice::tasks
