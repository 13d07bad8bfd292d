#include "policy/due.h"

namespace coppice::policy {

std::optional<Timestamp> due_since(const Plan& plan, std::optional<Timestamp> last_started, Timestamp now) {
  if (!plan.schedule) return std::nullopt;
  if (!last_started || *last_started > now) return now;
  const auto event = plan.schedule->previous(now, plan.timezone);
  if (!event || *last_started >= *event) return std::nullopt;
  return event;
}

}  // namespace coppice::policy
