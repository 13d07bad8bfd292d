#include "tasks/plan_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "foundation/encoding.h"
#include "keys/roster.h"
#include "plan_log.h"
#include "plan_mounts.h"
#include "tasks/backup_task.h"
#include "tasks/keep.h"
#include "tasks/quantities.h"

namespace coppice::tasks {

namespace {
constexpr std::size_t kLoggedOutputLinesMax = 20;
using When = HookReport::When;

// What a hook gets of our environment. Nothing else: it may hold where a passphrase is.
constexpr const char* kPassedOn[] = {"PATH",   "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_TIME",
                                     "TMPDIR", "TZ",   "COPPICE_CONFIG", "COPPICE_CONFIG_DIR", "COPPICE_STATE_DIR"};

std::vector<std::string> last_lines(std::string_view text, std::size_t lines_max) {
  std::vector<std::string> lines;
  while (text.ends_with('\n')) text.remove_suffix(1);
  while (!text.empty() && lines.size() < lines_max) {
    const std::size_t end = text.find_last_of('\n');
    const std::size_t start = end == std::string_view::npos ? 0 : end + 1;
    lines.insert(lines.begin(), std::string(text.substr(start)));
    text = text.substr(0, start == 0 ? 0 : end);
  }
  return lines;
}

class Run {
 public:
  Run(const PlanRunRequest& request, const platform::Clock& clock, const CancelToken& cancel)
      : request_(request), plan_(request.plan), clock_(clock), cancel_(cancel) {}

  Result<> begin();
  bool run_before_hooks();
  void back_up();
  void run_after_hooks();
  PlanRunReport finish() &&;

 private:
  void log(std::string_view text) {
    if (log_) log_->line(clock_.now(), text);
  }
  void warn(const capture::BackupWarning& warning);
  void warn(std::string what) { warn(capture::BackupWarning{"", std::move(what)}); }
  void notice(const std::string& what);
  HookReport run_hook(const policy::Hook& hook, When when);
  std::vector<std::string> hook_environment(When when) const;
  void log_output(const HookReport& hook);
  Result<> look_at_mounts();
  Result<> back_up_into(OpenedVault& opened, capture::BackupProgress& progress);
  void apply_keep_rules(const OpenedVault& opened);
  void settle();   // result and message, by what is known so far
  RunResult result_so_far() const;
  std::string compose_message() const;
  RunRecord record() const;
  const std::string& state_directory() const { return request_.places.state_directory; }

