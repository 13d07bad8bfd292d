#include "crypto/password.h"

#include <gtest/gtest.h>

#include "crypto/vectors.h"
#include "support/result.h"

namespace coppice::crypto {
namespace {

// libsodium offers one lane and no secret, so RFC 9106's own vector cannot be asked for; these were computed with OpenSSL 3.2's
// Argon2id.
TEST(Password, MatchesAnotherImplementation) {
  PasswordSalt salt{};
  const auto empty = stretch_password({}, salt, {.memory_kib = 9000, .passes = 1});
  ASSERT_OK(empty);
  EXPECT_EQ(render_hex(empty->view()), "1b28c9b41c298d87f940d76184c66175c177957c89adb7664886e2bd261d3192");
  for (std::size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::byte>(i);
  const auto key = stretch_password(as_bytes("correct horse battery staple"), salt, {.memory_kib = 8192, .passes = 3});
  ASSERT_OK(key);
  EXPECT_EQ(render_hex(key->view()), "947312f62e4ac86f63c9b622f147b0061846739f53dd00f2d2236cd03db413ac");
}

TEST(Password, RefusesCostsOutOfBoundsBeforeAllocating) {
  const PasswordSalt salt{};
  for (const Argon2Cost cost : {Argon2Cost{kArgon2MemoryKibMin - 1, 3}, Argon2Cost{kArgon2MemoryKibMax + 1, 3}, Argon2Cost{0xffffffff, 1},
                                Argon2Cost{kArgon2MemoryKibMin, 0}, Argon2Cost{kArgon2MemoryKibMin, kArgon2PassesMax + 1}})
    EXPECT_FAILS(stretch_password(as_bytes("x"), salt, cost), kInvalid);
}

}  // namespace
}  // namespace coppice::crypto
