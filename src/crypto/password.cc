// Argon2id by libsodium: one lane, version 0x13.
#include "crypto/password.h"

#include <sodium.h>

namespace coppice::crypto {

Result<Key> stretch_password(ByteSpan passphrase, const PasswordSalt& salt, Argon2Cost cost) {
  static_assert(sizeof(PasswordSalt) == crypto_pwhash_argon2id_SALTBYTES);
  if (cost.memory_kib < kArgon2MemoryKibMin || cost.memory_kib > kArgon2MemoryKibMax || cost.passes < 1 ||
      cost.passes > kArgon2PassesMax)
    return fail(ErrorKind::kInvalid, "Argon2id cost is out of bounds");
  if (passphrase.size() > crypto_pwhash_argon2id_PASSWD_MAX) return fail(ErrorKind::kInvalid, "passphrase is too long");
  initialise();
  Key key;
  const int outcome = crypto_pwhash_argon2id(
      reinterpret_cast<unsigned char*>(key.writable().data()), key.writable().size(),
      passphrase.empty() ? "" : reinterpret_cast<const char*>(passphrase.data()), passphrase.size(),
      reinterpret_cast<const unsigned char*>(salt.data()), cost.passes, std::size_t{cost.memory_kib} * 1024,
      crypto_pwhash_argon2id_ALG_ARGON2ID13);
  // With the bounds checked above, memory is the only thing left that can be missing.
  if (outcome != 0) return fail(ErrorKind::kExhausted, "not enough memory to stretch the passphrase");
  return key;
}

}  // namespace coppice::crypto
