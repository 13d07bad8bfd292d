// SHA-256 in two levels, so that the work on one long input can be done many lanes at a time: the input is cut into leaves of 16 KiB (the
// last may be shorter), and SHA-256 or HMAC-SHA-256 is taken over its length (u64, little-endian) and the leaves' SHA-256.
//
// Two inputs with one result are a collision of SHA-256: in the outer hash, or (same length, so the same leaves' places) in a leaf. Under a
// key that others do not know, HMAC over a collision-resistant hash is a pseudo-random function, as HMAC itself is.
//
// Where Intel's multi-buffer library is built in (amd64), leaves go through its SSE, AVX2 or AVX-512 lanes, whichever the processor has;
// elsewhere through OpenSSL one after the other. The result is the same.
#pragma once

#include "crypto/hash.h"

namespace coppice::crypto {

inline constexpr std::size_t kHashLeafBytes = 16u << 10;

// Of the length and the leaves. Any number of threads.
Digest leaf_hash(ByteSpan bytes);

// The keyed form. Immutable; any number of threads may call mac().
class LeafMac {
 public:
  explicit LeafMac(ByteSpan key) : hmac_(key) {}
  Digest mac(ByteSpan bytes) const;

 private:
  Hmac hmac_;
};

}  // namespace coppice::crypto
