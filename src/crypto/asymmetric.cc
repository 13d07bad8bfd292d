// X25519 and Ed25519 by libsodium, which works on bytes where they lie: no key is copied out of locked memory.
#include "crypto/asymmetric.h"

#include <sodium.h>

#include "foundation/check.h"
#include "octets_internal.h"

namespace coppice::crypto {
namespace {

// What libsodium signs with: the seed and the public key.
struct SigningKey {
  PublicKey public_key;
  Secret<crypto_sign_SECRETKEYBYTES> bytes;
  explicit SigningKey(const Key& seed) {
    CHECK(crypto_sign_seed_keypair(octets(public_key.data()), octets(bytes.writable().data()), octets(seed.view().data())) == 0);
  }
};

}  // namespace

PublicKey x25519_public(const Key& private_key) {
  PublicKey out;
  CHECK(crypto_scalarmult_base(octets(out.data()), octets(private_key.view().data())) == 0);   // any 32 bytes are a private key
  return out;
}

Result<Key> x25519_agree(const Key& private_key, const PublicKey& peer) {
  Key shared;
  // Fails on a peer of small order, and on an all-zero result; that this holds in every version is not for us to hope.
  if (crypto_scalarmult(octets(shared.writable().data()), octets(private_key.view().data()), octets(peer.data())) != 0 ||
      equal_constant_time(shared.view(), std::array<std::byte, 32>{}))
    return fail(ErrorKind::kUnauthentic, "key agreement with a degenerate public key");
  return shared;
}

bool x25519_is_usable(const PublicKey& key) {
  Key any;  // every private key is a multiple of the cofactor, so all of them agree on zero with a key of small order
  any.writable()[0] = std::byte{8};
  return x25519_agree(any, key).has_value();
}

PublicKey ed25519_public(const Key& seed) { return SigningKey(seed).public_key; }

Signature ed25519_sign(const Key& seed, ByteSpan message) {
  const SigningKey key(seed);
  Signature signature;
  CHECK(crypto_sign_detached(octets(signature.data()), nullptr, octets(message.data()), message.size(), octets(key.bytes.view().data())) == 0);
  return signature;
}

bool ed25519_verify(const PublicKey& key, ByteSpan message, const Signature& signature) {
  return crypto_sign_verify_detached(octets(signature.data()), octets(message.data()), message.size(), octets(key.data())) == 0;
}

}  // namespace coppice::crypto
