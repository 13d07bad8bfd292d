// The owner's work on keys: making a vault with its first holders, adding and removing holders, rotating the data key.
//
// Every change is one new roster version, put last: until it stands, nothing has changed; what was put before it is
// inert. So each of these can be cut short anywhere and run again.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "keys/roster.h"
#include "keys/slot.h"
#include "vault/vault.h"

namespace coppice::tasks {

// A member's signing seed comes from the root seed, so that the owner can renew its slot without asking it:
// HKDF-SHA-256(root, salt = vault id, "coppice 1 member signing " | member id in hexadecimal).
crypto::Key derive_signing_seed(const crypto::Key& root, const format::VaultId& vault, const format::MemberId& member);

// ---- a new vault ----

struct InitRequest {
  std::string location;  // absolute; made when missing, must be empty
  crypto::SecretBytes passphrase;
  crypto::Argon2Cost cost;
  format::Role host_role = format::Role::kReader;
  std::string host_name;       // of the host's member
  std::string keys_directory;  // the host's key file goes here, named by the vault id
  std::string recovery_file;   // made, 0600; empty: the caller shows the sheet
};
struct InitResult {
  keys::TrustAnchor anchor;
  std::string key_file;       // where it was written
  crypto::SecretBytes sheet;  // the recovery sheet's text
};
// Whether a vault can be made there, as far as looking tells: kConflict when something is there already.
Result<> check_place_for_vault(const std::string& location);
// kConflict when something is there already. On any failure what was made is taken away again, unless another made it.
Result<InitResult> init_vault(const InitRequest& request, const platform::Clock& clock, platform::Entropy& entropy);

// ---- holders ----

struct NewMember {
  std::string name;
  format::Role role = format::Role::kReader;
  // How it opens its slot: a passphrase, a key file to be written to this path, or a recipient's public key.
  struct ByKeyFile {
    std::string path;
  };
  std::variant<crypto::SecretBytes, ByKeyFile, format::PublicKey> by;
};
// The vault must have been opened by the owner. kConflict: the key file's path is taken, or another changed the roster
// meanwhile.
Result<format::Member> add_member(const vault::Vault& vault, NewMember member, crypto::Argon2Cost cost);

// Revokes the living member of that name and takes its slots out of the vault: what it signs from now on counts nowhere. Its forgets
// stand, under the owner's signature, or fall with its own.
enum class ItsForgets { kStand, kFall };
struct Removal {
  format::Member member;
  std::size_t forgets = 0;   // that counted by its signature
};
Result<Removal> remove_member(const vault::Vault& vault, std::string_view name, ItsForgets its_forgets = ItsForgets::kStand);

struct Rotation {
  std::uint32_t epoch = 0;                // the new one
  std::vector<std::string> renewed;       // members that got the new key
  std::vector<std::string> without_slot;  // living members whose slot is not in the vault: they cannot open it
};
// A new data key for all living members; no passphrase is asked for. Old data stays readable with the old keys.
Result<Rotation> rotate_epoch(const vault::Vault& vault);

keys::Random random_of(platform::Entropy& entropy);
// A name that the roster takes, from a host name: unprintable bytes become '-', at most 64 bytes.
std::string member_name_of(std::string_view host);
// kConflict when something of that name is there, before anything is asked or made.
Result<> check_no_file_at(const std::string& path);
// Creates a file that must not be there yet, 0600, durably. kConflict when it is.
Result<> write_new_secret_file(const std::string& path, ByteSpan bytes);

}  // namespace coppice::tasks
