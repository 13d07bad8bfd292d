// What this host remembers of a plan's runs. STATE/plans/NAME/ holds:
//   lock        locked by the run that is on, as long as it lives
//   state.json  the last run and the last good one; replaced as a whole, durably
//   reports/    one JSON document a run, named by its start; the last kReportsKept
// A run is written down when it begins. One that is "running" and holds no lock was killed, or the power failed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/result.h"
#include "foundation/time.h"
#include "platform/file.h"
#include "policy/time_zone.h"

namespace coppice::tasks {

inline constexpr std::size_t kReportsKept = 30;

enum class RunResult { kRunning, kGood, kWarnings, kFailed, kInterrupted, kDidNotEnd };
std::string_view run_result_name(RunResult result);  // "running", "good", "warnings", "failed", "interrupted", "did_not_end"

struct RunRecord {
  Timestamp started;  // whole seconds
  std::optional<Timestamp> ended;
  RunResult result = RunResult::kRunning;
  pid_t pid = 0;
  std::string snapshot;  // the id of what it made; empty: none
  std::uint64_t files = 0, bytes = 0, added_stored = 0, warnings = 0;
  bool partial = false;    // the snapshot lacks a source
  bool keep_left = false;  // the plan has keep rules, and this host's key may not apply them
  std::string message;  // the line that the run ended with
  std::vector<std::string> mounts;  // where the file systems begin that its sources stood on, other than at "/"
  bool operator==(const RunRecord&) const = default;
};

struct PlanState {
  std::optional<RunRecord> last;
  std::optional<RunRecord> last_good;  // the last that made a snapshot of all sources
  bool operator==(const PlanState&) const = default;
};

// "the run that began 2026-11-22 08:00:00 CST did not end: it was killed, or the host went down"
std::string describe_unended(const RunRecord& run, const policy::TimeZone& zone);

// The text of state.json. kCorrupt or kUnsupported for what is none.
std::string render_plan_state(const PlanState& state);
Result<PlanState> parse_plan_state(std::string_view text);

std::string plan_directory(const std::string& state_directory, const std::string& plan);

// The right to run a plan. Nobody else has it as long as this lives; it goes with the process, however that ends.
class PlanLock {
 public:
  // Makes the directory (0700) when it is missing. kConflict: a run holds it, and the message says which, its time in `zone`.
  static Result<PlanLock> take(const std::string& state_directory, const std::string& plan, const policy::TimeZone& zone);

 private:
  explicit PlanLock(platform::Fd file) : file_(std::move(file)) {}
  platform::Fd file_;
};

// Of a plan that never ran: empty. A last run that holds no lock any more is kDidNotEnd here. kCorrupt when the record does
// not read.
Result<PlanState> read_plan_state(const std::string& state_directory, const std::string& plan);
Result<> write_plan_state(const std::string& state_directory, const std::string& plan, const PlanState& state);

// Keeps the report of the run that began then, and removes the oldest beyond kReportsKept. Returns the file's path.
Result<std::string> keep_report(const std::string& state_directory, const std::string& plan, Timestamp started,
                                std::string_view json);

}  // namespace coppice::tasks
