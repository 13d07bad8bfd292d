#include "policy/time_zone.h"

#include <date/tz.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <stdexcept>

#include "foundation/encoding.h"
#include "policy/nearest.h"

namespace coppice::policy {

namespace {
using std::chrono::seconds;

date::local_seconds of(WallTime wall) { return date::local_seconds(wall.time_since_epoch()); }
// A snapshot may claim any time. What lies beyond the years 1 and 9999 is shown as their first and last second: calendars end not far behind.
constexpr std::int64_t kFirstSecond = -62'135'596'800, kLastSecond = 253'402'300'799;
std::chrono::sys_seconds of(Timestamp t) {
  return std::chrono::sys_seconds(seconds(std::clamp(t.seconds, kFirstSecond, kLastSecond)));
}

// By how much to go back for what a zone says of a moment or of a wall clock. The tables of zones end with 2037, and the
// library does not read the rule that goes on from there. Such rules name days of weeks in months: a year that has the
// same weekdays, counted from March, so that a leap day is its last, changes its clocks on the same days.
seconds beyond_the_table(const date::time_zone& zone, seconds t) {
  using namespace std::chrono;
  constexpr auto march = [](year y) { return sys_days(y / March / 1); };
  if (t < march(year(2038)).time_since_epoch() || t > march(year(9999)).time_since_epoch()) return seconds(0);
  const year_month_day last{floor<days>(zone.get_info(sys_seconds(t)).begin)};
  if (last.year() != year(2037)) return seconds(0);  // without a rule that goes on, or with a longer table
  const year_month_day date{sys_days(floor<days>(t))};
  const sys_days begin = march(date.month() < March ? date.year() - years(1) : date.year());
  constexpr int kAlike[] = {2037, 2032, 2033, 2034, 2035, 2030, 2036};  // the first of March on a Sunday, on a Monday, ...
  return begin - march(year(kAlike[weekday(begin).c_encoding()]));
}

date::sys_info info_at(const date::time_zone& zone, Timestamp t) {
  return zone.get_info(of({.seconds = t.seconds - beyond_the_table(zone, seconds(t.seconds)).count()}));
}
// With moments as they are in the year that is alike: `back` before those that are meant.
date::local_info info_at(const date::time_zone& zone, WallTime wall, seconds& back) {
  back = beyond_the_table(zone, wall.time_since_epoch());
  return zone.get_info(of(wall - back));
}

bool exists(const char* path) {
  struct stat status {};
  return stat(path, &status) == 0;
}
}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  TimeZone found;
  if (name == "UTC") return found;
  // The library reads the zones of the host when it is first used, and throws.
  try {
    if (name.empty()) {
      if (!exists("/etc/localtime")) return found;
      found.zone_ = date::current_zone();
      return found;
    }
    const auto& zones = date::get_tzdb().zones;
    for (const auto& zone : zones) {
      if (zone.name() != name) continue;
      found.zone_ = &zone;
      found.zone_->get_info(std::chrono::sys_seconds{});  // reads its file
      return found;
    }
    std::vector<std::string_view> names;
    for (const auto& zone : zones) names.push_back(zone.name());
    const auto near = nearest(name, names);
    return fail(ErrorKind::kInvalid,
                fmt::format("this host knows no time zone '{}'{}; write it as \"Europe/Berlin\" or \"UTC\"",
                            render_printable(name), near ? fmt::format(" (is '{}' meant?)", *near) : ""));
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInvalid, name.empty() ? fmt::format("the host's time zone cannot be told by /etc/localtime "
                                                                "({}): name one with timezone = \"Europe/Berlin\"",
                                                                error.what())
                                                  : fmt::format("time zone '{}': {}; is the package tzdata there?",
                                                                render_printable(name), error.what()));
  }
}

std::string TimeZone::name() const { return zone_ ? zone_->name() : "UTC"; }

WallTime TimeZone::wall(Timestamp t) const {
  return WallTime(of(t).time_since_epoch() + (zone_ ? info_at(*zone_, t).offset : seconds(0)));
}

std::optional<Timestamp> TimeZone::moment(WallTime wall) const {
  if (!zone_) return Timestamp{.seconds = wall.time_since_epoch().count()};
  seconds back;
  const auto info = info_at(*zone_, wall, back);
  if (info.result == date::local_info::nonexistent) return std::nullopt;
  return Timestamp{.seconds = (wall.time_since_epoch() - info.first.offset).count()};
}

WallTime TimeZone::latest_wall(Timestamp t) const {
  const WallTime now = wall(t);
  if (!zone_) return now;
  seconds back;
  const auto info = info_at(*zone_, now, back);
  if (info.result != date::local_info::ambiguous || of(t) < info.second.begin + back) return now;
  return WallTime(info.second.begin.time_since_epoch() + back + info.first.offset - seconds(1));
}

std::string TimeZone::render(Timestamp t) const {
  const auto at = wall(t).time_since_epoch();
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{std::chrono::sys_days(day)};
  const std::chrono::hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} {}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count(), zone_ ? info_at(*zone_, t).abbrev : "UTC");
}

}  // namespace coppice::policy
