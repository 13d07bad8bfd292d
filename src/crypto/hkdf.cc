// HKDF-SHA-256 by OpenSSL's KDF, in a context that belongs to the thread. The context is reset after every use: it wipes the
// secret, and OpenSSL would otherwise carry a salt over into a call that names none.
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/hash.h"
#include "openssl_internal.h"

namespace coppice::crypto {
namespace {

constexpr std::size_t kHkdfOutputBytesMax = 255 * 32;
// OpenSSL 3.0 before 3.0.10 takes no longer info; ours are labels and a few ids.
constexpr std::size_t kHkdfInfoBytesMax = 1024;

KdfContext new_hkdf_context() {
  static EVP_KDF* const algorithm = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  CHECK(algorithm != nullptr);
  KdfContext context(EVP_KDF_CTX_new(algorithm));
  CHECK(context != nullptr);
  return context;
}

OSSL_PARAM octet_param(const char* name, ByteSpan bytes) {
  static std::byte nothing{};  // a null pointer would be "not given"
  auto* data = bytes.empty() ? &nothing : const_cast<std::byte*>(bytes.data());  // OpenSSL only reads it
  return OSSL_PARAM_construct_octet_string(name, data, bytes.size());
}

}  // namespace

void hkdf(ByteSpan secret, ByteSpan salt, ByteSpan info, MutableByteSpan out) {
  CHECK(!secret.empty());
  CHECK(info.size() <= kHkdfInfoBytesMax);
  CHECK(!out.empty() && out.size() <= kHkdfOutputBytesMax);
  thread_local const KdfContext context = new_hkdf_context();
  char digest_name[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name, 0),
      octet_param(OSSL_KDF_PARAM_KEY, secret),
      octet_param(OSSL_KDF_PARAM_SALT, salt),
      octet_param(OSSL_KDF_PARAM_INFO, info),
      OSSL_PARAM_construct_end(),
  };
  CHECK(EVP_KDF_derive(context.get(), octets(out.data()), out.size(), params) == 1);
  EVP_KDF_CTX_reset(context.get());
}

Key hkdf_key(ByteSpan secret, ByteSpan salt, std::string_view info) {
  Key key;
  hkdf(secret, salt, as_bytes(info), key.writable());
  return key;
}

}  // namespace coppice::crypto
