// Key material: cannot be copied or printed, kept in locked memory that is out of core dumps, wiped when it goes.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "foundation/bytes.h"
#include "foundation/check.h"

namespace coppice::crypto {

namespace detail {
void* secret_allocate(std::size_t bytes);   // sodium_malloc: guard pages, mlock, MADV_DONTDUMP
void secret_free(void* p) noexcept;         // wipes
}  // namespace detail

// Call once before the first secret (idempotent, thread-safe).
void initialise();

// N bytes, zero at first. A moved-from secret is empty and may only be destroyed or assigned.
template <std::size_t N>
class Secret {
 public:
  Secret() : bytes_(static_cast<std::byte*>(detail::secret_allocate(N))) { std::memset(bytes_, 0, N); }
  explicit Secret(std::span<const std::byte, N> from) : Secret() { std::memcpy(bytes_, from.data(), N); }
  Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, nullptr)) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Secret() {
    if (bytes_) detail::secret_free(bytes_);
  }
  Secret duplicate() const { return Secret(view()); }  // said aloud where it is meant
  std::span<const std::byte, N> view() const {
    CHECK(bytes_ != nullptr);
    return std::span<const std::byte, N>(bytes_, N);
  }
  std::span<std::byte, N> writable() {
    CHECK(bytes_ != nullptr);
    return std::span<std::byte, N>(bytes_, N);
  }

 private:
  std::byte* bytes_;
};

using Key = Secret<32>;

// Secret bytes of any length (passphrases, bundles). Same promises.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size);
  static SecretBytes copy_of(ByteSpan bytes);
  SecretBytes(SecretBytes&& other) noexcept
      : bytes_(std::exchange(other.bytes_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SecretBytes() {
    if (bytes_) detail::secret_free(bytes_);
  }
  ByteSpan view() const { return {bytes_, size_}; }
  MutableByteSpan writable() { return {bytes_, size_}; }
  void truncate(std::size_t size) {
    CHECK(size <= size_);
    size_ = size;
  }

 private:
  std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
};

void wipe(MutableByteSpan bytes);                       // not optimised away
bool equal_constant_time(ByteSpan a, ByteSpan b);       // false on different sizes

}  // namespace coppice::crypto
