// Keep rules: what they are for, then what must hold for any rules and any times.
#include "policy/keep.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "policy/moment.h"
#include "support/result.h"

namespace coppice::policy {
namespace {

TimeZone shanghai() { return *TimeZone::find("Asia/Shanghai"); }

std::vector<KeepItem> whole(const std::vector<Timestamp>& times) {
  std::vector<KeepItem> items;
  for (const Timestamp t : times) items.push_back({.time = t});
  return items;
}
std::vector<Timestamp> kept(const KeepRules& rules, const std::vector<Timestamp>& times, Timestamp now, const TimeZone& zone) {
  const auto verdicts = decide_keep(rules, whole(times), now, zone);
  EXPECT_EQ(verdicts.size(), times.size());
  std::vector<Timestamp> stay;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    EXPECT_FALSE(verdicts[i].reasons.empty());
    if (verdicts[i].keep) stay.push_back(times[i]);
  }
  return stay;
}
std::vector<std::string> days(const std::vector<Timestamp>& times) {
  std::vector<std::string> result;
  for (const Timestamp t : times) result.push_back(render_utc(t).substr(0, 10));
  return result;
}

// A snapshot at 08:00 in Shanghai on each day of 2026.
std::vector<Timestamp> a_year() {
  std::vector<Timestamp> times;
  for (int day = 0; day < 365; ++day) times.push_back({at("2026-01-01").seconds + day * 86400, 0});
  return times;
}

TEST(Keep, AYearOfDailySnapshots) {
  const KeepRules rules{.last = 3, .daily = 7, .weekly = 4, .monthly = 12};
  const auto stay = kept(rules, a_year(), at("2027-01-01"), shanghai());
  const std::vector<std::string> wanted{
      "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31",
      "2026-09-30", "2026-10-31", "2026-11-30",                                        // newest of each month
      "2026-12-13", "2026-12-20",                                                      // Sundays
      "2026-12-25", "2026-12-26", "2026-12-27", "2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31"};
  EXPECT_EQ(days(stay), wanted);
}

TEST(Keep, APartialSnapshotMovesNoWholeOneOut) {
  const KeepRules rules{.last = 2, .daily = 2};
  std::vector<KeepItem> items;
  for (int day = 1; day <= 6; ++day) items.push_back({.time = at(fmt::format("2026-11-0{}", day)), .partial = day > 3});
  std::vector<std::string> stay;
  const auto verdicts = decide_keep(rules, items, at("2026-12-01"), shanghai());
  for (std::size_t i = 0; i < items.size(); ++i)
    if (verdicts[i].keep) stay.push_back(render_utc(items[i].time).substr(8, 2));
  EXPECT_EQ(stay, (std::vector<std::string>{"02", "03", "05", "06"})) << "two whole ones, and of the partial ones what would stay anyway";
}

TEST(Keep, EveryVerdictSaysWhy) {
  const std::vector<Timestamp> times{at("2026-11-20T00:00"), at("2026-11-21T00:00"), at("2026-11-22T00:00"), at("2026-11-22T12:00")};
  const auto verdicts = decide_keep({.last = 1, .hourly = 1, .daily = 2, .weekly = 1, .monthly = 1, .yearly = 1, .within = std::chrono::hours(36)},
                                    whole(times), at("2026-11-23"), shanghai());
  using Reasons = std::vector<std::string>;
  EXPECT_EQ(verdicts[3].reasons, (Reasons{"last 1 of 1", "hourly 2026-11-22 20h", "daily 2026-11-22", "weekly 2026-W47",
                                          "monthly 2026-11", "yearly 2026", "within 36 h"}));
  EXPECT_EQ(verdicts[2].reasons, (Reasons{"within 36 h"})) << "the day has a newer one";
  EXPECT_EQ(verdicts[1].reasons, (Reasons{"daily 2026-11-21", "within 36 h"}));
  EXPECT_EQ(verdicts[0].reasons, (Reasons{"no rule keeps it"}));
  EXPECT_FALSE(verdicts[0].keep);
}

TEST(Keep, DaysWithoutSnapshotsDoNotCount) {
  const std::vector<Timestamp> times{at("2020-01-01"), at("2023-05-05"), at("2026-11-22")};
  EXPECT_EQ(kept({.daily = 3}, times, at("2026-11-23"), shanghai()).size(), 3u);
  EXPECT_EQ(days(kept({.yearly = 2}, times, at("2026-11-23"), shanghai())), (std::vector<std::string>{"2023-05-05", "2026-11-22"}));
}

TEST(Keep, DaysAreThoseOfTheZone) {
  const std::vector<Timestamp> times{at("2026-11-21T15:00"), at("2026-11-21T17:00")};  // 23:00, and 01:00 of the next day
  EXPECT_EQ(kept({.daily = 2}, times, at("2026-11-23"), shanghai()).size(), 2u);
  EXPECT_EQ(kept({.daily = 2}, times, at("2026-11-23"), TimeZone()).size(), 1u);
}

TEST(Keep, AnHourThatTheClockShowsTwiceIsTwo) {
  const TimeZone berlin = *TimeZone::find("Europe/Berlin");
  const std::vector<Timestamp> times{at("2027-10-31T00:10"), at("2027-10-31T00:40"), at("2027-10-31T01:10"), at("2027-10-31T01:40")};   // 02:10 and 02:40, twice
  EXPECT_EQ(kept({.hourly = 9}, times, at("2027-11-01"), berlin), (std::vector{times[1], times[3]}));
  EXPECT_EQ(kept({.daily = 9}, times, at("2027-11-01"), berlin), std::vector{times[3]});
}

TEST(Keep, WeeksBeginOnMondayAndBelongToTheYearOfTheirThursday) {
  const std::vector<Timestamp> times{at("2026-12-27T01"), at("2026-12-28T01"), at("2027-01-03T01"), at("2027-01-04T01")};
  const auto verdicts = decide_keep({.weekly = 9}, whole(times), at("2027-02-01"), TimeZone());
  EXPECT_EQ(verdicts[0].reasons.front(), "weekly 2026-W52");
  EXPECT_FALSE(verdicts[1].keep);
  EXPECT_EQ(verdicts[2].reasons.front(), "weekly 2026-W53");
  EXPECT_EQ(verdicts[3].reasons.front(), "weekly 2027-W01");
}

TEST(Keep, NoRulesKeepEverything) { EXPECT_EQ(kept({}, a_year(), at("2026-06-01"), shanghai()).size(), 365u); }

TEST(Keep, WrongClocksLoseNothing) {
  // One snapshot was made while the clock was ahead: it stays, and the others are judged without it.
  std::vector<Timestamp> times{at("2026-11-20"), at("2026-11-21"), at("2026-11-22"), at("2099-01-01")};
  const KeepRules rules{.last = 1, .within = std::chrono::hours(30)};
  EXPECT_EQ(days(kept(rules, times, at("2026-11-23"), TimeZone())), (std::vector<std::string>{"2026-11-21", "2026-11-22", "2099-01-01"}));
  // The clock is ten years ahead, or the host stood still for as long.
  times.pop_back();
  EXPECT_EQ(kept(rules, times, at("2036-11-23"), TimeZone()), kept(rules, times, at("2026-11-23"), TimeZone()));
  // The clock went back to before all of them.
  EXPECT_EQ(kept(rules, times, at("1970-01-01"), TimeZone()).size(), 3u);
}

TEST(Keep, TimesBeyondAllCalendars) {
  constexpr Timestamp kFirst{.seconds = std::numeric_limits<std::int64_t>::min()}, kLast{.seconds = std::numeric_limits<std::int64_t>::max()};
  EXPECT_EQ(kept({.within = std::chrono::hours(1)}, {kFirst, {}}, {}, shanghai()), std::vector<Timestamp>{{}});
  EXPECT_EQ(kept({.within = std::chrono::hours(1)}, {kFirst, {}, kLast}, kLast, TimeZone()), std::vector<Timestamp>{kLast});
  for (const TimeZone& zone : {TimeZone(), shanghai()}) {
    const auto verdicts = decide_keep({.daily = 9}, whole({kFirst, Timestamp{}, kLast}), kLast, zone);
    for (const KeepVerdict& verdict : verdicts) EXPECT_TRUE(verdict.keep);
    EXPECT_EQ(verdicts[0].reasons, std::vector<std::string>{"daily 0001-01-01"});
  }
}

TEST(Keep, WhateverTheRulesAndTimes) {
  std::mt19937 random(20261122);
  for (int round = 0; round < 300; ++round) {
    KeepRules rules;
    for (auto* count : {&rules.last, &rules.hourly, &rules.daily, &rules.weekly, &rules.monthly, &rules.yearly}) {
      if (random() % 3 == 0) *count = 1 + random() % 10;
    }
    if (random() % 3 == 0) rules.within = std::chrono::hours(1 + random() % 1000);
    if (rules.empty()) rules.last = 1;
    const Timestamp now = at("2026-11-23");
    std::vector<Timestamp> times;
    for (unsigned i = 0, n = 1 + random() % 60; i < n; ++i)
      times.push_back({now.seconds - static_cast<std::int64_t>(random() % (round % 2 ? 400u * 86400 : 5u * 86400)), 0});
    if (round % 3) std::sort(times.begin(), times.end());
    if (round % 5 == 0) times.push_back(times.front());
    SCOPED_TRACE(fmt::format("round {}", round));
    const auto stay = kept(rules, times, now, shanghai());
    EXPECT_EQ(kept(rules, stay, now, shanghai()), stay) << "applied again, the same rules drop nothing more";
    EXPECT_TRUE(std::find(stay.begin(), stay.end(), *std::max_element(times.begin(), times.end())) != stay.end()) << "the newest stays";
    KeepRules more = rules;
    more.daily += 1;
    EXPECT_GE(kept(more, times, now, shanghai()).size(), stay.size()) << "keeping more loses nothing";
  }
}

}  // namespace
}  // namespace coppice::policy
