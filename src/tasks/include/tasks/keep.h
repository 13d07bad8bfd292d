// Keep rules over the snapshots of a vault.
#pragma once

#include <string>
#include <vector>

#include "policy/keep.h"
#include "policy/plan.h"
#include "vault/vault.h"

namespace coppice::tasks {

// Snapshots of one host and of the same sources, or of one plan, that one key signed: rules count within a group only. The key belongs to it
// because the rest is what its holder claims: else a thief of one writer's key could push another host's snapshots out.
struct KeepGroup {
  format::MemberId signer{};
  std::string signer_name;
  std::string host;
  std::vector<std::string> sources;
  std::vector<const vault::Snapshot*> snapshots;  // in the order of their sessions
  std::vector<policy::KeepVerdict> verdicts;      // one for each
  std::vector<const vault::Snapshot*> to_forget() const;
};

// `snapshots` have bodies. Groups in the order of host, sources and signer.
std::vector<KeepGroup> decide_groups(const std::vector<const vault::Snapshot*>& snapshots, const policy::KeepRules& rules,
                                     Timestamp now, const policy::TimeZone& zone);

// The tag that every snapshot of a plan has.
std::string plan_tag(const std::string& plan);
// What the plan's keep rules say of its snapshots of `host`, a group for each signer. kDenied when the key cannot read them.
Result<std::vector<KeepGroup>> decide_plan(const vault::SnapshotList& list, const policy::Plan& plan, const std::string& host,
                                           Timestamp now);
// The same of those that one key signed.
Result<KeepGroup> decide_plan_of(const vault::SnapshotList& list, const policy::Plan& plan, const std::string& host,
                                 const format::MemberId& signer, Timestamp now);

// "--keep-daily 7 --keep-within 90d"
std::string render_keep_options(const policy::KeepRules& rules);

}  // namespace coppice::tasks
