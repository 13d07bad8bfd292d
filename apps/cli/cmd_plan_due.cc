// coppice plan due: for hosts without systemd, called every few minutes.
#include "cli.h"
#include "platform/clock.h"
#include "policy/due.h"
#include "tasks/plan_state.h"

namespace coppice::cli {

namespace {
struct DueOptions {
  std::vector<std::string> names;
  bool dry_run = false;
};

int run_plan_due(const Common& common, const DueOptions& options) {
  const auto plans = read_plans(common);
  if (!plans) return report(common, plans.error());
  int worst = kDone;
  // One that is gone from the configuration keeps none of the others from running.
  std::vector<std::string> names;
  for (const std::string& name : options.names) {
    if (const auto plan = plans->find(name); plan)
      names.push_back(name);
    else
      worst = report(common, plan.error(), "if it is not to run any more: coppice plan uninstall " + shown(name));
  }
  if (names.empty() && !options.names.empty()) return worst;
  const auto chosen = plans->choose(names);
  if (!chosen) return report(common, chosen.error());
  std::size_t due_count = 0;
  bool any_is_on = false;
  for (const policy::Plan* plan : *chosen) {
    // What does not read says nothing against a run, which writes it anew.
    const auto state = tasks::read_plan_state(plans->places.state_directory, plan->name).value_or(tasks::PlanState{});
    const auto since = policy::due_since(*plan, state.last ? std::optional(state.last->started) : std::nullopt,
                                         platform::system_clock().now());
    if (!since) continue;
    if (state.last && state.last->result == tasks::RunResult::kRunning) {
      const std::string what = fmt::format("{} is due since {} and is not started: it is running since {} (process {})", plan->name,
                                           plan->timezone.render(*since), plan->timezone.render(state.last->started), state.last->pid);
      any_is_on = true;
      if (common.json)
        emit({{"type", "notice"}, {"message", what}});
      else if (!common.quiet)
        print(what + "\n");
      continue;
    }
    ++due_count;
    if (options.dry_run) {
      if (common.json)
        emit({{"type", "due"}, {"plan", plan->name}, {"since", render_time_json(*since)}});
      else
        print(fmt::format("{} is due since {}\n", plan->name, plan->timezone.render(*since)));
      continue;
    }
    const PlanRun run = run_plan_named(common, plan->name);
    if (run.status == kFailed || (run.status == kWarnings && worst == kDone)) worst = run.status;
    if (run.stopped) break;   // and so are the others
  }
  if (common.json && options.dry_run) emit({{"type", "summary"}, {"due", due_count}});
  if (due_count == 0 && !any_is_on && !common.json && !common.quiet) print("Nothing is due.\n");
  return worst;
}
}  // namespace

void add_plan_due(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(
      parent, "due", "Run the plans whose time has come since their last run",
      {"coppice plan due             what cron calls every five minutes where systemd does not run",
       "coppice plan due --dry-run   only say which ones are due"},
      {.remark = "However many times were missed, a plan runs once. One that never ran is due at once."});
  auto options = std::make_shared<DueOptions>();
  command->add_option("plan", options->names, "Only these plans")->type_name("NAME");
  command->add_flag("-n,--dry-run", options->dry_run, "Say which plans are due, and run nothing");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_plan_due(cli.common, *options); }; });
}

}  // namespace coppice::cli
