#include "tasks/keep.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

#include "tasks/snapshot_ref.h"

namespace coppice::tasks {

namespace {
void decide(KeepGroup& group, const policy::KeepRules& rules, Timestamp now, const policy::TimeZone& zone) {
  std::vector<policy::KeepItem> items;
  for (const auto* snapshot : group.snapshots) items.push_back({.time = snapshot_time(*snapshot), .partial = snapshot->body && !snapshot->body->complete});
  group.verdicts = policy::decide_keep(rules, items, now, zone);
}

void add_to(KeepGroup& group, const vault::Snapshot& snapshot, const std::vector<std::string>& sources) {
  group.signer = snapshot.signer;
  group.signer_name = snapshot.signer_name;
  group.host = snapshot.body->host;
  group.sources = sources;
  group.snapshots.push_back(&snapshot);
}

template <class Key>
std::vector<KeepGroup> decide_all(std::map<Key, KeepGroup> by_key, const policy::KeepRules& rules, Timestamp now, const policy::TimeZone& zone) {
  std::vector<KeepGroup> groups;
  for (auto& [_, group] : by_key) {
    decide(group, rules, now, zone);
    groups.push_back(std::move(group));
  }
  return groups;
}

std::string render_duration(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  for (const auto& [unit, letter] : {std::pair(86400, 'd'), std::pair(3600, 'h'), std::pair(60, 'm')})
    if (seconds % unit == 0) return fmt::format("{}{}", seconds / unit, letter);
  return fmt::format("{}s", seconds);
}
}  // namespace

std::vector<const vault::Snapshot*> KeepGroup::to_forget() const {
  std::vector<const vault::Snapshot*> chosen;
  for (std::size_t i = 0; i < snapshots.size(); ++i)
    if (!verdicts[i].keep) chosen.push_back(snapshots[i]);
  return chosen;
}

std::vector<KeepGroup> decide_groups(const std::vector<const vault::Snapshot*>& snapshots, const policy::KeepRules& rules,
                                     Timestamp now, const policy::TimeZone& zone) {
  std::map<std::tuple<std::string, std::vector<std::string>, format::MemberId>, KeepGroup> by_source;
  for (const auto* snapshot : snapshots)
    add_to(by_source[{snapshot->body->host, snapshot->body->sources, snapshot->signer}], *snapshot, snapshot->body->sources);
  return decide_all(std::move(by_source), rules, now, zone);
}

std::string plan_tag(const std::string& plan) { return std::string(policy::kPlanTagPrefix) + plan; }

namespace {
Result<std::vector<const vault::Snapshot*>> of_plan(const vault::SnapshotList& list, const policy::Plan& plan, const std::string& host) {
  return filter_snapshots(list, {.hosts = {host}, .tags = {plan_tag(plan.name)}});
}
}  // namespace

Result<std::vector<KeepGroup>> decide_plan(const vault::SnapshotList& list, const policy::Plan& plan, const std::string& host,
                                           Timestamp now) {
  const auto snapshots = TRY(of_plan(list, plan, host));
  std::map<format::MemberId, KeepGroup> by_signer;
  for (const auto* snapshot : snapshots) add_to(by_signer[snapshot->signer], *snapshot, plan.sources);
  return decide_all(std::move(by_signer), plan.keep, now, plan.timezone);
}

Result<KeepGroup> decide_plan_of(const vault::SnapshotList& list, const policy::Plan& plan, const std::string& host,
                                 const format::MemberId& signer, Timestamp now) {
  KeepGroup group;
  for (const auto* snapshot : TRY(of_plan(list, plan, host)))
    if (snapshot->signer == signer) add_to(group, *snapshot, plan.sources);
  decide(group, plan.keep, now, plan.timezone);
  return group;
}

std::string render_keep_options(const policy::KeepRules& rules) {
  std::string text;
  for (const auto& [name, count] : {std::pair("last", rules.last), std::pair("hourly", rules.hourly),
                                    std::pair("daily", rules.daily), std::pair("weekly", rules.weekly),
                                    std::pair("monthly", rules.monthly), std::pair("yearly", rules.yearly)}) {
    if (count > 0) text += fmt::format("{}--keep-{} {}", text.empty() ? "" : " ", name, count);
  }
  if (rules.within) text += fmt::format("{}--keep-within {}", text.empty() ? "" : " ", render_duration(*rules.within));
  return text;
}

}  // namespace coppice::tasks
