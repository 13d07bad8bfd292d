// Whether a plan is due, for hosts where no timer of systemd says so.
#pragma once

#include <optional>

#include "policy/plan.h"

namespace coppice::policy {

// The event of the schedule that no run has answered yet: the last one at or before `now`, when the last run began before
// it. However many were missed, one run answers them all. Of a plan that never ran: `now` itself. A last run that lies in
// the future was written down by a wrong clock and does not count. None: nothing is due, or there is no schedule.
std::optional<Timestamp> due_since(const Plan& plan, std::optional<Timestamp> last_started, Timestamp now);

}  // namespace coppice::policy
