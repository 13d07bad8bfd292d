// coppice plan list: what the configuration says, and how its plans have fared on this host.
#include <algorithm>

#include "cli.h"
#include "foundation/encoding.h"
#include "platform/clock.h"
#include "tasks/plan_state.h"
#include "tasks/plan_status.h"

namespace coppice::cli {

namespace {
Json describe_run_record(const tasks::RunRecord& run) {
  Json json{{"started", render_time_json(run.started)}, {"result", tasks::run_result_name(run.result)}};
  if (run.ended) json["ended"] = render_time_json(*run.ended);
  if (!run.snapshot.empty()) json["snapshot"] = run.snapshot;
  json["warnings"] = run.warnings;
  json["message"] = run.message;
  return json;
}

Json describe_plan(const policy::Plan& plan, const tasks::PlanStatus& status) {
  Json json{{"type", "plan"}, {"name", plan.name}};
  json["sources"] = Json::array();
  for (const auto& source : plan.sources) {
    Json item = Json::object();
    put_path(item, "path", source);
    json["sources"].push_back(std::move(item));
  }
  if (plan.schedule) {
    json["schedule"] = plan.schedule->systemd_form();
    json["timezone"] = plan.timezone.name();
  }
  if (status.next) json["next"] = render_time_json(*status.next);
  json["verdict"] = tasks::verdict_name(status.verdict);
  json["message"] = status.message;
  if (status.state.last) json["last"] = describe_run_record(*status.state.last);
  if (status.state.last_good) json["last_good"] = describe_run_record(*status.state.last_good);
  if (status.age) json["days_since_good"] = status.age->count() / 86400;
  return json;
}

std::string sources_of(const policy::Plan& plan) {
  std::string text = shown(plan.sources.front());
  if (plan.sources.size() > 1) text += fmt::format(" +{}", plan.sources.size() - 1);
  return text;
}
std::string result_of(const tasks::PlanStatus& status) {
  if (status.verdict == tasks::Verdict::kUnreadable) return "unreadable";
  if (!status.state.last) return "never ran";
  std::string name(tasks::run_result_name(status.state.last->result));
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

int run_plan_list(const Common& common) {
  const auto plans = read_plans(common);
  if (!plans) return report(common, plans.error());
  const Timestamp now = platform::system_clock().now();
  std::vector<std::vector<std::string>> rows{{"NAME", "SOURCES", "SCHEDULE", "NEXT", "LAST RUN", "RESULT", "LAST GOOD"}};
  for (const auto& plan : plans->configuration.plans) {
    const auto status =
        tasks::judge_plan(plan, tasks::read_plan_state(plans->places.state_directory, plan.name), now, std::nullopt);
    if (common.json) {
      emit(describe_plan(plan, status));
      continue;
    }
    rows.push_back({plan.name, sources_of(plan), plan.schedule ? plan.schedule->systemd_form() : "by hand",
                    status.next ? tasks::render_plan_time(plan, *status.next) : "-",
                    status.state.last ? tasks::render_plan_time(plan, status.state.last->started) : "-", result_of(status),
                    status.age ? tasks::render_age(*status.age) + " ago" : "never"});
  }
  if (common.json) return kDone;
  if (rows.size() == 1) {
    print(fmt::format("There is no plan in {}.\n", shown(plans->file)));
    return kDone;
  }
  print(tasks::render_table(rows, std::vector<bool>(rows[0].size(), false), terminal_columns(),
                            {{1, 16}, {4, 0}, {2, 12}, {3, 16, true}, {1, 8}, {2, 0}, {0, 16}, {6, 0}, {0, 8}}));
  return kDone;
}
}  // namespace

void add_plan_list(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(parent, "list", "Show the plans, when they run next, and how they fared",
                                  {"coppice plan list", "coppice plan list --json"});
  add_config_option(cli, command);
  add_common_options(cli, command, Access::kNone);
  command->callback([&cli] { cli.action = [&cli] { return run_plan_list(cli.common); }; });
}

}  // namespace coppice::cli
