// coppice plan run: one run of a plan, by hand or by a timer.
#include <csignal>

#include "cli.h"
#include "foundation/encoding.h"
#include "platform/clock.h"
#include "tasks/interrupt.h"
#include "tasks/plan_run.h"

namespace coppice::cli {

namespace {
constexpr std::string_view kRunStops = "\ncoppice: stopping. What is in memory is stored first, at full speed, and kept. Again to stop at once.\n",
                           kRunStopsAfterHooks = "\ncoppice: stopping. What is in memory is stored first, at full speed, and kept; the after-hooks still run. "
                                                 "Again to stop at once.\n";

// As it happens: everything as JSON; for people notices only, their warnings come when the run is over.
void tell_as_it_happens(const Common& common, tasks::PlanRunRequest& request) {
  if (common.json) {
    request.on_warning = [](const capture::BackupWarning& warning) {
      Json line{{"type", "warning"}};
      if (!warning.path.empty()) put_path(line, "path", warning.path);
      line["message"] = warning.what;
      emit(line);
    };
  }
  request.on_notice = [&common](const std::string& what) {
    if (common.json) emit(Json{{"type", "notice"}, {"message", what}});
    note(fmt::format("coppice: {}\n", what));
  };
}

int tell_of(const Common& common, const tasks::PlanRunReport& run) {
  Common for_people = common;  // programs have them already
  for_people.json = false;
  std::vector<Warning> warnings;
  for (const auto& warning : run.warnings) warnings.push_back({warning.path, warning.what});
  print_warnings(for_people, warnings, run.warnings_total);
  if (common.json) emit(tasks::describe_run(run));
  if (run.failure) {
    for (const auto& hook : run.hooks) {
      if (hook.good() || hook.when != tasks::HookReport::When::kBefore || hook.outcome.output.empty()) continue;
      std::string output = hook.outcome.output;
      if (!output.ends_with('\n')) output += '\n';
      note(stderr_is_terminal() ? render_printable(output.substr(0, output.size() - 1)) + "\n" : output);
    }
    return report(common, Error(run.failure->kind(), fmt::format("plan {}: {}", run.plan, run.message)),
                  run.next_step.empty() ? opening_hint(common, *run.failure) : run.next_step);
  }
  if (!common.json) print(fmt::format("plan {}: {}\n", run.plan, run.message));
  return run.result == tasks::RunResult::kGood ? kDone : kWarnings;
}

}  // namespace

PlanRun run_plan_named(const Common& asked, const std::string& name, bool accept_unmounted) {
  const auto plans = read_plans(asked);
  if (!plans) return {report(asked, plans.error())};
  const Common common = plans->with_vault(asked);
  const auto plan = plans->find(name);
  if (!plan) return {report(common, plan.error())};
  tasks::PlanRunRequest request{.plan = **plan, .access = common.access, .places = plans->places, .is_root = is_root()};
  request.environment = tasks::process_environment();
  // Hooks are told where the vault is; when nothing says so, the run fails by that.
  if (auto vault = tasks::choose_vault(common.access.vault, common.access.config, request.environment, plans->places))
    request.access.vault = std::move(*vault);
  request.accept_unmounted = accept_unmounted;
  request.memory_bytes = common.memory_bytes;
  if (common.memory_text.empty() && (*plan)->memory_bytes > 0) request.memory_bytes = (*plan)->memory_bytes;
  request.access.memory_bytes = request.memory_bytes;
  request.program = "coppice " COPPICE_VERSION;
  request.progress = tasks::choose_progress_mode(common.json, common.quiet);
  tell_as_it_happens(common, request);
  signal(SIGPIPE, SIG_IGN);  // a display that goes away is no reason to stop a backup
  CancelToken cancel;
  const auto run = [&] {
    const tasks::InterruptGuard interrupts(cancel, (*plan)->after.empty() ? kRunStops : kRunStopsAfterHooks);
    return tasks::run_plan(request, platform::system_clock(), cancel);
  }();
  return {.status = run ? tell_of(common, *run) : report(common, run.error()), .stopped = cancel.cancelled()};
}

void add_plan_run(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(
      parent, "run", "Back up what a plan says, with its hooks and keep rules",
      {"coppice plan run data", "coppice plan run data --json"},
      {.exit_status = {"0  done", "1  no snapshot was made, or the plan is running already", "3  a snapshot was made, with warnings"}});
  auto name = std::make_shared<std::string>();
  auto accept_unmounted = std::make_shared<bool>(false);
  command->add_option("plan", *name, "The plan's name in the configuration")->type_name("NAME")->required();
  command->add_flag("--accept-unmounted", *accept_unmounted,
                    "Back up what is there, though a source was a file system of its own at the last good run and is none now");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, name, accept_unmounted] {
    cli.action = [&cli, name, accept_unmounted] { return run_plan_named(cli.common, *name, *accept_unmounted).status; };
  });
}

}  // namespace coppice::cli
