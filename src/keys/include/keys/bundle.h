// What an opened key gives its holder. design: root seed -> everything else by HKDF; roles see parts of it.
//
//   owner   root seed, so everything; changes the roster
//   reader  id key, index key, all epochs' private halves: backs up, reads, endorses
//   writer  id key, index key, the newest epoch's public half: backs up and deduplicates, reads nothing back
//   keeper  its signing key only: looks after the store
#pragma once

#include <optional>
#include <vector>

#include "crypto/asymmetric.h"
#include "crypto/secret.h"
#include "format/keyring.h"
#include "foundation/result.h"
#include "keys/trust.h"

namespace coppice::keys {

inline constexpr std::uint32_t kFirstEpoch = 1;   // of a new vault; 0 is no epoch

struct EpochKey {
  std::uint32_t number = 0;
  format::PublicKey public_key{};
  std::optional<crypto::Key> private_key;   // absent for a writer
};

struct KeyBundle {
  format::Role role = format::Role::kReader;
  format::VaultId vault{};
  format::PublicKey owner{};                 // the trust anchor: every roster must be signed by it
  format::MemberId member{};
  crypto::Key signing_seed;                  // Ed25519; its public half stands in the roster
  std::optional<crypto::Key> root;           // owner
  std::optional<crypto::Key> id_key;         // all but a keeper
  std::optional<crypto::Key> index_key;
  std::vector<EpochKey> epochs;              // ascending; a writer has the newest only, a keeper none

  bool can_write() const { return id_key.has_value() && !epochs.empty(); }
  bool can_read() const { return can_write() && epochs.back().private_key.has_value(); }
  const EpochKey& newest_epoch() const { return epochs.back(); }
  const EpochKey* epoch(std::uint32_t number) const;
  TrustAnchor anchor() const { return {vault, owner}; }
};

// Derivation from the root seed (HKDF-SHA-256, salt = vault id, info = "coppice 1 <what>").
crypto::Key derive_owner_seed(const crypto::Key& root, const format::VaultId& vault);  // Ed25519 seed of the owner key
crypto::Key derive_id_key(const crypto::Key& root, const format::VaultId& vault);
crypto::Key derive_index_key(const crypto::Key& root, const format::VaultId& vault);
crypto::Key derive_epoch_private(const crypto::Key& root, const format::VaultId& vault, std::uint32_t epoch);

// The bundle that `role` gets, cut from the root seed. `signing_seed` is the member's own. newest_epoch >= kFirstEpoch.
KeyBundle make_bundle(const crypto::Key& root, const format::VaultId& vault, format::Role role,
                      const format::MemberId& member, crypto::Key signing_seed, std::uint32_t newest_epoch);

// What the recovery sheet gives: the owner itself, who is no member. Its member id is zero, it signs with the owner
// key, and it needs nothing from the vault but the number of the newest epoch, which stands in the roster.
KeyBundle bundle_from_root(const crypto::Key& root, const format::VaultId& vault, std::uint32_t newest_epoch);

// The layout stands in format/keyring.h. What decodes is consistent (kCorrupt otherwise): the fields of its role and no
// others, epochs ascending, and for an owner the owner public key is the one that the root seed derives.
crypto::SecretBytes encode_bundle(const KeyBundle& bundle);
Result<KeyBundle> decode_bundle(ByteSpan bytes);

}  // namespace coppice::keys
