// Opening a vault: where it is, and by which credential. The order in which credentials are tried is the order in which
// a person would expect it: what was named, else this host's key file, else the passphrase.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "keys/recovery_sheet.h"
#include "keys/slot.h"
#include "storage/object_store.h"
#include "tasks/places.h"
#include "vault/vault.h"

namespace coppice::tasks {

struct AccessOptions {
  std::string vault;     // location as given, or empty
  std::string config;    // the configuration that names it else; empty: the one of COPPICE_CONFIG or of the places
  std::string key_file;  // a key file or an identity file
  std::optional<std::string> recovery_sheet;  // a file; "-": standard input; empty: the words are asked for
  std::string passphrase_file;
  std::string fingerprint;  // of the vault; needed with an identity file, checked whenever it is given
  bool ask = true;          // false: a key file opens it, or nothing does; for what must neither wait nor ask
  bool owner = false;       // the work needs the owner: this host's key file is passed over
  std::uint64_t memory_bytes = 256ull << 20;  // the ceiling: a passphrase whose slot costs more is refused, saying so
};

// The anchor that vault.json claims. The store says so: nothing rests on it until it was compared with a credential's.
Result<keys::TrustAnchor> read_claimed_anchor(storage::ObjectStore& store);

// What a credential opens, looked for anew at each call.
using BundleSource = std::function<Result<keys::KeyBundle>()>;

// What one run works with. The source and the vault refer to the store: they move together and die in this order.
struct OpenedVault {
  Places places;
  std::string location;  // absolute path
  std::unique_ptr<storage::ObjectStore> store;
  BundleSource source;   // opened the vault, and opens it as it is later
  std::unique_ptr<vault::Vault> vault;
};

// Of the first slot that the credential fits. `what` names the credential in errors, `context` stands before them.
BundleSource source_by_slot(storage::ObjectStore& store, keys::Credential credential, const AccessOptions& options,
                            std::string what, std::string context);
// Opens with what `source` gives. The data key may be rotated between the look at the slots and the look at the roster;
// the slot is then an old one, and is looked for once more.
Result<std::unique_ptr<vault::Vault>> open_with(storage::ObjectStore& store, const BundleSource& source,
                                                const std::string& state_directory, const platform::Clock& clock,
                                                platform::Entropy& entropy);

Result<OpenedVault> open_vault(const AccessOptions& options, const Environment& environment, bool is_root);
// The same with the store only, for work that opens no key (or tests one): finds and opens the place.
Result<OpenedVault> open_store(const AccessOptions& options, const Environment& environment, bool is_root);

// What to do when nothing can be written to the vault's directory; empty: the error says something else.
std::string_view unwritable_hint(const Error& error);

// Every slot object of the vault, by member, newest epoch first: keys/<member>.<epoch> before keys/<member>.
struct SlotObject {
  std::string name;
  format::MemberId member{};
  std::uint32_t epoch = 0;  // 0: the member's first slot
};
Result<std::vector<SlotObject>> list_slots(storage::ObjectStore& store);
// A list is a hint: the slots of these members and epochs that `objects` lacks are asked for by name and added, in the
// same order. An error says which could not be asked for; the others are added all the same.
Result<> add_unlisted_slots(storage::ObjectStore& store, std::span<const format::MemberId> members,
                            std::initializer_list<std::uint32_t> epochs, std::vector<SlotObject>& objects);
Result<format::KeySlot> read_slot(storage::ObjectStore& store, const SlotObject& object);
std::string slot_object_name(const format::MemberId& member, std::uint32_t epoch);

// The words (or a whole sheet), proved to be this vault's: kUnauthentic when their owner is not the one that vault.json
// names. From text, from a file ("-" is standard input), or typed on the terminal, unseen, in one line or several.
Result<keys::RecoverySheet> parse_recovery_sheet(ByteSpan text, const keys::TrustAnchor& claimed);
Result<keys::RecoverySheet> read_recovery_sheet(const std::string& path, const keys::TrustAnchor& claimed);
Result<keys::RecoverySheet> ask_recovery_sheet(const keys::TrustAnchor& claimed);

}  // namespace coppice::tasks
