// What this writer committed before, and whether the vault still holds it: the base of the next backup, the index runs that lookups may
// use, the packs that are gone.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace coppice::vault {

// Packs that an index entry or a base may name and that must not be taken for stored.
struct LostPacks {
  std::vector<format::PackName> named;       // ascending: our commits record them; gone, of another size, or found damaged by a check on this host
  bool of_the_store = false;                 // true: what the two below lack is lost as well
  std::vector<format::SessionId> recorded;   // ascending: sessions all of whose packs our commits record
  std::vector<format::PackName> there;       // ascending: packs of other sessions (broken off, or whose commit is lost) that the store has

  bool contains(const format::PackName& pack) const {
    if (std::ranges::binary_search(named, pack)) return true;
    return of_the_store && !std::ranges::binary_search(recorded, pack.session) && !std::ranges::binary_search(there, pack);
  }
};

struct OwnPast {
  struct Session {
    format::SessionId id;
    format::PackList packs;
    bool forgotten = false;
  };
  std::vector<Session> sessions;             // ascending
  format::SessionId after;                   // the first behind all valid commits of generation 0, whoever signed them
  std::optional<Snapshot> previous;          // the newest of the lineage
  std::vector<format::RunRecord> runs;       // not superseded
  LostPacks lost;                            // an index hit in one of them, or a slice of the base that lies there, is no evidence that a chunk is stored
  bool previous_usable = true;               // false: the base refers to a lost pack, or its list cannot be read
  std::vector<format::PackName> told;        // ascending: those of lost.named that notices speak of
  std::vector<std::string> notices;
};

// kUnsupported when a commit says that who writes here must know a feature that this program does not.
Result<OwnPast> look_back(const Vault& vault, const format::Digest& lineage);

// The newest snapshot of the lineage by our key, a stale list notwithstanding.
Result<std::optional<Snapshot>> newest_of(const Vault& vault, const format::Digest& lineage);

// Those of `names` (ascending) that one of our commits names, ascending.
std::vector<format::PackName> committed_among(const Vault& vault, const OwnPast& past, const std::vector<format::PackName>& names);

}  // namespace coppice::vault
