// The trust anchor: which vault, and whose word counts in it. Whoever opens a vault must have it from somewhere that
// the store cannot write: from under the passphrase, in the key file, or from the recovery sheet.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "format/ids.h"

namespace coppice::keys {

struct TrustAnchor {
  format::VaultId vault{};
  format::PublicKey owner{};   // Ed25519
  auto operator<=>(const TrustAnchor&) const = default;
};

// For people to compare and to write down: the first 16 bytes of SHA-256("coppice 1 fingerprint" NUL | vault id | owner
// key) as eight groups of four hexadecimal digits. It names the vault as well as the key.
std::string render_fingerprint(const TrustAnchor& anchor);
// `text` as a person types it: case, blanks, hyphens and colons do not count. All 32 digits are asked for.
bool fingerprint_matches(const TrustAnchor& anchor, std::string_view text);

// Fills its argument with random bytes. Keys are made of them: only the system's source will do outside of tests.
using Random = std::function<void(MutableByteSpan)>;

}  // namespace coppice::keys
