// One run of a plan: before-hooks, backup, keep rules, after-hooks; a log, a report, and a record for `status`.
//
// The vault is opened after the before-hooks and closed before the after-hooks, so that hooks may mount and unmount it.
// What goes wrong is told in the report, with whatever could be done in spite of it: a failing before-hook or an interruption
// means no backup, after-hooks run all the same; what fails after the snapshot was made is a warning.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "capture/backup.h"
#include "foundation/cancel.h"
#include "platform/process.h"
#include "policy/plan.h"
#include "tasks/json.h"
#include "tasks/plan_state.h"
#include "tasks/progress.h"
#include "tasks/quantities.h"
#include "tasks/vault_access.h"

namespace coppice::tasks {

struct HookReport {
  enum class When { kBefore, kAfter };
  When when = When::kBefore;
  std::string command;               // for people
  std::optional<Error> not_started;  // why it could not be; else:
  platform::ProcessOutcome outcome;
  bool good() const { return !not_started && outcome.good(); }
  std::string describe() const;  // "before-hook /usr/local/sbin/dump ended with status 3"
};

struct KeepReport {
  std::size_t considered = 0;          // snapshots of this plan and host, the new one too
  std::vector<std::string> forgotten;  // ids
};

inline constexpr std::size_t kReportedWarningsMax = 100, kLoggedWarningsMax = 1000;

struct PlanRunReport {
  std::string plan, vault, program;
  std::vector<std::string> sources;
  Timestamp started, ended;
  RunResult result = RunResult::kFailed;
  std::string message;  // the one line that a person wants to read
  std::optional<Error> failure;                  // why no snapshot was made
  std::string next_step;                         // what to do about that; may be empty
  std::optional<capture::BackupReport> backup;   // of the snapshot that was made
  std::vector<HookReport> hooks;                 // that were run, in their order
  std::optional<KeepReport> keep;                // the rules were applied
  bool keep_left = false;                        // they were not: the key may not
  std::vector<capture::BackupWarning> warnings;  // the run's own, which have no path; then of files, so that they are kReportedWarningsMax
  std::uint64_t warnings_total = 0;
  std::vector<std::string> notices;              // worth knowing, nothing is wrong
  std::string log, report_file;                  // where they are; empty: not to be had
};
// The report as it is kept, and as `plan run --json` ends with it.
Json describe_run(const PlanRunReport& report);

struct PlanRunRequest {
  const policy::Plan& plan;
  AccessOptions access;
  Places places;
  bool is_root = false;
  bool accept_unmounted = false;  // a source that was a file system of its own at the last good run, and is none now
  std::uint64_t memory_bytes = kMemoryBytesDefault;
  std::string program;  // "coppice 0.1.0"
  ProgressMode progress = ProgressMode::kNone;
  Environment environment;  // of this process; hooks get little of it
  // As things happen, by the thread that runs the plan; each may be empty.
  std::function<void(const capture::BackupWarning&)> on_warning;
  std::function<void(const std::string&)> on_notice;
};

// Where the plan's runs are logged: as it says, else /var/log/coppice/NAME.log for root, else in the state directory.
std::string plan_log_path(const policy::Plan& plan, const Places& places, bool is_root);
// What is backed up, and how: all but the ceiling and the vault's part (prepare_backup).
capture::BackupOptions plan_backup_options(const policy::Plan& plan, const std::string& program);

// An error says that nothing was begun: another run holds the plan (kConflict), or this host cannot keep a record of runs.
Result<PlanRunReport> run_plan(const PlanRunRequest& request, const platform::Clock& clock, const CancelToken& cancel);

}  // namespace coppice::tasks
