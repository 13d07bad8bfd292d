// coppice status: whether the plans of this host do what they should. Looks at what their runs left in the state directory;
// opens no vault.
#include <algorithm>

#include "cli.h"
#include "foundation/encoding.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "tasks/plan_status.h"

namespace coppice::cli {

namespace {
struct StatusOptions {
  std::vector<std::string> plans;
  std::string age_max, prometheus;
};

Json describe(const tasks::PlanStatus& status) {
  Json line{{"type", "plan_status"},
            {"plan", status.plan},
            {"good", tasks::is_good(status.verdict)},
            {"verdict", tasks::verdict_name(status.verdict)},
            {"message", status.message}};
  if (const auto& last = status.state.last) {
    line["last_run"] = render_time_json(last->started);
    line["last_result"] = tasks::run_result_name(last->result);
    if (last->ended) line["last_ended"] = render_time_json(*last->ended);
    line["warnings"] = last->warnings;
    if (last->partial) line["partial"] = true;
  }
  if (const auto& good = status.state.last_good) {
    line["last_good"] = render_time_json(good->started);
    line["snapshot"] = good->snapshot;
    line["files"] = good->files;
    line["bytes"] = good->bytes;
    line["added_stored"] = good->added_stored;
    if (good->keep_left) line["keep_left"] = true;
  }
  if (status.age) line["age_seconds"] = status.age->count();
  if (status.next) line["next"] = render_time_json(*status.next);
  return line;
}

std::string in_words(tasks::Verdict verdict) {
  std::string text(tasks::verdict_name(verdict));
  std::replace(text.begin(), text.end(), '_', ' ');
  return tasks::is_good(verdict) ? text : "NOT GOOD: " + text;
}

void print_for_people(const std::vector<const policy::Plan*>& plans, const std::vector<tasks::PlanStatus>& statuses, bool quiet) {
  std::vector<std::vector<std::string>> rows{{"PLAN", "LAST GOOD", "AGE", "NEXT", "STATUS"}};
  std::string remarks;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const policy::Plan& plan = *plans[i];
    const tasks::PlanStatus& status = statuses[i];
    rows.push_back({status.plan, status.state.last_good ? tasks::render_plan_time(plan, status.state.last_good->started) : "never",
                    status.age ? tasks::render_age(*status.age) : "-", status.next ? tasks::render_plan_time(plan, *status.next) : plan.schedule ? "never again" : "by hand",
                    in_words(status.verdict)});
    const bool warned = status.state.last && status.state.last->warnings > 0;
    if (!tasks::is_good(status.verdict) || warned) remarks += fmt::format("{}: {}\n", status.plan, shown(status.message));
    if (status.state.last_good && status.state.last_good->keep_left)
      remarks += fmt::format("{}: its keep rules are not applied: this host's key may not forget snapshots\n", status.plan);
  }
  if (quiet) {
    print(remarks);
    return;
  }
  // What is not good is told below; a time loses its zone.
  print(tasks::render_table(rows, {false, false, true, false, false}, terminal_columns(), {{0, 24}, {4, 8, true}, {1, 16, true}, {3, 16, true}, {2, 0}, {0, 12}, {3, 0}}) +
        fitted(remarks));
}

int run_status(const Common& common, const StatusOptions& options, const CLI::App* command) {
  std::optional<std::chrono::seconds> age_max;
  if (!options.age_max.empty()) {
    const auto parsed = policy::parse_duration(options.age_max);
    if (!parsed) return usage(command, "--max-age: " + parsed.error().message());
    age_max = *parsed;
  }
  const auto configured = read_plans(common);
  if (!configured) return report(common, configured.error());
  const auto wanted = configured->choose(options.plans);
  if (!wanted) return report(common, wanted.error());
  const std::vector<const policy::Plan*>& chosen = *wanted;
  if (chosen.empty()) {
    return report(common, Error(ErrorKind::kNotFound, fmt::format("there is no plan in {}: nothing is backed up by itself", configured->file)),
                  "'coppice plan --help' tells more");
  }
  const Timestamp now = platform::system_clock().now();
  std::vector<tasks::PlanStatus> plans;
  for (const policy::Plan* plan : chosen) {
    const auto state = tasks::read_plan_state(configured->places.state_directory, plan->name);
    plans.push_back(tasks::judge_plan(*plan, state, now, age_max));
  }
  if (!options.prometheus.empty()) {
    const std::string text = tasks::render_prometheus(plans);
    if (auto written = platform::write_file_durably(options.prometheus, as_bytes(text), 0644); !written)
      return report(common, written.error());
  }
  const auto good = static_cast<std::size_t>(
      std::count_if(plans.begin(), plans.end(), [](const auto& status) { return tasks::is_good(status.verdict); }));
  if (common.json) {
    for (const auto& status : plans) emit(describe(status));
    emit({{"type", "summary"}, {"plans", plans.size()}, {"good", good}});
  } else {
    print_for_people(chosen, plans, common.quiet);
  }
  return good == plans.size() ? kDone : kFailed;
}
}  // namespace

void add_status(Cli& cli) {
  CLI::App* command = add_command(
      cli.app, "status", "Say whether this host's plans do what they should",
      {"coppice status", "coppice status --max-age 26h       bad too when a last good run is older",
       "coppice status -q --prometheus /var/lib/prometheus/node-exporter/coppice.prom"},
      {.exit_status = {"0  all are good", "1  one failed, never ran, is overdue, too old or did not end"}});
  auto options = std::make_shared<StatusOptions>();
  command->add_option("plan", options->plans, "Only these plans")->type_name("NAME");
  command->add_option("--max-age", options->age_max, "The last good run may be this old: 26h, 8d")->type_name("TIME");
  command->add_option("--prometheus", options->prometheus, "Write FILE for node_exporter's textfile collector")->type_name("FILE");
  add_config_option(cli, command);
  add_common_options(cli, command, Access::kNone);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_status(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
