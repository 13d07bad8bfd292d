// X25519 (RFC 7748), Ed25519 (RFC 8032) and sealing to an X25519 public key.
#pragma once

#include <array>

#include "crypto/secret.h"
#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice::crypto {

using PublicKey = std::array<std::byte, 32>;
using Signature = std::array<std::byte, 64>;

// Private halves are any 32 random (or derived) bytes.
PublicKey x25519_public(const Key& private_key);
Result<Key> x25519_agree(const Key& private_key, const PublicKey& peer);   // kUnauthentic on an all-zero result
// False for the few keys that agree with everyone on zero. Ask before keeping a recipient's key: seal_to ends the program on one.
bool x25519_is_usable(const PublicKey& key);

PublicKey ed25519_public(const Key& seed);
Signature ed25519_sign(const Key& seed, ByteSpan message);
bool ed25519_verify(const PublicKey& key, ByteSpan message, const Signature& signature);

// Sealing to a recipient: ephemeral X25519 public key (32) | key commitment (32) | ChaCha20-Poly1305 ciphertext and tag.
// Key | nonce = HKDF(ECDH, salt = ephemeral public | recipient public, info = "seal" | context); the commitment is the same
// with info "commit" | context, so that one box opens under one key only. No associated data. `ephemeral` is used once.
// open_box: kUnauthentic for another key, another context or a changed byte.
inline constexpr std::size_t kBoxOverheadBytes = 32 + 32 + 16;
Bytes seal_to(const PublicKey& recipient, const Key& ephemeral, std::string_view context, ByteSpan plaintext);
Result<SecretBytes> open_box(const Key& recipient_private, std::string_view context, ByteSpan box);

}  // namespace coppice::crypto
