// X25519 and Ed25519 by OpenSSL's raw-key interface.
#include "crypto/asymmetric.h"

#include "openssl_internal.h"

namespace coppice::crypto {
namespace {

Pkey private_pkey(int type, const Key& key) {
  Pkey pkey(EVP_PKEY_new_raw_private_key(type, nullptr, octets(key.view().data()), key.view().size()));
  CHECK(pkey != nullptr);  // any 32 bytes are a private key
  return pkey;
}

// Null when the library refuses the bytes.
Pkey public_pkey(int type, const PublicKey& key) {
  return Pkey(EVP_PKEY_new_raw_public_key(type, nullptr, octets(key.data()), key.size()));
}

PublicKey public_half(int type, const Key& key) {
  PublicKey out;
  std::size_t size = out.size();
  CHECK(EVP_PKEY_get_raw_public_key(private_pkey(type, key).get(), octets(out.data()), &size) == 1);
  CHECK(size == out.size());
  return out;
}

}  // namespace

PublicKey x25519_public(const Key& private_key) { return public_half(EVP_PKEY_X25519, private_key); }

Result<Key> x25519_agree(const Key& private_key, const PublicKey& peer) {
  const auto refused = [] { return fail(ErrorKind::kUnauthentic, "key agreement with a degenerate public key"); };
  const Pkey mine = private_pkey(EVP_PKEY_X25519, private_key);
  const Pkey theirs = public_pkey(EVP_PKEY_X25519, peer);
  if (theirs == nullptr) return refused();
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, mine.get(), nullptr));
  CHECK(context != nullptr);
  CHECK(EVP_PKEY_derive_init(context.get()) == 1);
  if (EVP_PKEY_derive_set_peer(context.get(), theirs.get()) != 1) return refused();
  Key shared;
  std::size_t size = shared.view().size();
  // OpenSSL itself fails on an all-zero result; that this holds in every version is not for us to hope.
  if (EVP_PKEY_derive(context.get(), octets(shared.writable().data()), &size) != 1) return refused();
  CHECK(size == shared.view().size());
  if (equal_constant_time(shared.view(), std::array<std::byte, 32>{})) return refused();
  return shared;
}

bool x25519_is_usable(const PublicKey& key) {
  Key any;  // every private key is a multiple of the cofactor, so all of them agree on zero with a key of small order
  any.writable()[0] = std::byte{8};
  return x25519_agree(any, key).has_value();
}

PublicKey ed25519_public(const Key& seed) { return public_half(EVP_PKEY_ED25519, seed); }

Signature ed25519_sign(const Key& seed, ByteSpan message) {
  const Pkey key = private_pkey(EVP_PKEY_ED25519, seed);
  const DigestContext context = new_digest_context();
  CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  Signature signature;
  std::size_t size = signature.size();
  CHECK(EVP_DigestSign(context.get(), octets(signature.data()), &size, octets(message.data()), message.size()) == 1);
  CHECK(size == signature.size());
  return signature;
}

bool ed25519_verify(const PublicKey& key, ByteSpan message, const Signature& signature) {
  const Pkey pkey = public_pkey(EVP_PKEY_ED25519, key);
  if (pkey == nullptr) return false;
  const DigestContext context = new_digest_context();
  CHECK(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1);
  return EVP_DigestVerify(context.get(), octets(signature.data()), signature.size(), octets(message.data()),
                          message.size()) == 1;
}

}  // namespace coppice::crypto
