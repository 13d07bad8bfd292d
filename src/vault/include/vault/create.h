// Making a vault: vault.json, the first roster, the first key slots, generation 0.
//
// A vault is there when vault.json is there, and vault.json is put last: after a crash at any point before, nothing
// opens. What such an init leaves behind belongs to a root seed that nobody has, and is never taken over nor removed:
// an init cannot know whether another is at work at this moment, and a delete that a store carries out late would hit
// the vault made after it. So where anything lies, create_vault refuses and says what to empty. The put of generation
// 0's plan, the first one, decides between two inits at once: the name has no key in it, so one of them loses there and
// has stored nothing.
#pragma once

#include <vector>

#include "crypto/secret.h"
#include "format/keyring.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "storage/object_store.h"

namespace coppice::vault {

struct NewVault {
  format::VaultId id{};
  crypto::Key root;             // for the recovery sheet
};

// `members` (version 0 of the roster) and `slots` belong together one to one; bundles are of epoch keys::kFirstEpoch.
// kInvalid: they do not belong together, or break a rule of the roster; nothing was stored then. kConflict: a vault is
// there, or something else that must go first. After any other failure there is no vault, but perhaps debris (see
// above), unless the error was in the last put and says so.
Result<> create_vault(storage::ObjectStore& store, const NewVault& vault, const std::vector<format::Member>& members,
                      const std::vector<format::KeySlot>& slots, const platform::Clock& clock);

}  // namespace coppice::vault
