#include "policy/time_zone.h"

#include <date/tz.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <stdexcept>

#include "foundation/encoding.h"
#include "policy/nearest.h"

namespace coppice::policy {

namespace {
using std::chrono::seconds;

date::local_seconds of(WallTime wall) { return date::local_seconds(wall.time_since_epoch()); }
std::chrono::sys_seconds of(Timestamp t) { return std::chrono::sys_seconds(seconds(t.seconds)); }

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
  if (!zone_) return WallTime(seconds(t.seconds));
  return WallTime(seconds(t.seconds) + zone_->get_info(of(t)).offset);
}

std::optional<Timestamp> TimeZone::moment(WallTime wall) const {
  if (!zone_) return Timestamp{.seconds = wall.time_since_epoch().count()};
  const auto info = zone_->get_info(of(wall));
  if (info.result == date::local_info::nonexistent) return std::nullopt;
  return Timestamp{.seconds = (wall.time_since_epoch() - info.first.offset).count()};
}

WallTime TimeZone::latest_wall(Timestamp t) const {
  const WallTime now = wall(t);
  if (!zone_) return now;
  const auto info = zone_->get_info(of(now));
  if (info.result != date::local_info::ambiguous || of(t) < info.second.begin) return now;
  return WallTime(info.second.begin.time_since_epoch() + info.first.offset - seconds(1));
}

std::string TimeZone::render(Timestamp t) const {
  const auto at = wall(t).time_since_epoch();
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{std::chrono::sys_days(day)};
  const std::chrono::hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} {}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count(), zone_ ? zone_->get_info(of(t)).abbrev : "UTC");
}

}  // namespace coppice::policy
