// Sealing to a recipient: ephemeral public key (32) | commitment (32) | ciphertext and tag.
//
// Why it holds: only who knows one of the two private halves knows the X25519 secret, and both public halves are its salt, so
// a box re-addressed or with another ephemeral key opens under nothing. Key and nonce come from a secret that is made for this
// one box (`ephemeral` is used once), so no nonce repeats. ChaCha20-Poly1305 alone does not bind its key: a ciphertext can be
// made that opens under two. The commitment, a hash output of the same secret, fixes which it is before anything is decrypted.
// The two labels differ at their first byte, so no context makes one derivation equal the other.
#include "crypto/aead.h"
#include "crypto/asymmetric.h"
#include "crypto/hash.h"

namespace coppice::crypto {
namespace {

struct BoxKeys {
  Secret<32 + kAeadNonceBytes> key_and_nonce;
  std::array<std::byte, 32> commitment;

  ByteSpan key() const { return key_and_nonce.view().first(32); }
  ByteSpan nonce() const { return key_and_nonce.view().subspan(32); }
};

BoxKeys derive_box_keys(const Key& shared, const PublicKey& ephemeral, const PublicKey& recipient, std::string_view context) {
  std::array<std::byte, 64> salt;
  std::memcpy(salt.data(), ephemeral.data(), 32);
  std::memcpy(salt.data() + 32, recipient.data(), 32);
  BoxKeys keys;
  hkdf(shared.view(), salt, as_bytes("seal" + std::string(context)), keys.key_and_nonce.writable());
  hkdf(shared.view(), salt, as_bytes("commit" + std::string(context)), keys.commitment);
  return keys;
}

}  // namespace

Bytes seal_to(const PublicKey& recipient, const Key& ephemeral, std::string_view context, ByteSpan plaintext) {
  const PublicKey ephemeral_public = x25519_public(ephemeral);
  const Result<Key> shared = x25519_agree(ephemeral, recipient);
  CHECK(shared.has_value());  // a recipient's key was checked when it was enrolled; sealing to nobody is our bug
  const BoxKeys keys = derive_box_keys(*shared, ephemeral_public, recipient, context);
  Bytes box(kBoxOverheadBytes + plaintext.size());
  std::memcpy(box.data(), ephemeral_public.data(), 32);
  std::memcpy(box.data() + 32, keys.commitment.data(), 32);
  Aead().seal(Suite::kChaCha20Poly1305, keys.key(), keys.nonce(), {}, plaintext, MutableByteSpan(box).subspan(64));
  return box;
}

Result<SecretBytes> open_box(const Key& recipient_private, std::string_view context, ByteSpan box) {
  if (box.size() < kBoxOverheadBytes) return fail(ErrorKind::kUnauthentic, "sealed box is too short");
  PublicKey ephemeral_public;
  std::memcpy(ephemeral_public.data(), box.data(), 32);
  const Key shared = TRY(x25519_agree(recipient_private, ephemeral_public));
  const BoxKeys keys = derive_box_keys(shared, ephemeral_public, x25519_public(recipient_private), context);
  if (!equal_constant_time(keys.commitment, box.subspan(32, 32)))
    return fail(ErrorKind::kUnauthentic, "sealed box is for another key or purpose");
  SecretBytes plaintext(box.size() - kBoxOverheadBytes);
  TRY(Aead().open(Suite::kChaCha20Poly1305, keys.key(), keys.nonce(), {}, box.subspan(64), plaintext.writable()));
  return plaintext;
}

}  // namespace coppice::crypto
