// When something is due: the calendar events of systemd.time(7), as pure functions of values. What systemd's timers do
// with the same text, this does: an event that falls into an hour that the clock jumps over does not happen that day,
// and one in an hour that comes twice happens once, at the first.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/result.h"
#include "foundation/time.h"
#include "policy/time_zone.h"

namespace coppice::policy {

class Calendar {
 public:
  // "08:00", "Mon..Fri 02:30", "Sat *-*-1..7 18:00", "*-*~1" (the last day of a month), "*:0/15", "daily", ... Whole
  // seconds only, and no zone in the text: it stands beside it. kInvalid says what is wrong and shows valid forms; an
  // event that never happens (February 30th) is invalid too.
  static Result<Calendar> parse(std::string_view text);

  // "Mon..Fri *-*-* 02:30:00": what parse takes, and systemd.
  std::string systemd_form() const;

  // The first event strictly after the moment; none when the calendar is over (it ends with the year 2199).
  std::optional<Timestamp> next(Timestamp after, const TimeZone& zone) const;
  // The last event at or before the moment; none before 1970.
  std::optional<Timestamp> previous(Timestamp at, const TimeZone& zone) const;

  bool operator==(const Calendar&) const = default;

 private:
  struct Span {  // first, first+step, ... last; open: without a last one in the text
    std::uint16_t first = 0, last = 0, step = 1;
    bool open = false;
    bool operator==(const Span&) const = default;
  };
  struct Field {
    std::vector<Span> spans;  // empty: every value
    std::uint64_t bits = 0;   // the values that match (not of years)
    bool operator==(const Field&) const = default;
  };
  class Parser;
  bool happens_on(std::chrono::sys_days day) const;
  std::optional<std::chrono::seconds> time_from(std::chrono::seconds from) const;  // first time of day at or after it
  std::optional<std::chrono::seconds> time_upto(std::chrono::seconds upto) const;  // last at or before it

  std::uint8_t weekdays_ = 0x7f;  // bit 0: Monday
  Field year_, month_, day_, hour_, minute_, second_;
  bool day_from_end_ = false;  // day_ counts from the end of the month: 1 is its last
};

}  // namespace coppice::policy
