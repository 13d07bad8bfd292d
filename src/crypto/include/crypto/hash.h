// SHA-256 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869), XXH3-128 (not cryptographic: finds accidents, not enemies).
#pragma once

#include <array>
#include <initializer_list>
#include <memory>

#include "crypto/secret.h"
#include "foundation/bytes.h"

namespace coppice::crypto {

using Digest = std::array<std::byte, 32>;
using Checksum = std::array<std::byte, 16>;

Digest sha256(ByteSpan bytes);
Digest sha256(std::initializer_list<ByteSpan> parts);   // of the concatenation

class Sha256 {                                          // streaming
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  void update(ByteSpan bytes);
  Digest finish();                                      // once

 private:
  void* context_;
};

// A keyed HMAC-SHA-256, the key schedule done once. Immutable after construction; any number of threads may call mac().
class Hmac {
 public:
  explicit Hmac(ByteSpan key);
  ~Hmac();
  Hmac(Hmac&&) noexcept;
  Digest mac(ByteSpan bytes) const;
  Digest mac(std::initializer_list<ByteSpan> parts) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Fills `out` (at most 255 * 32 bytes).
void hkdf(ByteSpan secret, ByteSpan salt, ByteSpan info, MutableByteSpan out);
Key hkdf_key(ByteSpan secret, ByteSpan salt, std::string_view info);

Checksum xxh3_128(ByteSpan bytes);                      // canonical (big-endian) form
Checksum xxh3_128(ByteSpan bytes, ByteSpan secret);     // keyed with random bytes, 136 at least: equal inputs cannot be told from outside
std::uint64_t xxh3_64(ByteSpan bytes, std::uint64_t seed = 0);

}  // namespace coppice::crypto