  const PlanRunRequest& request_;
  const policy::Plan& plan_;
  const platform::Clock& clock_;
  const CancelToken& cancel_;
  PlanState state_;
  std::optional<PlanLog> log_;
  PlanRunReport report_;
  std::vector<std::string> mounts_;
  std::uint64_t warnings_logged_ = 0;
  bool interrupted_ = false, log_failed_ = false;
};

Result<> Run::begin() {
  report_.plan = plan_.name;
  report_.program = request_.program;
  report_.sources = plan_.sources;
  report_.started = clock_.now();
  const std::string path = plan_log_path(plan_, request_.places, request_.is_root);
  auto log_file = PlanLog::open(path, plan_.name, plan_.timezone);
  if (log_file) {
    log_.emplace(std::move(*log_file));
    report_.log = path;
  }
  auto previous = read_plan_state(state_directory(), plan_.name);
  if (previous) state_ = std::move(*previous);
  const std::optional<RunRecord> before = state_.last;
  state_.last = record();
  state_.last->result = RunResult::kRunning;
  state_.last->ended.reset();
  if (auto written = write_plan_state(state_directory(), plan_.name, state_); !written) {
    Error error = std::move(written).error().within(fmt::format("plan {} was not run, since no record of its runs can be written", plan_.name));
    log(error.message());
    return std::unexpected(std::move(error));
  }
  std::string sources;
  for (const auto& source : plan_.sources) sources += " " + source;
  log(fmt::format("start: {}, sources{}", request_.program, sources));
  if (!log_file) warn(fmt::format("this run is not logged: {}", log_file.error().message()));
  if (!previous) notice(previous.error().message());
  // The lock is ours, so whoever wrote that it runs does not any more.
  if (before && (before->result == RunResult::kRunning || before->result == RunResult::kDidNotEnd)) {
    notice(describe_unended(*before, plan_.timezone));
  }
  return {};
}

void Run::warn(const capture::BackupWarning& warning) {
  ++report_.warnings_total;
  // However many files have one, those of the run itself are told, and first.
  const bool own = warning.path.empty();
  if (own || report_.warnings_total <= kLoggedWarningsMax) ++warnings_logged_, log("warning: " + (own ? warning.what : fmt::format("{}: {}", warning.path, warning.what)));
  auto& kept = report_.warnings;
  if (own)
    kept.insert(std::ranges::find_if(kept, [](const auto& other) { return !other.path.empty(); }), warning);
  else if (kept.size() < kReportedWarningsMax)
    kept.push_back(warning);
  if (request_.on_warning) request_.on_warning(warning);
}

void Run::notice(const std::string& what) {
  log("notice: " + what);
  report_.notices.push_back(what);
  if (request_.on_notice) request_.on_notice(what);
}

// ---- hooks ----

std::vector<std::string> Run::hook_environment(When when) const {
  std::vector<std::string> variables;
  const auto add = [&](std::string_view name, std::string_view value) { variables.push_back(fmt::format("{}={}", name, value)); };
  for (const char* name : kPassedOn)
    if (const auto value = request_.environment(name)) add(name, *value);
  add("COPPICE_PLAN", plan_.name);
  if (!request_.access.vault.empty()) add("COPPICE_VAULT", request_.access.vault);
  add("COPPICE_HOOK", when == When::kBefore ? "before" : "after");
  if (when == When::kBefore) return variables;
  add("COPPICE_RESULT", run_result_name(result_so_far()));
  add("COPPICE_MESSAGE", render_printable(compose_message()));
  add("COPPICE_WARNINGS", std::to_string(report_.warnings_total));
  if (report_.backup) {
    add("COPPICE_SNAPSHOT", report_.backup->snapshot.id());
    add("COPPICE_FILES", std::to_string(report_.backup->files));
    add("COPPICE_BYTES", std::to_string(report_.backup->bytes));
    add("COPPICE_ADDED", std::to_string(report_.backup->added_stored));
  }
  return variables;
}

void Run::log_output(const HookReport& hook) {
  for (const auto& line : last_lines(hook.outcome.output, kLoggedOutputLinesMax)) log("  | " + line);
}

HookReport Run::run_hook(const policy::Hook& hook, When when) {
  HookReport report{.when = when, .command = policy::render_hook(hook), .not_started = std::nullopt, .outcome = {}};
  const platform::ProcessRequest process{
      .argv = hook.argv, .environment = hook_environment(when), .timeout = hook.timeout};
  // An after-hook puts back what a before-hook changed: a wish to stop does not keep it from that.
  auto outcome = platform::run_process(process, when == When::kBefore ? &cancel_ : nullptr);
  if (outcome)
    report.outcome = std::move(*outcome);
  else
    report.not_started = std::move(outcome).error();
  if (report.good())
    log(fmt::format("{}-hook {}: done in {}", when == When::kBefore ? "before" : "after", report.command,
                    render_seconds(static_cast<double>(report.outcome.took.count()) / 1000)));
  return report;
}

bool Run::run_before_hooks() {
  for (const auto& hook : plan_.before) {
    HookReport report = run_hook(hook, When::kBefore);
    if (!report.good()) {
      // A service that is stopped sends its signal to hooks too.
      interrupted_ = cancel_.cancelled();
      report_.failure = Error(interrupted_ ? ErrorKind::kCancelled : ErrorKind::kUnavailable,
                              interrupted_ ? "interrupted; no snapshot was made" : report.describe() + "; no snapshot was made");
      log(report.describe());
      log_output(report);
    }
    const bool good = report.good();
    report_.hooks.push_back(std::move(report));
    if (!good) return false;
  }
  return true;
}

void Run::run_after_hooks() {
  for (const auto& hook : plan_.after) {
    HookReport report = run_hook(hook, When::kAfter);
    if (!report.good()) {
      warn(report.describe());
      log_output(report);
    }
    report_.hooks.push_back(std::move(report));
  }
}

// ---- the backup ----

void Run::back_up() {
  capture::BackupProgress progress;
  const auto made = [&]() -> Result<> {
    if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "interrupted");
    TRY(look_at_mounts());
    OpenedVault opened = TRY(open_vault(request_.access, request_.environment, request_.is_root));
    return back_up_into(opened, progress);
  }();
  if (made) return;
  interrupted_ = made.error().kind() == ErrorKind::kCancelled && cancel_.cancelled();
  BackupFailure failure = explain_failure(made.error(), progress, cancel_);
  report_.failure = std::move(failure.error);
  report_.next_step = std::move(failure.next_step);
}

Result<> Run::look_at_mounts() {
  mounts_ = mount_points_of(plan_.sources);
  if (request_.accept_unmounted || !state_.last_good) return {};
  const auto unmounted = unmounted_of(state_.last_good->mounts, plan_.sources);
  if (unmounted.empty()) return {};
  return fail(ErrorKind::kUnavailable,
              fmt::format("{} is not mounted: it was a file system of its own at the last good run. If that is as it should be: coppice "
                          "plan run --accept-unmounted {}",
                          render_printable(unmounted.front()), plan_.name));
}

Result<> Run::back_up_into(OpenedVault& opened, capture::BackupProgress& progress) {
  report_.vault = opened.location;
  for (const auto& what : opened.vault->notices()) notice(what);
  capture::BackupOptions options = plan_backup_options(plan_, request_.program);
  options.tell_unmounted = !request_.accept_unmounted;
  TRY(prepare_backup(opened, request_.memory_bytes, options));
  options.on_warning = [this](const capture::BackupWarning& warning) { warn(warning); };
  options.on_notice = [this](const std::string& what) { notice(what); };
  {
    const ProgressDisplay display(request_.progress, [&] { return sample_of(progress); });
    report_.backup = TRY(capture::run_backup(*opened.vault, options, progress, cancel_));
  }
  log(render_backup(*report_.backup));
  if (const std::string left_out = render_left_out(*report_.backup); !left_out.empty()) log("left out: " + left_out);
  apply_keep_rules(opened);
  return {};
}

void Run::apply_keep_rules(const OpenedVault& opened) {
  if (plan_.keep.empty()) return;
  const std::string& host = report_.backup->snapshot.body->host;
  const keys::KeyBundle& ours = opened.vault->keys();
  if (!ours.can_read() || !keys::role_may_sign(ours.role, format::kForgetMagic)) {
    report_.keep_left = true;
    notice(fmt::format("the keep rules were not applied: this host's key only adds. With a reader's key: coppice forget "
                       "--host {} --tag {} {}",
                       host, plan_tag(plan_.name), render_keep_options(plan_.keep)));
    return;
  }
  KeepReport kept;
  const auto applied = [&]() -> Result<> {
    // As the vault is now: while the backup ran, others may have made snapshots that only newer keys open.
    const auto vault = TRY(open_with(*opened.store, opened.source, opened.places.state_directory, clock_, opened.vault->entropy()));
    const auto list = TRY(vault->snapshots());
    const KeepGroup group = TRY(decide_plan_of(list, plan_, host, report_.backup->snapshot.signer, clock_.now()));
    kept.considered = group.snapshots.size();
    for (const auto* snapshot : group.to_forget()) {
      if (snapshot->session == report_.backup->snapshot.session) continue;  // whatever a clock says
      if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "interrupted");
      if (const Result<> done = within(vault->forget(*snapshot), "keep rules: " + snapshot->short_id()); !done) {
        if (done.error().kind() != ErrorKind::kConflict) return done;
        warn(done.error().message());   // one that cannot be forgotten keeps no other
        continue;
      }
      kept.forgotten.push_back(snapshot->id());
      log(fmt::format("forgot snapshot {}", snapshot->short_id()));
    }
    return {};
  }();
  if (!applied) warn(fmt::format("the keep rules were not applied to the end: {}", applied.error().message()));
  report_.keep = std::move(kept);
}

