// Calendar text to moments and back. UTC is computed with <chrono>; the local zone is the C library's (TZ, /etc/localtime),
// because GCC 12 has no time zone database of its own.
#include "foundation/time.h"

#include <fmt/format.h>
#include <time.h>

#include <chrono>

namespace coppice {
namespace {

struct Civil {
  int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

// Takes characters off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Exactly `count` digits.
  bool take_number(std::size_t count, int& value) {
    if (rest_.size() < count) return false;
    value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return false;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }

 private:
  std::string_view rest_;
};

enum class Precision { kDay, kHour, kMinute, kSecond };
enum class Zone { kLocal, kOffset };

struct TimeText {
  Civil civil;
  Precision precision = Precision::kDay;
  Zone zone = Zone::kLocal;
  std::int64_t offset_seconds = 0;
};

bool scan_clock(Scanner& in, TimeText& out) {
  if (!in.take_number(2, out.civil.hour)) return false;
  out.precision = Precision::kHour;
  if (!in.take(':')) return true;
  if (!in.take_number(2, out.civil.minute)) return false;
  out.precision = Precision::kMinute;
  if (!in.take(':')) return true;
  out.precision = Precision::kSecond;
  return in.take_number(2, out.civil.second);
}

bool scan_zone(Scanner& in, TimeText& out) {
  if (in.at_end()) return true;
  out.zone = Zone::kOffset;
  if (in.take('Z')) return in.at_end();
  const bool east = in.take('+');
  if (!east && !in.take('-')) return false;
  int hours = 0, minutes = 0;
  if (!in.take_number(2, hours) || !in.take(':') || !in.take_number(2, minutes) || !in.at_end()) return false;
  if (hours > 23 || minutes > 59) return false;
  out.offset_seconds = (hours * 3600 + minutes * 60) * (east ? 1 : -1);
  return true;
}

bool is_real(const Civil& c) {
  const std::chrono::year_month_day date(std::chrono::year(c.year), std::chrono::month(static_cast<unsigned>(c.month)),
                                         std::chrono::day(static_cast<unsigned>(c.day)));
  return date.ok() && c.hour <= 23 && c.minute <= 59 && c.second <= 59;  // no leap seconds: POSIX time has none
}

std::int64_t utc_seconds(const Civil& c) {
  const std::chrono::sys_days days =
      std::chrono::year(c.year) / std::chrono::month(static_cast<unsigned>(c.month)) / std::chrono::day(static_cast<unsigned>(c.day));
  return std::int64_t{days.time_since_epoch().count()} * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
}

// mktime normalises: day + 1 is the next day, however long daylight saving makes this one.
std::int64_t local_seconds(const Civil& c, int days_later) {
  tm fields{};
  fields.tm_year = c.year - 1900;
  fields.tm_mon = c.month - 1;
  fields.tm_mday = c.day + days_later;
  fields.tm_hour = c.hour;
  fields.tm_min = c.minute;
  fields.tm_sec = c.second;
  fields.tm_isdst = -1;
  return mktime(&fields);
}

std::int64_t precision_seconds(Precision precision) {
  switch (precision) {
    case Precision::kDay: return 86400;
    case Precision::kHour: return 3600;
    case Precision::kMinute: return 60;
    case Precision::kSecond: return 1;
  }
  return 1;
}

// A moment may come from a hostile snapshot: past the years that a tm can hold, only the number is left to show.
std::string render_beyond_calendar(Timestamp t) { return fmt::format("@{}", t.seconds); }

}  // namespace

std::string render_utc(Timestamp t) {
  const time_t seconds = t.seconds;
  tm fields{};
  if (gmtime_r(&seconds, &fields) == nullptr) return render_beyond_calendar(t);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", std::int64_t{fields.tm_year} + 1900, fields.tm_mon + 1,
                     fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec);
}

std::string render_local(Timestamp t) {
  const time_t seconds = t.seconds;
  tm fields{};
  tzset();  // localtime_r need not look at TZ itself
  if (localtime_r(&seconds, &fields) == nullptr) return render_beyond_calendar(t);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", std::int64_t{fields.tm_year} + 1900, fields.tm_mon + 1,
                     fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec);
}

Result<TimeSpan> parse_time(std::string_view text) {
  const auto refused = [] {
    return fail(ErrorKind::kInvalid, "not a time; write 2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:30Z");
  };
  Scanner in(text);
  TimeText parsed;
  Civil& civil = parsed.civil;
  if (!in.take_number(4, civil.year) || !in.take('-') || !in.take_number(2, civil.month) || !in.take('-') ||
      !in.take_number(2, civil.day))
    return refused();
  if ((in.take('T') || in.take(' ')) && !scan_clock(in, parsed)) return refused();
  if (!scan_zone(in, parsed) || !is_real(civil)) return refused();

  TimeSpan span;
  if (parsed.zone == Zone::kOffset) {
    span.begin.seconds = utc_seconds(civil) - parsed.offset_seconds;
  } else {
    span.begin.seconds = local_seconds(civil, 0);
  }
  if (parsed.zone == Zone::kLocal && parsed.precision == Precision::kDay) {
    span.end.seconds = local_seconds(civil, 1);
  } else {
    span.end.seconds = span.begin.seconds + precision_seconds(parsed.precision);
  }
  return span;
}

}  // namespace coppice
