// Moments as values. No clock here: a clock is a platform facility that is passed in.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/result.h"

namespace coppice {

// Seconds since 1970-01-01T00:00:00Z (negative before) and nanoseconds in [0, 1e9).
struct Timestamp {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  auto operator<=>(const Timestamp&) const = default;
};

// "2026-11-22T08:00:00Z" (RFC 3339, UTC, whole seconds).
std::string render_utc(Timestamp t);
// "2026-11-22 08:00:00" in the process's local zone, for people.
std::string render_local(Timestamp t);
// Accepts 2026-11-22, 2026-11-22T08, 2026-11-22T08:00, 2026-11-22T08:00:30 (a blank for the T too), each with Z, +hh:mm
// or nothing (local zone). `end` is the first moment after the span that the text names (a day, an hour, a minute, a second).
struct TimeSpan {
  Timestamp begin, end;
};
Result<TimeSpan> parse_time(std::string_view text);

}  // namespace coppice