// ---- the end ----

void Run::settle() {
  report_.result = result_so_far();
  report_.message = compose_message();
}

RunResult Run::result_so_far() const {
  if (!report_.backup) return interrupted_ ? RunResult::kInterrupted : RunResult::kFailed;
  return report_.warnings_total > 0 ? RunResult::kWarnings : RunResult::kGood;
}

std::string Run::compose_message() const {
  if (!report_.backup) {
    const std::string what = report_.failure ? report_.failure->message() : "no snapshot was made";
    return interrupted_ ? what : "FAILED: " + what;
  }
  std::string text = render_backup(*report_.backup);
  if (report_.keep)
    text += fmt::format("; {} kept, {} forgotten", report_.keep->considered - report_.keep->forgotten.size(),
                        report_.keep->forgotten.size());
  if (report_.warnings_total > 0)
    text += "; " + render_count(report_.warnings_total, "warning");
  return text;
}

RunRecord Run::record() const {
  RunRecord run{.started = {.seconds = report_.started.seconds}, .result = report_.result, .pid = getpid(), .message = report_.message};
  run.ended = Timestamp{.seconds = report_.ended.seconds};
  run.warnings = report_.warnings_total;
  run.keep_left = report_.keep_left;
  if (report_.backup) {
    run.snapshot = report_.backup->snapshot.id();
    run.partial = !report_.backup->lacking.empty();
    run.files = report_.backup->files;
    run.bytes = report_.backup->bytes;
    run.added_stored = report_.backup->added_stored;
    run.mounts = mounts_;
  }
  return run;
}

