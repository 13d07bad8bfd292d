// A place's wall clock: an IANA zone of the host's /usr/share/zoneinfo.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/result.h"
#include "foundation/time.h"

namespace date {
class time_zone;
}

namespace coppice::policy {

using WallTime = std::chrono::local_time<std::chrono::seconds>;  // what a clock on the wall shows

// A cheap value; UTC unless it was found by name. Immutable, so any thread may use it.
class TimeZone {
 public:
  TimeZone() = default;
  // "Asia/Shanghai". Empty: the host's own zone, by /etc/localtime (UTC where there is none). kInvalid names what is
  // wrong with the name, with the nearest one that exists.
  static Result<TimeZone> find(std::string_view name);

  std::string name() const;  // "UTC", "Asia/Shanghai"
  WallTime wall(Timestamp t) const;
  // The moment when the wall clock shows `wall` for the first time (in autumn it shows an hour twice). Nothing: the
  // clock jumps over it (in spring).
  std::optional<Timestamp> moment(WallTime wall) const;
  // The latest that the wall clock showed at or before `t`: later than wall(t) in the hour that comes a second time.
  WallTime latest_wall(Timestamp t) const;
  std::string render(Timestamp t) const;  // "2026-11-22 08:00:00 CST"

 private:
  const date::time_zone* zone_ = nullptr;  // of the program-wide data base; null: UTC
};

}  // namespace coppice::policy
