// What the tests of this layer share: a vault with fixed keys, seeded randomness, and the cheapest passphrase.
#pragma once

#include <numeric>

#include "crypto/hash.h"
#include "foundation/encoding.h"
#include "keys/recovery_sheet.h"
#include "keys/roster.h"
#include "keys/slot.h"
#include "support/result.h"

namespace coppice::keys {

inline constexpr crypto::Argon2Cost kCheapest{.memory_kib = crypto::kArgon2MemoryKibMin, .passes = 1};

inline crypto::Key fixed_root() {
  crypto::Key root;
  for (std::size_t i = 0; i < 32; ++i) root.writable()[i] = static_cast<std::byte>(i);
  return root;
}

inline format::VaultId fixed_vault() {
  format::VaultId vault;
  for (std::size_t i = 0; i < 16; ++i) vault[i] = static_cast<std::byte>(i * 17);
  return vault;
}

inline format::MemberId member_id(unsigned n) {
  format::MemberId id{};
  id[0] = static_cast<std::byte>(n);
  id[15] = std::byte{0xee};
  return id;
}

inline crypto::Key key_of(std::string_view label) { return crypto::Key(crypto::sha256(as_bytes(label))); }

// A hash chain: different bytes at every call, the same in every run.
inline Random seeded(std::string_view seed) {
  return [state = crypto::sha256(as_bytes(seed))](MutableByteSpan into) mutable {
    for (std::size_t at = 0; at < into.size(); at += state.size()) {
      state = crypto::sha256(state);
      std::memcpy(into.data() + at, state.data(), std::min(state.size(), into.size() - at));
    }
  };
}

inline crypto::Key fixed_owner_seed() { return derive_owner_seed(fixed_root(), fixed_vault()); }
inline TrustAnchor fixed_anchor() { return {fixed_vault(), crypto::ed25519_public(fixed_owner_seed())}; }

inline KeyBundle bundle_of(format::Role role, unsigned n = 1, std::uint32_t epoch = kFirstEpoch) {
  return make_bundle(fixed_root(), fixed_vault(), role, member_id(n), key_of("signing " + std::to_string(n)), epoch);
}

inline Passphrase passphrase(std::string_view text) { return {crypto::SecretBytes::copy_of(as_bytes(text))}; }

inline KeyFile copy_of(const KeyFile& file) {
  return {.anchor = file.anchor, .member = file.member, .role = file.role, .key = file.key.duplicate()};
}

}  // namespace coppice::keys
