// Whether a plan can run, as far as looking tells: nothing is run and nothing stored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/plan.h"
#include "tasks/vault_access.h"

namespace coppice::tasks {

struct PlanCheck {
  std::string what;                // "source /data", "hook pg_dump"
  std::optional<std::string> bad;  // what is wrong
  std::string good;                // else: what was found; may be empty
};

// The vault as the plans find it: `opened` is what opening it gave.
std::vector<PlanCheck> check_vault(const Result<OpenedVault>& opened);
// Sources, files of excludes, programs of hooks, log, keep rules. `search_path`: the PATH that hooks get.
std::vector<PlanCheck> check_plan(const policy::Plan& plan, const std::string& log, const Result<OpenedVault>& opened,
                                  const Places& places, const std::string& search_path, Timestamp now);

}  // namespace coppice::tasks
