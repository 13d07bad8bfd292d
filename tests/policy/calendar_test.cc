// Calendar events: what is understood, golden cases, and the whole against systemd itself where it is there.
#include "policy/calendar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "policy/moment.h"
#include "support/result.h"

namespace coppice::policy {
namespace {

Calendar calendar(std::string_view text) {
  auto parsed = Calendar::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().message());
  return parsed ? *parsed : Calendar();
}
TimeZone zone(std::string_view name) {
  auto found = TimeZone::find(name);
  EXPECT_TRUE(found) << name << ": " << (found ? "" : found.error().message());
  return found ? *found : TimeZone();
}
std::string next_utc(const char* text, const char* zone_name, const char* after) {
  const auto next = calendar(text).next(at(after), zone(zone_name));
  return next ? render_utc(*next) : "never";
}
std::string previous_utc(const char* text, const char* zone_name, const char* from) {
  const auto previous = calendar(text).previous(at(from), zone(zone_name));
  return previous ? render_utc(*previous) : "never";
}

TEST(Calendar, TheNormalFormIsThatOfSystemd) {
  const std::pair<const char*, const char*> cases[] = {
      {"08:00", "*-*-* 08:00:00"},
      {"8:5", "*-*-* 08:05:00"},
      {"daily", "*-*-* 00:00:00"},
      {"Hourly", "*-*-* *:00:00"},
      {"weekly", "Mon *-*-* 00:00:00"},
      {"quarterly", "*-01,04,07,10-01 00:00:00"},
      {"Mon..Fri 02:30", "Mon..Fri *-*-* 02:30:00"},
      {"sunday,MON,tue 1:00", "Mon,Tue,Sun *-*-* 01:00:00"},
      {"Mon", "Mon *-*-* 00:00:00"},
      {"Sat *-*-1..7 18:00", "Sat *-*-01..07 18:00:00"},
      {"*:0/15", "*-*-* *:00/15:00"},
      {"12-25", "*-12-25 00:00:00"},
      {"26-12-24", "2026-12-24 00:00:00"},
      {"5,3,1:00", "*-*-* 01,03,05:00:00"},
      {"00..23/2:5", "*-*-* 00..22/2:05:00"},
      {"2..2/3:00", "*-*-* 02:00:00"},
      {"12/12:00", "*-*-* 12:00:00"},
      {"*:45/15,0", "*-*-* *:00,45:00"},
      {"2..9/3,14..23/12:00", "*-*-* 02..08/3,14:00:00"},
      {"*-10/3-31/1", "*-10-31 00:00:00"},
      {"2190/10-1-1", "2190-01-01 00:00:00"},
      {"*-*~1/1", "*-*~01 00:00:00"},
      {"*-*~5/5", "*-*~05 00:00:00"},
      {"*-*~1..6/2", "*-*~01..05/2 00:00:00"},
      {"*-*~1,25", "*-*~01,25 00:00:00"},
      {"*-*~1", "*-*~01 00:00:00"},
      {"*-05~07/1 23:00", "*-05~07/1 23:00:00"},
      {"Mon..Sun 04:00", "*-*-* 04:00:00"},
      {"  Fri   2027-*-13   12:00:30 ", "Fri 2027-*-13 12:00:30"}};
  for (const auto& [text, form] : cases) {
    EXPECT_EQ(calendar(text).systemd_form(), form) << text;
    EXPECT_EQ(calendar(form), calendar(text)) << "the normal form means the same: " << text;
  }
}

TEST(Calendar, WhatIsNoEventIsRefusedWithValidForms) {
  for (const char* bad :
       {"", " ", "8", "*", "24:00", "12:60", "8:0:60", "10..5:00", "Fri..Mon", "Mon,,Tue", "Mon,", "Mun 08:00", "Mon *",
        "*-*~0", "*-0-1", "*-13-1", "*-*-32", "*-02-30", "*-*~29", "*-*~14,28", "*-*~1,2,23", "1969-01-01", "2200-01-01", "0/90:00", "0/0:00", "*/2:00",
        "1,2..4/2,*:0", "*-*-*T08:00", "08:00:00.5", "08:00 09:00", "08:00 daily", "*~*-1", "1-2-3-4", "08:00:00:00",
        "-1:00", "+1:00", "99999999999:00", "next week", "08.00", "08:00 Mon"}) {
    const auto parsed = Calendar::parse(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(parsed.error().message().find("Mon..Fri 02:30"), std::string::npos) << parsed.error().message();
  }
  for (const char* with_zone : {"08:00 Europe/Berlin", "08:00 UTC", "Asia/Shanghai 08:00"}) {
    const auto parsed = Calendar::parse(with_zone);
    ASSERT_FALSE(parsed) << with_zone;
    EXPECT_NE(parsed.error().message().find("timezone = "), std::string::npos) << parsed.error().message();
  }
}

TEST(Calendar, EightOClockInShanghai) {
  EXPECT_EQ(next_utc("08:00", "Asia/Shanghai", "2026-11-22T00:00:00"), "2026-11-23T00:00:00Z");
  EXPECT_EQ(next_utc("08:00", "Asia/Shanghai", "2026-11-21T23:59:59"), "2026-11-22T00:00:00Z");
  EXPECT_EQ(previous_utc("08:00", "Asia/Shanghai", "2026-11-22T00:00:00"), "2026-11-22T00:00:00Z") << "at it is not before";
  EXPECT_EQ(previous_utc("08:00", "Asia/Shanghai", "2026-11-21T23:59:59"), "2026-11-21T00:00:00Z");
}

TEST(Calendar, DaysFromTheEndOfAMonth) {
  EXPECT_EQ(next_utc("*-*~1", "UTC", "2028-02-01"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(next_utc("*-02~03", "UTC", "2026-01-01"), "2026-02-26T00:00:00Z");
  EXPECT_EQ(next_utc("Mon *-05~07/1", "UTC", "2026-01-01"), "2026-05-25T00:00:00Z") << "memorial day";
  EXPECT_EQ(next_utc("*-*~1..6/2", "UTC", "2027-01-01"), "2027-01-27T00:00:00Z") << "the fifth, third and last";
  EXPECT_EQ(next_utc("*-*~5/4", "UTC", "2027-01-28"), "2027-01-31T00:00:00Z");
}

TEST(Calendar, AnHourThatTheClockJumpsOverIsLeftOut) {
  EXPECT_EQ(next_utc("02:30", "Europe/Berlin", "2026-03-28T02:00"), "2026-03-30T00:30:00Z");
  EXPECT_EQ(previous_utc("02:30", "Europe/Berlin", "2026-03-29T12:00"), "2026-03-28T01:30:00Z");
  EXPECT_EQ(next_utc("*:0/30", "Europe/Berlin", "2026-03-29T00:30"), "2026-03-29T01:00:00Z");
}

TEST(Calendar, AnHourThatComesTwiceCountsOnce) {
  EXPECT_EQ(next_utc("02:30", "Europe/Berlin", "2026-10-24T20:00"), "2026-10-25T00:30:00Z");
  EXPECT_EQ(next_utc("02:30", "Europe/Berlin", "2026-10-25T00:30"), "2026-10-26T01:30:00Z");
  EXPECT_EQ(next_utc("*:0/30", "Europe/Berlin", "2026-10-25T00:30"), "2026-10-25T02:00:00Z");
  EXPECT_EQ(previous_utc("02:30", "Europe/Berlin", "2026-10-25T01:10"), "2026-10-25T00:30:00Z")
      << "the clock shows 02:10 again, and 02:30 was already";
}

TEST(Calendar, ItEnds) {
  EXPECT_EQ(next_utc("2030-01-01", "UTC", "2030-01-01"), "never");
  EXPECT_EQ(previous_utc("2030-01-01", "UTC", "2029-12-31"), "never");
  for (const std::int64_t seconds : {INT64_MIN, INT64_MIN + 1, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
    calendar("08:00").next({seconds, 0}, zone("Asia/Shanghai"));
    calendar("08:00").previous({seconds, 0}, zone("Asia/Shanghai"));
  }
}

TEST(Zone, UnknownOnesAreRefusedWithTheNearest) {
  const auto wrong = TimeZone::find("Europe/Berlim");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message().find("Europe/Berlin"), std::string::npos) << wrong.error().message();
  for (const char* bad : {"Mars/Olympus", "../../etc/passwd", "Europe", "europe/berlin"}) EXPECT_FALSE(TimeZone::find(bad)) << bad;
  EXPECT_EQ(zone("Asia/Shanghai").render(at("2026-11-22")), "2026-11-22 08:00:00 CST");
  ASSERT_OK(TimeZone::find(""));
}

// The tables of zones end with 2037; what goes on from there is a rule. glibc knows it too.
TEST(Zone, AfterTheTablesEndTheRulesGoOn) {
  const char* before = std::getenv("TZ");
  const std::string kept = before ? before : "";
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland", "America/Sao_Paulo",
                           "Africa/Casablanca", "Africa/Cairo", "Asia/Shanghai"}) {
    const TimeZone where = zone(name);
    setenv("TZ", name, 1);
    tzset();
    for (std::int64_t t = at("2036-06-01").seconds; t < at("2105-06-01").seconds; t += 25 * 3600 + 600) {
      std::tm wall{};
      ASSERT_TRUE(localtime_r(&t, &wall));
      ASSERT_EQ(where.wall({t}).time_since_epoch().count() - t, wall.tm_gmtoff) << name << " " << render_utc({t});
      const auto again = where.moment(where.wall({t}));
      ASSERT_TRUE(again) << name << " " << render_utc({t});
      ASSERT_TRUE(again->seconds == t || where.latest_wall({t}) != where.wall({t})) << name << " " << render_utc({t});
    }
  }
  if (before)
    setenv("TZ", kept.c_str(), 1);
  else
    unsetenv("TZ");
  tzset();
  EXPECT_EQ(next_utc("02:30", "Europe/Berlin", "2040-03-24T12:00"), "2040-03-26T00:30:00Z") << "the clock jumps over it on the 25th";
  EXPECT_EQ(next_utc("02:30", "Europe/Berlin", "2040-10-28T00:30"), "2040-10-29T01:30:00Z") << "it comes twice on the 28th";
  EXPECT_EQ(zone("America/New_York").render(at("2100-07-04T12:00")), "2100-07-04 08:00:00 EDT");
}

// ---- over generated events ----

constexpr const char* kZones[] = {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai",
                                  "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo"};

std::string some_field(std::mt19937& random, unsigned min, unsigned max) {
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto value = [&] { return min + below(max - min + 1); };
  const auto range = [&] {
    const unsigned a = value(), b = value();
    return fmt::format("{}..{}", std::min(a, b), std::max(a, b));
  };
  switch (below(6)) {
    case 0: return "*";
    case 1: return fmt::format("{}", value());
    case 2: return fmt::format("{},{}", value(), value());
    case 3: return range();
    case 4: return fmt::format("{}/{}", range(), 1 + below(max - min));
    default: return fmt::format("{}/{}", value(), 1 + below((max - min) / 2));
  }
}
std::string some_event(std::mt19937& random) {
  constexpr const char* kDays[] = {"", "", "Mon..Fri ", "Sat,Sun ", "Wed "};
  std::string text = kDays[random() % 5];
  if (random() % 3 == 0) {
    const bool from_end = random() % 3 == 0;
    text += fmt::format("*-{}{}{} ", some_field(random, 1, 12), from_end ? "~" : "-", some_field(random, 1, 28));
  }
  return text + fmt::format("{}:{}", some_field(random, 0, 23), some_field(random, 0, 59));
}
std::mt19937 seeded() {
  const char* chosen = std::getenv("COPPICE_SEED");
  const unsigned seed = chosen ? static_cast<unsigned>(std::strtoul(chosen, nullptr, 10)) : 20261122u;
  ::testing::Test::RecordProperty("seed", static_cast<int>(seed));
  return std::mt19937(seed);
}
// Half of the moments lie near a change of clocks.
Timestamp some_moment(std::mt19937& random) {
  constexpr const char* kChanges[] = {"2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00",
                                      "2026-04-04T15:00", "2026-10-03T15:30", "2011-12-30T10:00", "2018-11-04T03:00",
                                      "2037-10-25T01:00", "2040-03-25T01:00", "2040-10-28T01:00", "2044-11-06T06:00"};
  Timestamp moment = at(kChanges[random() % std::size(kChanges)]);
  const std::int64_t reach = random() % 2 == 0 ? 4 * 3600 : 400 * 86400;
  moment.seconds += static_cast<std::int64_t>(random() % static_cast<unsigned>(2 * reach)) - reach;
  return moment;
}

TEST(Calendar, NextIsLaterAndPreviousOfItIsItself) {
  auto random = seeded();
  for (int round = 0; round < 400; ++round) {
    const std::string text = some_event(random);
    const auto event = Calendar::parse(text);
    if (!event) continue;  // a February 30th
    EXPECT_EQ(calendar(event->systemd_form()), *event) << text;
    const TimeZone where = zone(kZones[random() % std::size(kZones)]);
    const Timestamp moment = some_moment(random);
    SCOPED_TRACE(fmt::format("{} in {} after {}", text, where.name(), render_utc(moment)));
    const auto next = event->next(moment, where);
    const auto previous = event->previous(moment, where);
    ASSERT_TRUE(next && previous);
    EXPECT_GT(*next, moment);
    EXPECT_LE(*previous, moment);
    EXPECT_EQ(event->previous(*next, where), next) << "it is its own last one";
    EXPECT_EQ(event->next(*previous, where), next) << "nothing lies between the last one and the next";
    EXPECT_EQ(event->previous({next->seconds - 1, 0}, where), previous);
  }
}

// The "(in UTC)" lines of systemd-analyze, and none when it is not there.
std::vector<std::string> systemd_says(const std::string& text, const std::string& zone_name, Timestamp after, int count) {
  std::string base = render_utc(after);
  base[10] = ' ';
  base.replace(19, 1, " UTC");
  const std::string command = fmt::format("TZ={} systemd-analyze calendar --base-time='{}' --iterations={} '{}' 2>/dev/null",
                                          zone_name, base, count, text);
  std::vector<std::string> lines;
  std::FILE* pipe = popen(command.c_str(), "r");
  char line[512];
  while (pipe && std::fgets(line, sizeof line, pipe)) {
    const std::string_view read(line);
    const auto found = read.find("(in UTC): ");
    if (found == std::string_view::npos) continue;
    std::string moment(read.substr(found + 14, 19));  // without the weekday
    moment[10] = 'T';
    lines.push_back(moment + "Z");
  }
  if (pipe) pclose(pipe);
  return lines;
}

TEST(Calendar, SystemdAgrees) {
  if (systemd_says("08:00", "Europe/Berlin", at("2026-11-22"), 1).empty()) GTEST_SKIP() << "systemd-analyze is not here";
  auto random = seeded();
  int compared = 0;
  for (int round = 0; round < 60; ++round) {
    const std::string text = some_event(random);
    const auto event = Calendar::parse(text);
    if (!event) continue;
    const std::string name = kZones[1 + random() % (std::size(kZones) - 1)];
    const TimeZone where = zone(name);
    Timestamp moment = some_moment(random);
    SCOPED_TRACE(fmt::format("{} in {} after {}", text, name, render_utc(moment)));
    const auto said = systemd_says(event->systemd_form(), name, moment, 12);   // as a timer has it
    EXPECT_FALSE(said.empty()) << "systemd refuses " << event->systemd_form();
    for (const std::string& wanted : said) {
      const auto next = event->next(moment, where);
      ASSERT_TRUE(next);
      ASSERT_EQ(render_utc(*next), wanted);
      moment = *next;
      ++compared;
    }
  }
  EXPECT_GT(compared, 400);
}

}  // namespace
}  // namespace coppice::policy
