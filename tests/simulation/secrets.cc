// Keys in ordinary memory, for this program alone: a seed makes and drops some six hundred, and a third of its time went into locking and
// guarding their pages. What libsodium's own do is tested by crypto/secret_test.cc and functional/secrets.sh.
#include <sodium.h>

#include <cstdlib>

extern "C" {
void* sodium_malloc(std::size_t bytes) { return std::malloc(bytes > 0 ? bytes : 1); }
void sodium_free(void* p) { std::free(p); }
}