PlanRunReport Run::finish() && {
  if (report_.warnings_total > warnings_logged_)
    log("... and " + render_count(report_.warnings_total - warnings_logged_, "more warning"));
  const auto look_at_log = [&] {
    if (log_ && log_->failure() && !std::exchange(log_failed_, true)) warn(fmt::format("this run is not logged in full: {}", log_->failure()->message()));
  };
  look_at_log();
  report_.ended = clock_.now();
  settle();
  auto kept = keep_report(state_directory(), plan_.name, report_.started, render_json(describe_run(report_)) + "\n");
  if (kept)
    report_.report_file = std::move(*kept);
  else
    warn(fmt::format("no report is kept of this run: {}", kept.error().message()));
  settle();
  log(fmt::format("end: {}: {}", run_result_name(report_.result), report_.message));
  look_at_log();
  settle();
  state_.last = record();
  if (report_.backup && !state_.last->partial) state_.last_good = state_.last;
  if (auto written = write_plan_state(state_directory(), plan_.name, state_); !written)
    warn(fmt::format("no record is kept of this run: {}", written.error().message()));
  settle();
  return std::move(report_);
}
}  // namespace

std::string plan_log_path(const policy::Plan& plan, const Places& places, bool is_root) {
  if (!plan.log.empty()) return plan.log;
  return is_root ? "/var/log/coppice/" + plan.name + ".log" : plan_directory(places.state_directory, plan.name) + "/log";
}

capture::BackupOptions plan_backup_options(const policy::Plan& plan, const std::string& program) {
  capture::BackupOptions options;
  options.sources = plan.sources;
  options.includes = plan.includes;
  options.excludes = plan.excludes;
  options.exclude_files = plan.exclude_files;
  options.one_file_system = plan.one_file_system;
  options.exclude_caches = plan.exclude_caches;
  options.honour_nodump = plan.exclude_nodump;
  options.host = plan.host;
  options.tags = plan.tags;
  options.tags.push_back(plan_tag(plan.name));
  options.program = program;
  options.writer.rate_limit = plan.limit_rate;
  options.writer.verify = plan.verify;
  if (plan.compression) options.writer.compression_level = *plan.compression;
  return options;
}

Result<PlanRunReport> run_plan(const PlanRunRequest& request, const platform::Clock& clock, const CancelToken& cancel) {
  const PlanLock lock = TRY(PlanLock::take(request.places.state_directory, request.plan.name, request.plan.timezone));
  Run run(request, clock, cancel);
  TRY(run.begin());
  if (run.run_before_hooks()) run.back_up();
  run.run_after_hooks();
  return std::move(run).finish();
}

}  // namespace coppice::tasks
