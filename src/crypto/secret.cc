// Locked memory is libsodium's: guard pages around it, mlock, MADV_DONTDUMP, wiped when freed. Where RLIMIT_MEMLOCK refuses
// the lock, sodium_malloc goes on without: a host that swaps is still better backed up than not.
#include "crypto/secret.h"

#include <sodium.h>

namespace coppice::crypto {

void initialise() {
  // sodium_init is idempotent and thread-safe, but takes a lock; this way it is one load after the first time.
  static const int outcome = sodium_init();
  CHECK(outcome >= 0);
}

namespace detail {

void* secret_allocate(std::size_t bytes) {
  initialise();
  void* p = sodium_malloc(bytes);
  CHECK(p != nullptr);  // address space or vm.max_map_count is gone: nothing sensible can follow
  return p;
}

void secret_free(void* p) noexcept { sodium_free(p); }

}  // namespace detail

SecretBytes::SecretBytes(std::size_t size)
    : bytes_(static_cast<std::byte*>(detail::secret_allocate(size))), size_(size) {
  if (size > 0) std::memset(bytes_, 0, size);
}

SecretBytes SecretBytes::copy_of(ByteSpan bytes) {
  SecretBytes copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.bytes_, bytes.data(), bytes.size());
  return copy;
}

void wipe(MutableByteSpan bytes) { sodium_memzero(bytes.data(), bytes.size()); }

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace coppice::crypto
