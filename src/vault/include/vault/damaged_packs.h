// Packs that a check found damaged and that still stand in their place. A list of this host, in its state of the vault: the next backup
// reads what it names again, takes what is still damaged for lost, and so stores anew what the source has of it.
#pragma once

#include <vector>

#include "vault/vault.h"

namespace coppice::vault {

// Adds `packs` to the list. Durable on return. Nothing happens when the vault remembers nothing (an empty state directory).
Result<> remember_damaged_packs(const Vault& vault, std::vector<format::PackName> packs);

// The list, ascending. One that cannot be read is an empty one: a check finds it all again.
std::vector<format::PackName> remembered_damaged_packs(const Vault& vault);
// Takes `packs` (ascending) off the list. Best effort: one that stays is read once more by the next backup.
void forget_damaged_packs(const Vault& vault, const std::vector<format::PackName>& packs);

// Reads the whole pack: that it is the one that `record` names, that every block has the bytes that its directory says, and with a key that
// can read, that it opens and holds the chunks that it says.
Result<> verify_pack(const Vault& vault, const format::PackRecord& record);

}  // namespace coppice::vault
