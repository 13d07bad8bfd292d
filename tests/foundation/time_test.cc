#include "foundation/time.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <limits>

#include "support/result.h"

namespace coppice {
namespace {

// The local zone for one test: written as a POSIX rule, so that no zone files are needed.
class LocalZone {
 public:
  explicit LocalZone(const char* rule) {
    if (const char* before = getenv("TZ")) before_ = before;
    setenv("TZ", rule, 1);
    tzset();
  }
  ~LocalZone() {
    if (before_) {
      setenv("TZ", before_->c_str(), 1);
    } else {
      unsetenv("TZ");
    }
    tzset();
  }

 private:
  std::optional<std::string> before_;
};

constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

TEST(RenderTime, Utc) {
  EXPECT_EQ(render_utc({0, 0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(render_utc({1795334400, 999'999'999}), "2026-11-22T08:00:00Z");
  EXPECT_EQ(render_utc({-1, 0}), "1969-12-31T23:59:59Z");
}

TEST(RenderTime, MomentsBeyondAnyCalendarAreShownAsNumbers) {
  EXPECT_EQ(render_utc({std::numeric_limits<std::int64_t>::max(), 0}), "@9223372036854775807");
  EXPECT_EQ(render_local({std::numeric_limits<std::int64_t>::min(), 0}), "@-9223372036854775808");
}

TEST(RenderTime, Local) {
  const LocalZone zone(kBerlin);
  EXPECT_EQ(render_local({1795334400, 0}), "2026-11-22 09:00:00");
}

TEST(ParseTime, EachPrecisionNamesASpan) {
  const std::tuple<const char*, std::int64_t, std::int64_t> cases[] = {
      {"2026-11-22Z", 1795305600, 86400},           {"2026-11-22T08Z", 1795334400, 3600},
      {"2026-11-22T08:00Z", 1795334400, 60},        {"2026-11-22T08:00:30Z", 1795334430, 1},
      {"2026-11-22 08:00:30Z", 1795334430, 1},      {"2026-11-22T08:00+01:00", 1795330800, 60},
      {"2026-11-22T08:00:00-05:30", 1795354200, 1}, {"2024-02-29Z", 1709164800, 86400},
      {"1969-12-31T23:59:59Z", -1, 1},
  };
  for (const auto& [text, begin, length] : cases) {
    const auto span = parse_time(text);
    ASSERT_OK(span) << text;
    EXPECT_EQ(span->begin.seconds, begin) << text;
    EXPECT_EQ(span->end.seconds - span->begin.seconds, length) << text;
    EXPECT_EQ(span->begin.nanoseconds, 0u);
  }
}

TEST(ParseTime, WithoutZoneItIsLocal) {
  const LocalZone zone(kBerlin);
  const auto span = parse_time("2026-11-22T09:00");
  ASSERT_OK(span);
  EXPECT_EQ(span->begin.seconds, 1795334400);
}

TEST(ParseTime, ALocalDayIsAsLongAsTheZoneMakesIt) {
  const LocalZone zone(kBerlin);
  const std::pair<const char*, std::int64_t> cases[] = {{"2026-03-29", 23 * 3600}, {"2026-10-25", 25 * 3600}, {"2026-12-31", 24 * 3600}};
  for (const auto& [text, length] : cases) {
    const auto span = parse_time(text);
    ASSERT_OK(span) << text;
    EXPECT_EQ(span->end.seconds - span->begin.seconds, length) << text;
  }
}

TEST(ParseTime, RoundTripsWithRenderUtc) {
  for (std::int64_t t = -5'000'000'000; t < 20'000'000'000; t += 98'765'431) {
    const auto span = parse_time(render_utc({t, 0}));
    ASSERT_OK(span);
    EXPECT_EQ(span->begin.seconds, t);
  }
}

TEST(ParseTime, RefusesWhatIsNoMoment) {
  for (const char* text : {"", "now", "2026", "2026-11", "2026-1-2", "2026-13-01", "2026-00-01", "2026-02-29", "2026-11-31", "2026-11-22T",
                           "2026-11-22T24", "2026-11-22T08:60", "2026-11-22T08:00:60", "2026-11-22T08:00:00.5", "2026-11-22T8:00",
                           "2026-11-22T08:00+1", "2026-11-22T08:00+0100", "2026-11-22T08:00+24:00", "2026-11-22T08:00Zz", "2026-11-22x",
                           " 2026-11-22", "2026-11-22 ", "+026-11-22", "2026-11-22T08:"})
    EXPECT_FAILS(parse_time(text), kInvalid) << text;
}

}  // namespace
}  // namespace coppice
