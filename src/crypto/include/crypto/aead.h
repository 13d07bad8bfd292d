// Authenticated encryption: AES-256-GCM (NIST SP 800-38D) where the processor has AES, else ChaCha20-Poly1305 (RFC 8439).
#pragma once

#include <cstdint>

#include "crypto/secret.h"
#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice::crypto {

// DO NOT CHANGE THESE VALUES: they stand on disk.
enum class Suite : std::uint8_t { kAes256Gcm = 1, kChaCha20Poly1305 = 2 };

inline constexpr std::size_t kAeadTagBytes = 16;
inline constexpr std::size_t kAeadNonceBytes = 12;

Suite preferred_suite();  // by what this processor does in hardware

// One reusable cipher state. Not thread-safe: one per thread.
class Aead {
 public:
  Aead();
  ~Aead();
  Aead(Aead&&) noexcept;
  // `sealed` must be plaintext.size() + kAeadTagBytes long; it may not overlap `plaintext` (unless it starts at the same byte).
  void seal(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext, MutableByteSpan sealed);
  // The same for a plaintext that lies in two places, none of which `sealed` may overlap.
  void seal(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan first, ByteSpan second, MutableByteSpan sealed);
  // `plaintext` must be sealed.size() - kAeadTagBytes long. kUnauthentic: its content is then zeroed and must not be used.
  Result<> open(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan sealed, MutableByteSpan plaintext);

 private:
  void* context_;
};

}  // namespace coppice::crypto
