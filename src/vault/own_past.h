// What this writer committed before, and whether the vault still holds it: the base of the next backup, the index runs that lookups may
// use, the packs that are gone.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace coppice::vault {

struct OwnPast {
  struct Session {
    format::SessionId id;
    format::PackList packs;
    bool forgotten = false;
  };
  std::vector<Session> sessions;             // ascending
  std::optional<Snapshot> previous;          // the newest of the lineage
  std::vector<format::RunRecord> runs;       // not superseded
  // Packs that our commits name and the store does not hold, holds with another size, or holds damaged (found by a check on this host):
  // ascending. An index hit in one of them, or a slice of the base that lies there, is no evidence that a chunk is stored.
  std::vector<format::PackName> lost;
  bool previous_usable = true;               // false: the base refers to a lost pack, or its list cannot be read
  std::vector<std::string> notices;

  bool is_lost(const format::PackName& pack) const { return std::ranges::binary_search(lost, pack); }
};

// kUnsupported when a commit says that who writes here must know a feature that this program does not.
Result<OwnPast> look_back(const Vault& vault, const format::Digest& lineage);

// The newest snapshot of the lineage by our key, a stale list notwithstanding.
Result<std::optional<Snapshot>> newest_of(const Vault& vault, const format::Digest& lineage);

// Those of `names` (ascending) that one of our commits names, ascending.
std::vector<format::PackName> committed_among(const Vault& vault, const OwnPast& past, const std::vector<format::PackName>& names);

}  // namespace coppice::vault
