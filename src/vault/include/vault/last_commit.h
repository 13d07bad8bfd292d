// What this host remembers of its last commit in each lineage. A list that leaves it out is stale as a rule; a vault that no longer has it,
// nor a signed wish to forget it, was rolled back or damaged, and the next backup or check says so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace coppice::vault {

// Puts the commit into `all` (every commit of the vault, forgotten ones included) when the list lacks it and the store has it. The warning,
// if there is cause for one.
std::optional<std::string> find_last_commit(const Vault& vault, const format::Digest& lineage, SnapshotList& all);
// Those of all lineages that the vault has lost.
struct LostCommit {
  format::SessionId session;
  Error error;
};
std::vector<LostCommit> find_lost_commits(const Vault& vault);
// Best effort: a failure costs a later warning, nothing else.
void remember_last_commit(const Vault& vault, const format::Digest& lineage, format::SessionId session, const format::Digest& commit);

}  // namespace coppice::vault
