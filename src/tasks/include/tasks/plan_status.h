// Whether plans do what they should: for people, for monitoring. Pure but for the state that is passed in.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"
#include "tasks/plan_state.h"

namespace coppice::tasks {

enum class Verdict {
  kGood,       // the last run made a snapshot, perhaps with warnings
  kRunning,    // a run is on, the last good one is not too old, and none that was due since is overdue
  kNeverRan,
  kFailed,     // the last run made no snapshot
  kDidNotEnd,
  kTooOld,     // the last good one is older than was asked for; or there is none, and the run that is on began longer ago
  kOverdue,    // the schedule was due and no run began, perhaps because one is on still
  kUnreadable, // what is remembered of the runs is damaged, or lies in the future
};
std::string_view verdict_name(Verdict verdict);  // "good", "running", "never_ran", ...
inline bool is_good(Verdict verdict) { return verdict == Verdict::kGood || verdict == Verdict::kRunning; }

// A run may begin this long after it was due before that is worth an alarm.
inline constexpr std::chrono::seconds kOverdueAfter = std::chrono::hours(1);

struct PlanStatus {
  std::string plan;
  Verdict verdict = Verdict::kNeverRan;
  std::string message;  // a sentence; of a good plan: the line of its last run
  PlanState state;
  std::optional<std::chrono::seconds> age;  // since the last good run began
  std::optional<Timestamp> next;            // of the schedule
};
PlanStatus judge_plan(const policy::Plan& plan, const Result<PlanState>& state, Timestamp now,
                      std::optional<std::chrono::seconds> age_max);

// In the plan's zone, "2026-11-26 08:00 CST": seconds only when there are any.
std::string render_plan_time(const policy::Plan& plan, Timestamp t);
std::string render_age(std::chrono::seconds age);  // "12 min", "26 h", "9 days"

// The textfile format of Prometheus' node_exporter.
std::string render_prometheus(const std::vector<PlanStatus>& plans);

}  // namespace coppice::tasks
