#include "tasks/plan_status.h"

#include <fmt/format.h>

#include <array>
#include <functional>

namespace coppice::tasks {

namespace {
constexpr std::array<std::string_view, 8> kVerdictNames = {"good",        "running", "never_ran", "failed",
                                                           "did_not_end", "too_old", "overdue",   "unreadable"};

Timestamp later(Timestamp t, std::chrono::seconds by) { return {t.seconds + by.count(), t.nanoseconds}; }

// Why the last run is not good, or nothing.
void judge_last_run(const RunRecord& last, const policy::TimeZone& zone, PlanStatus& status) {
  switch (last.result) {
    case RunResult::kRunning:
      status.verdict = Verdict::kRunning;
      status.message = fmt::format("running since {} (process {})", zone.render(last.started), last.pid);
      return;
    case RunResult::kDidNotEnd:
      status.verdict = Verdict::kDidNotEnd;
      status.message = describe_unended(last, zone);
      return;
    case RunResult::kFailed:
    case RunResult::kInterrupted:
      status.verdict = Verdict::kFailed;
      status.message = last.message;
      return;
    case RunResult::kGood:
    case RunResult::kWarnings:
      status.verdict = last.partial ? Verdict::kFailed : Verdict::kGood;
      status.message = last.message;
      return;
  }
}

void judge_age(const policy::Plan& plan, Timestamp now, std::optional<std::chrono::seconds> age_max, PlanStatus& status) {
  if (!is_good(status.verdict)) return;
  // A run that is on may hang: what was due since it began is judged all the same.
  const bool running = status.verdict == Verdict::kRunning;
  const std::string on = running ? "; one is " + status.message : "";
  if (status.age && *status.age < -kOverdueAfter) {
    status.verdict = Verdict::kUnreadable;
    status.message = fmt::format("the last good run is of {}, which is yet to come: a clock was wrong",
                                 plan.timezone.render(status.state.last_good->started));
  } else if (age_max && status.age && *status.age > *age_max) {
    status.verdict = Verdict::kTooOld;
    status.message = fmt::format("the last good run is {} old{}", render_age(*status.age), on);
  } else if (age_max && running && !status.age && later(status.state.last->started, *age_max) < now) {
    status.verdict = Verdict::kTooOld;
    status.message = "there is no good run" + on;
  } else if (plan.schedule) {
    const auto due = plan.schedule->previous(later(now, -kOverdueAfter), plan.timezone);
    if (!due || status.state.last->started >= *due) return;
    status.verdict = Verdict::kOverdue;
    status.message = fmt::format("a run was due {} and none began{}", plan.timezone.render(*due), on);
  }
}

// A text value of a label.
std::string label_value(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

using Value = std::function<std::optional<std::int64_t>(const PlanStatus&)>;
void metric(std::string& out, std::string_view name, std::string_view help, const std::vector<PlanStatus>& plans, const Value& value) {
  std::string samples;
  for (const auto& status : plans)
    if (const auto number = value(status)) samples += fmt::format("coppice_plan_{}{{plan={}}} {}\n", name, label_value(status.plan), *number);
  if (samples.empty()) return;
  out += fmt::format("# HELP coppice_plan_{} {}\n# TYPE coppice_plan_{} gauge\n{}", name, help, name, samples);
}

// The last run that has ended, in whatever way is known.
const RunRecord* ended_run(const PlanStatus& status) {
  return status.state.last && status.state.last->ended ? &*status.state.last : nullptr;
}
}  // namespace

std::string_view verdict_name(Verdict verdict) { return kVerdictNames[static_cast<std::size_t>(verdict)]; }

PlanStatus judge_plan(const policy::Plan& plan, const Result<PlanState>& state, Timestamp now,
                      std::optional<std::chrono::seconds> age_max) {
  PlanStatus status{.plan = plan.name, .message = "it never ran"};
  if (plan.schedule) status.next = plan.schedule->next(now, plan.timezone);
  if (!state) {
    status.verdict = Verdict::kUnreadable;
    status.message = state.error().message();
    return status;
  }
  status.state = *state;
  if (status.state.last_good) status.age = std::chrono::seconds(now.seconds - status.state.last_good->started.seconds);
  if (status.state.last) judge_last_run(*status.state.last, plan.timezone, status);
  judge_age(plan, now, age_max, status);
  return status;
}

std::string render_plan_time(const policy::Plan& plan, Timestamp t) {
  std::string text = plan.timezone.render(t);
  if (text.compare(16, 3, ":00") == 0) text.erase(16, 3);
  return text;
}

std::string render_age(std::chrono::seconds age) {
  const auto seconds = age.count();
  if (seconds < 0) return "0 s";   // a clock was set back
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

std::string render_prometheus(const std::vector<PlanStatus>& plans) {
  using Number = std::optional<std::int64_t>;
  const auto of_good = [](auto member) {
    return [member](const PlanStatus& status) -> Number {
      if (!status.state.last_good) return std::nullopt;
      return static_cast<std::int64_t>((*status.state.last_good).*member);
    };
  };
  std::string out;
  metric(out, "good", "1: as it should be. 0: failed, too old, overdue, never ran, or did not end.", plans,
         [](const PlanStatus& status) -> Number { return is_good(status.verdict); });
  metric(out, "running", "1: a run is on.", plans, [](const PlanStatus& status) -> Number {
    return status.state.last && status.state.last->result == RunResult::kRunning;
  });
  metric(out, "last_success_timestamp_seconds", "When the last run that made a snapshot of all sources began.", plans, [](const PlanStatus& status) -> Number {
    return status.state.last_good ? Number(status.state.last_good->started.seconds) : std::nullopt;
  });
  metric(out, "last_run_timestamp_seconds", "When the last run began.", plans, [](const PlanStatus& status) -> Number {
    return status.state.last ? Number(status.state.last->started.seconds) : std::nullopt;
  });
  metric(out, "last_run_success", "1: the last run that ended made a snapshot of all sources.", plans, [](const PlanStatus& status) -> Number {
    if (status.state.last && status.state.last->result == RunResult::kDidNotEnd) return 0;
    const RunRecord* run = ended_run(status);
    return run ? Number(!run->snapshot.empty() && !run->partial) : std::nullopt;
  });
  metric(out, "last_run_duration_seconds", "How long the last run that ended took.", plans, [](const PlanStatus& status) -> Number {
    const RunRecord* run = ended_run(status);
    return run ? Number(run->ended->seconds - run->started.seconds) : std::nullopt;
  });
  metric(out, "last_run_warnings", "Warnings of the last run that ended.", plans, [](const PlanStatus& status) -> Number {
    const RunRecord* run = ended_run(status);
    return run ? Number(static_cast<std::int64_t>(run->warnings)) : std::nullopt;
  });
  metric(out, "snapshot_files", "Files in the last snapshot.", plans, of_good(&RunRecord::files));
  metric(out, "snapshot_bytes", "Bytes of the files in the last snapshot.", plans, of_good(&RunRecord::bytes));
  metric(out, "snapshot_added_bytes", "Bytes that the vault grew by with the last snapshot.", plans, of_good(&RunRecord::added_stored));
  metric(out, "next_run_timestamp_seconds", "When the schedule is due next.", plans, [](const PlanStatus& status) -> Number {
    return status.next ? Number(status.next->seconds) : std::nullopt;
  });
  return out;
}

}  // namespace coppice::tasks
