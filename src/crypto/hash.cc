// SHA-256 and the checksum. One-shot hashes run in a context that belongs to the thread, so that none is allocated per call.
#include "crypto/hash.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>   // the library's own choice of instructions, by the processor
#else
#include <xxhash.h>
#endif

#include "openssl_internal.h"

namespace coppice::crypto {

const EVP_MD* sha256_algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // never freed: lives as long as the process
  CHECK(algorithm != nullptr);
  return algorithm;
}

DigestContext new_digest_context() {
  DigestContext context(EVP_MD_CTX_new());
  CHECK(context != nullptr);
  return context;
}

namespace {

template <class Parts>
Digest sha256_of_parts(const Parts& parts) {
  thread_local const DigestContext context = new_digest_context();
  CHECK(EVP_DigestInit_ex2(context.get(), sha256_algorithm(), nullptr) == 1);
  for (const ByteSpan part : parts) CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  Digest digest;
  CHECK(EVP_DigestFinal_ex(context.get(), octets(digest.data()), nullptr) == 1);
  return digest;
}

}  // namespace

Digest sha256(ByteSpan bytes) { return sha256_of_parts(std::array{bytes}); }

Digest sha256(std::initializer_list<ByteSpan> parts) { return sha256_of_parts(parts); }

Sha256::Sha256() {
  DigestContext context = new_digest_context();
  CHECK(EVP_DigestInit_ex2(context.get(), sha256_algorithm(), nullptr) == 1);
  context_ = context.release();
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

void Sha256::update(ByteSpan bytes) {
  CHECK(context_ != nullptr);
  CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  const DigestContext context(static_cast<EVP_MD_CTX*>(std::exchange(context_, nullptr)));
  CHECK(context != nullptr);  // once
  Digest digest;
  CHECK(EVP_DigestFinal_ex(context.get(), octets(digest.data()), nullptr) == 1);
  return digest;
}

static Checksum canonical_form(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Checksum checksum;
  static_assert(sizeof canonical.digest == sizeof(Checksum));
  std::memcpy(checksum.data(), canonical.digest, sizeof checksum);
  return checksum;
}

Checksum xxh3_128(ByteSpan bytes) { return canonical_form(XXH3_128bits(bytes.data(), bytes.size())); }

Checksum xxh3_128(ByteSpan bytes, ByteSpan secret) {
  CHECK(secret.size() >= XXH3_SECRET_SIZE_MIN);
  return canonical_form(XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret.data(), secret.size()));
}

std::uint64_t xxh3_64(ByteSpan bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace coppice::crypto
