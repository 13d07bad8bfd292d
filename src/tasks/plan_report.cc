// What is told of a run: lines for people, JSON for programs.
#include <fmt/format.h>

#include "tasks/backup_task.h"
#include "tasks/plan_run.h"

namespace coppice::tasks {

namespace {
Json describe_hook(const HookReport& hook) {
  Json json{{"when", hook.when == HookReport::When::kBefore ? "before" : "after"},
            {"command", hook.command},
            {"good", hook.good()},
            {"message", hook.describe()}};
  if (!hook.not_started) {
    json["duration_ms"] = hook.outcome.took.count();
    json["output"] = hook.outcome.output;
    json["output_cut"] = hook.outcome.output_cut;
  }
  return json;
}
}  // namespace

std::string HookReport::describe() const {
  const std::string name = fmt::format("{}-hook {}", when == When::kBefore ? "before" : "after", command);
  if (not_started) return fmt::format("{} could not be started: {}", name, not_started->message());
  return fmt::format("{} {}", name, outcome.describe());
}

Json describe_run(const PlanRunReport& report) {
  Json json{{"type", "plan_run"},
            {"plan", report.plan},
            {"result", run_result_name(report.result)},
            {"message", report.message},
            {"program", report.program},
            {"started", render_time_json(report.started)},
            {"finished", render_time_json(report.ended)}};
  if (!report.vault.empty()) put_path(json, "location", report.vault);
  put_paths(json, "sources", report.sources);
  if (report.backup) {
    put_backup(json, *report.backup);
    json["duration_ms"] = report.backup->duration_ms;
  }
  if (report.failure) {
    json["error"] = {{"kind", error_kind_name(report.failure->kind())}, {"message", report.failure->message()}};
  }
  json["hooks"] = Json::array();
  for (const auto& hook : report.hooks) json["hooks"].push_back(describe_hook(hook));
  if (report.keep) {
    json["keep"] = {{"considered", report.keep->considered}, {"forgotten", report.keep->forgotten}};
  }
  json["warnings"] = report.warnings_total;
  Json list = Json::array();
  for (const auto& warning : report.warnings) {
    Json one;
    if (!warning.path.empty()) put_path(one, "path", warning.path);
    one["message"] = warning.what;
    list.push_back(one);
  }
  json["warning_list"] = list;
  json["notices"] = report.notices;
  if (!report.log.empty()) put_path(json, "log", report.log);
  return json;
}

}  // namespace coppice::tasks
