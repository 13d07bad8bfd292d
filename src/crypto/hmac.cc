// HMAC-SHA-256 with the two padded key blocks hashed once. A call copies those two states into contexts of its thread and
// goes on from there; the shared states are only read, so any number of threads may call at the same time.
#include "crypto/hash.h"
#include "openssl_internal.h"

namespace coppice::crypto {
namespace {

constexpr std::size_t kShaBlockBytes = 64;

DigestContext start_with_padded_key(ByteSpan key, std::byte pad) {
  std::array<std::byte, kShaBlockBytes> block;
  block.fill(pad);
  for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
  DigestContext context = new_digest_context();
  CHECK(EVP_DigestInit_ex2(context.get(), sha256_algorithm(), nullptr) == 1);
  CHECK(EVP_DigestUpdate(context.get(), block.data(), block.size()) == 1);
  wipe(block);
  return context;
}

}  // namespace

struct Hmac::State {
  DigestContext inner, outer;

  template <class Parts>
  Digest mac(const Parts& parts) const {
    thread_local const DigestContext running = new_digest_context();
    Digest digest;
    CHECK(EVP_MD_CTX_copy_ex(running.get(), inner.get()) == 1);
    for (const ByteSpan part : parts) CHECK(EVP_DigestUpdate(running.get(), part.data(), part.size()) == 1);
    CHECK(EVP_DigestFinal_ex(running.get(), octets(digest.data()), nullptr) == 1);
    CHECK(EVP_MD_CTX_copy_ex(running.get(), outer.get()) == 1);
    CHECK(EVP_DigestUpdate(running.get(), digest.data(), digest.size()) == 1);
    CHECK(EVP_DigestFinal_ex(running.get(), octets(digest.data()), nullptr) == 1);
    return digest;
  }
};

Hmac::Hmac(ByteSpan key) : state_(std::make_unique<State>()) {
  Digest shortened{};
  if (key.size() > kShaBlockBytes) {  // RFC 2104: a key longer than a block is replaced by its hash
    shortened = sha256(key);
    key = shortened;
  }
  state_->inner = start_with_padded_key(key, std::byte{0x36});
  state_->outer = start_with_padded_key(key, std::byte{0x5c});
  wipe(shortened);
}

Hmac::~Hmac() = default;
Hmac::Hmac(Hmac&&) noexcept = default;

Digest Hmac::mac(ByteSpan bytes) const {
  CHECK(state_ != nullptr);
  return state_->mac(std::array{bytes});
}

Digest Hmac::mac(std::initializer_list<ByteSpan> parts) const {
  CHECK(state_ != nullptr);
  return state_->mac(parts);
}

}  // namespace coppice::crypto
