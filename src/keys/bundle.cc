// Derivation of all keys from the root seed, and the bundle's encoding.
//
// The derivations stand for ever: whoever has a recovery sheet of today must open a vault with it in twenty years.
// Golden values in tests/keys/bundle_test.cc hold them.
#include "keys/bundle.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/hash.h"
#include "secret_writer.h"

namespace coppice::keys {
namespace {

using crypto::Key;
using format::Role;

constexpr std::uint8_t kBundleVersion = 1;
constexpr std::size_t kBundleHeadBytes = 1 + 1 + 16 + 32 + 16 + 32;

EpochKey readable_epoch(std::uint32_t number, Key private_key) {
  EpochKey epoch;
  epoch.number = number;
  epoch.public_key = crypto::x25519_public(private_key);
  epoch.private_key = std::move(private_key);
  return epoch;
}

std::vector<EpochKey> derive_epochs(const Key& root, const format::VaultId& vault, std::uint32_t newest) {
  std::vector<EpochKey> epochs;
  epochs.reserve(newest);
  for (std::uint32_t n = kFirstEpoch; n <= newest; ++n)
    epochs.push_back(readable_epoch(n, derive_epoch_private(root, vault, n)));
  return epochs;
}

bool is_epoch_count(std::uint32_t newest) {
  return newest >= kFirstEpoch && newest - kFirstEpoch < format::kRosterEpochsMax;
}

void fill_owner(KeyBundle& bundle, const Key& root, std::uint32_t newest_epoch) {
  bundle.root = root.duplicate();
  bundle.id_key = derive_id_key(root, bundle.vault);
  bundle.index_key = derive_index_key(root, bundle.vault);
  bundle.epochs = derive_epochs(root, bundle.vault, newest_epoch);
}

void decode_owner(format::Reader& r, KeyBundle& bundle) {
  const Key root = take_key(r);
  const std::uint32_t newest = r.u32();
  r.expect(is_epoch_count(newest));
  if (r.failed()) return;
  r.expect(crypto::ed25519_public(derive_owner_seed(root, bundle.vault)) == bundle.owner);
  if (!r.failed()) fill_owner(bundle, root, newest);
}

void decode_reader(format::Reader& r, KeyBundle& bundle) {
  bundle.id_key = take_key(r);
  bundle.index_key = take_key(r);
  const std::uint32_t count = r.u32();
  r.expect(count >= 1 && count <= format::kRosterEpochsMax);
  for (std::uint32_t i = 0, previous = 0; i < count && !r.failed(); ++i) {
    const std::uint32_t number = r.u32();
    r.expect(number > previous);
    previous = number;
    Key private_key = take_key(r);
    if (!r.failed()) bundle.epochs.push_back(readable_epoch(number, std::move(private_key)));
  }
}

void decode_writer(format::Reader& r, KeyBundle& bundle) {
  bundle.id_key = take_key(r);
  bundle.index_key = take_key(r);
  EpochKey epoch;
  epoch.number = r.u32();
  epoch.public_key = r.array<32>();
  r.expect(epoch.number >= kFirstEpoch);
  bundle.epochs.push_back(std::move(epoch));
}

// What encode_bundle writes is what its role may hold: a bundle that was put together wrongly must not leave this
// process.
void check_holds_its_role(const KeyBundle& bundle) {
  const bool writes = bundle.role != Role::kKeeper, reads = bundle.role == Role::kOwner || bundle.role == Role::kReader;
  CHECK(bundle.root.has_value() == (bundle.role == Role::kOwner));
  CHECK(bundle.id_key.has_value() == writes && bundle.index_key.has_value() == writes);
  CHECK(bundle.epochs.empty() == !writes);
  CHECK(bundle.epochs.size() <= format::kRosterEpochsMax);
  CHECK(bundle.role != Role::kWriter || bundle.epochs.size() == 1);
  for (const EpochKey& epoch : bundle.epochs) CHECK(epoch.private_key.has_value() == reads);
}

}  // namespace

const EpochKey* KeyBundle::epoch(std::uint32_t number) const {
  const auto it = std::ranges::lower_bound(epochs, number, {}, &EpochKey::number);
  return it != epochs.end() && it->number == number ? &*it : nullptr;
}

Key derive_owner_seed(const Key& root, const format::VaultId& vault) {
  return crypto::hkdf_key(root.view(), vault, "coppice 1 owner");
}

Key derive_id_key(const Key& root, const format::VaultId& vault) {
  return crypto::hkdf_key(root.view(), vault, "coppice 1 id");
}

Key derive_index_key(const Key& root, const format::VaultId& vault) {
  return crypto::hkdf_key(root.view(), vault, "coppice 1 index");
}

Key derive_epoch_private(const Key& root, const format::VaultId& vault, std::uint32_t epoch) {
  return crypto::hkdf_key(root.view(), vault, fmt::format("coppice 1 epoch {}", epoch));
}

KeyBundle make_bundle(const Key& root, const format::VaultId& vault, Role role, const format::MemberId& member,
                      Key signing_seed, std::uint32_t newest_epoch) {
  CHECK(is_epoch_count(newest_epoch));
  KeyBundle bundle;
  bundle.role = role;
  bundle.vault = vault;
  bundle.owner = crypto::ed25519_public(derive_owner_seed(root, vault));
  bundle.member = member;
  bundle.signing_seed = std::move(signing_seed);
  switch (role) {
    case Role::kOwner:
      fill_owner(bundle, root, newest_epoch);
      break;
    case Role::kReader:
      bundle.id_key = derive_id_key(root, vault);
      bundle.index_key = derive_index_key(root, vault);
      bundle.epochs = derive_epochs(root, vault, newest_epoch);
      break;
    case Role::kWriter: {
      bundle.id_key = derive_id_key(root, vault);
      bundle.index_key = derive_index_key(root, vault);
      EpochKey epoch;
      epoch.number = newest_epoch;
      epoch.public_key = crypto::x25519_public(derive_epoch_private(root, vault, newest_epoch));
      bundle.epochs.push_back(std::move(epoch));
      break;
    }
    case Role::kKeeper:
      break;
  }
  return bundle;
}

KeyBundle bundle_from_root(const Key& root, const format::VaultId& vault, std::uint32_t newest_epoch) {
  return make_bundle(root, vault, Role::kOwner, format::MemberId{}, derive_owner_seed(root, vault), newest_epoch);
}

crypto::SecretBytes encode_bundle(const KeyBundle& bundle) {
  check_holds_its_role(bundle);
  SecretWriter w(kBundleHeadBytes + 32 + 32 + 4 + bundle.epochs.size() * (4 + 32));
  w.u8(kBundleVersion);
  w.u8(static_cast<std::uint8_t>(bundle.role));
  w.bytes(bundle.vault);
  w.bytes(bundle.owner);
  w.bytes(bundle.member);
  w.bytes(bundle.signing_seed.view());
  switch (bundle.role) {
    case Role::kOwner:
      w.bytes(bundle.root->view());
      w.u32(bundle.newest_epoch().number);
      break;
    case Role::kReader:
      w.bytes(bundle.id_key->view());
      w.bytes(bundle.index_key->view());
      w.u32(static_cast<std::uint32_t>(bundle.epochs.size()));
      for (const EpochKey& epoch : bundle.epochs) {
        w.u32(epoch.number);
        w.bytes(epoch.private_key->view());
      }
      break;
    case Role::kWriter:
      w.bytes(bundle.id_key->view());
      w.bytes(bundle.index_key->view());
      w.u32(bundle.newest_epoch().number);
      w.bytes(bundle.newest_epoch().public_key);
      break;
    case Role::kKeeper:
      break;
  }
  return std::move(w).finish();
}

Result<KeyBundle> decode_bundle(ByteSpan bytes) {
  format::Reader r(bytes);
  const std::uint8_t version = r.u8();
  if (!r.failed() && version != kBundleVersion)
    return fail(ErrorKind::kUnsupported,
                fmt::format("key bundle of version {}; this program knows version {}", version, kBundleVersion));
  KeyBundle bundle;
  const std::uint8_t role = r.u8();
  r.expect(role >= static_cast<std::uint8_t>(Role::kOwner) && role <= static_cast<std::uint8_t>(Role::kKeeper));
  bundle.role = static_cast<Role>(role);
  bundle.vault = r.array<16>();
  bundle.owner = r.array<32>();
  bundle.member = r.array<16>();
  bundle.signing_seed = take_key(r);
  if (!r.failed() && bundle.role == Role::kOwner) decode_owner(r, bundle);
  if (!r.failed() && bundle.role == Role::kReader) decode_reader(r, bundle);
  if (!r.failed() && bundle.role == Role::kWriter) decode_writer(r, bundle);
  if (!r.complete()) return fail(ErrorKind::kCorrupt, "key bundle does not have the form of its role");
  return bundle;
}

}  // namespace coppice::keys
