// Byte sequences. All data that is not text is std::byte here; text is std::string.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coppice {

// Leaves new elements uninitialised: a buffer that is about to be read into is not zeroed first.
template <class T>
struct DefaultInitAllocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = DefaultInitAllocator<U>;
  };
  DefaultInitAllocator() = default;
  template <class U>
  DefaultInitAllocator(const DefaultInitAllocator<U>&) {}
  template <class U>
  void construct(U* p) noexcept {
    ::new (static_cast<void*>(p)) U;
  }
  template <class U, class... Args>
  void construct(U* p, Args&&... args) {
    ::new (static_cast<void*>(p)) U(static_cast<Args&&>(args)...);
  }
};

// resize() leaves the new bytes undefined; write them before they are read.
using Bytes = std::vector<std::byte, DefaultInitAllocator<std::byte>>;
using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
// (memcpy by hand: with an allocator of its own, std::vector copies byte by byte.) `bytes` may not lie in `to`.
inline void append(Bytes& to, ByteSpan bytes) {
  if (bytes.empty()) return;
  const std::size_t at = to.size();
  if (to.capacity() < at + bytes.size()) to.reserve(std::max(at + bytes.size(), at + at / 2));
  to.resize(at + bytes.size());
  std::memcpy(to.data() + at, bytes.data(), bytes.size());
}
inline Bytes to_bytes(ByteSpan bytes) {
  Bytes copy;
  append(copy, bytes);
  return copy;
}
inline bool equal(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// Little-endian loads and stores; the span must hold sizeof(T) bytes at `at`.
template <class T>
T load_le(ByteSpan bytes, std::size_t at = 0) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  return value;
}
template <class T>
void store_le(MutableByteSpan bytes, std::size_t at, T value) {
  if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace coppice
