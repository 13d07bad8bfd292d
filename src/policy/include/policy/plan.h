// The configuration: the vault, and plans (what to back up, when, how long to keep it). Parsing is pure; what the host
// has of it (sources, programs) is looked at by others.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/result.h"
#include "policy/calendar.h"
#include "policy/keep.h"
#include "policy/time_zone.h"

namespace coppice::policy {

inline constexpr std::chrono::seconds kHookTimeoutDefault = std::chrono::minutes(10);

struct Hook {
  std::vector<std::string> argv;  // what is run, never empty; of `shell` hooks {"/bin/sh", "-c", TEXT}
  bool shell = false;
  std::chrono::seconds timeout = kHookTimeoutDefault;
};
std::string render_hook(const Hook& hook);  // for people: the words, quoted where needed; of a shell hook its text

struct Plan {
  std::string name;  // of letters, digits, '.', '_' and '-', at most kPlanNameBytesMax bytes: safe as a file's name
  std::size_t line = 0;              // where it begins in the configuration
  std::vector<std::string> sources;  // absolute paths, at least one
  std::vector<std::string> includes, excludes;  // gitignore syntax, valid
  std::vector<std::string> exclude_files;       // absolute paths
  bool one_file_system = false, exclude_caches = true, exclude_nodump = true;
  std::vector<std::string> tags;
  std::string host;  // to record; empty: this host's name
  std::vector<Hook> before, after;
  std::optional<Calendar> schedule;  // none: run by hand only
  TimeZone timezone;                 // of the schedule and the keep rules; the host's own unless it is set
  std::string timezone_name;         // as it is set; empty: not set
  KeepRules keep;                    // empty: nothing is ever forgotten
  std::string log;                   // absolute path; empty: the default place
  std::uint64_t limit_rate = 0;      // bytes a second into the vault; 0: no limit
  std::optional<int> compression;    // zstd level, 1 to 19
  bool verify = true;                // open every block again before it is stored
  std::uint64_t memory_bytes = 0;    // the ceiling; 0: the default one
};
inline constexpr std::size_t kPlanNameBytesMax = 48;
inline constexpr std::string_view kPlanTagPrefix = "plan:";   // the tag that a plan's snapshots bear by themselves; no plan names another's

struct Configuration {
  std::string vault;  // absolute path; empty: not set
  std::vector<Plan> plans;  // in the order of their names
  const Plan* find(std::string_view name) const;
};

// kInvalid: "FILE:LINE: what is wrong; the valid form". Settings that are not known are refused, with the nearest known.
Result<Configuration> parse_configuration(std::string_view text, std::string_view file);

// "30 s", "10m", "36h", "7d", "4w", "1y", and sums of them ("1h30m"): at least a second. Years have 365 days.
Result<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace coppice::policy
