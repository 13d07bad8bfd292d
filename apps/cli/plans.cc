// Finding a plan in the configuration.
#include <algorithm>

#include "cli.h"
#include "foundation/encoding.h"

namespace coppice::cli {

Result<ConfiguredPlans> read_plans(const Common& common) {
  ConfiguredPlans plans;
  const auto environment = tasks::process_environment();
  plans.places = TRY(tasks::find_places(environment, is_root()));
  auto configuration = TRY(tasks::read_configuration(common.access.config, environment, plans.places));
  TRY(tasks::check_hooks_are_ours(configuration));
  plans.file = std::move(configuration.file);
  plans.configuration = std::move(configuration.content);
  return plans;
}

Common ConfiguredPlans::with_vault(const Common& common) const {
  Common completed = common;
  if (completed.access.vault.empty()) completed.access.vault = configuration.vault;
  return completed;
}

Result<std::string> ConfiguredPlans::vault(const Common& common) const {
  return tasks::choose_vault(with_vault(common).access.vault, common.access.config, tasks::process_environment(), places);
}

Result<std::vector<const policy::Plan*>> ConfiguredPlans::choose(const std::vector<std::string>& names) const {
  std::vector<const policy::Plan*> chosen;
  for (const auto& plan : configuration.plans)
    if (names.empty()) chosen.push_back(&plan);
  for (const std::string& name : names) {
    const policy::Plan* plan = TRY(find(name));
    if (std::find(chosen.begin(), chosen.end(), plan) == chosen.end()) chosen.push_back(plan);
  }
  return chosen;
}

Result<const policy::Plan*> ConfiguredPlans::find(const std::string& name) const {
  if (const policy::Plan* plan = configuration.find(name)) return plan;
  std::string others;
  for (const auto& plan : configuration.plans) others += (others.empty() ? "" : ", ") + plan.name;
  return fail(ErrorKind::kNotFound, others.empty() ? fmt::format("there is no plan in {}", file)
                                                   : fmt::format("there is no plan '{}' in {}; it has {}",
                                                                 render_printable(name), file, others));
}

}  // namespace coppice::cli
