// Appends into locked memory of a size known beforehand, for encodings and texts that hold secrets: a growing buffer
// would leave copies of them behind in ordinary memory. Outgrowing the capacity is our bug.
#pragma once

#include <cstdint>
#include <string_view>

#include "crypto/secret.h"
#include "format/wire.h"

namespace coppice::keys {

class SecretWriter {
 public:
  explicit SecretWriter(std::size_t capacity) : bytes_(capacity) {}
  void bytes(ByteSpan b) {
    CHECK(b.size() <= bytes_.view().size() - at_);
    if (!b.empty()) std::memcpy(bytes_.writable().data() + at_, b.data(), b.size());
    at_ += b.size();
  }
  void u8(std::uint8_t v) { bytes({reinterpret_cast<const std::byte*>(&v), 1}); }
  void u32(std::uint32_t v) {
    std::array<std::byte, 4> raw;
    store_le(MutableByteSpan(raw), 0, v);
    bytes(raw);
  }
  void text(std::string_view s) { bytes(as_bytes(s)); }
  std::size_t size() const { return at_; }
  crypto::SecretBytes finish() && {
    bytes_.truncate(at_);
    return std::move(bytes_);
  }

 private:
  crypto::SecretBytes bytes_;
  std::size_t at_ = 0;
};

// The next 32 bytes of `r`, without a stop on the stack. Zero when the reader has failed.
inline crypto::Key take_key(format::Reader& r) {
  const ByteSpan b = r.bytes(32);
  return b.size() == 32 ? crypto::Key(b.first<32>()) : crypto::Key();
}

}  // namespace coppice::keys
