// Argon2id (RFC 9106, version 0x13).
#pragma once

#include <array>
#include <cstdint>

#include "crypto/secret.h"
#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice::crypto {

struct Argon2Cost {
  std::uint32_t memory_kib = 131072;
  std::uint32_t passes = 3;
};
// What a decoder accepts: a hostile slot must not make us allocate or compute without bound.
inline constexpr std::uint32_t kArgon2MemoryKibMin = 8192, kArgon2MemoryKibMax = 1048576, kArgon2PassesMax = 16;

using PasswordSalt = std::array<std::byte, 16>;
// kExhausted when the memory is not to be had; kInvalid when the cost is out of bounds.
Result<Key> stretch_password(ByteSpan passphrase, const PasswordSalt& salt, Argon2Cost cost);

}  // namespace coppice::crypto
