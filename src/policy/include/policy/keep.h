// Which snapshots stay: a pure function of their times. Every verdict has its reason in words.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foundation/time.h"
#include "policy/time_zone.h"

namespace coppice::policy {

// Each rule keeps on its own; what any rule keeps, stays. `daily = 7` keeps the newest snapshot of each of the newest
// seven days that have one, and so on; weeks begin on Monday.
struct KeepRules {
  unsigned last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;
  std::optional<std::chrono::seconds> within;  // this long back from the newest snapshot
  bool empty() const { return !last && !hourly && !daily && !weekly && !monthly && !yearly && !within; }
  bool operator==(const KeepRules&) const = default;
};

struct KeepVerdict {
  bool keep = true;
  std::vector<std::string> reasons;  // "last 1 of 3", "daily 2026-11-22"; of what goes: why no rule holds it
};

struct KeepItem {
  Timestamp time;
  bool partial = false;   // it lacks a source
};

// One verdict for each item, in their order. Empty rules keep everything; other rules always keep the newest. A
// snapshot from the future (some clock was wrong) stays, and moves nothing else out. `now` decides nothing but what the
// future is: rules count back from the newest snapshot, so that a host that stood still for a year loses nothing.
// The partial ones are judged as if all were whole; the whole ones as if there were no others, so a partial one never moves one out.
std::vector<KeepVerdict> decide_keep(const KeepRules& rules, std::span<const KeepItem> items, Timestamp now, const TimeZone& zone);

}  // namespace coppice::policy
