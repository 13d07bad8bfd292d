// Owners of OpenSSL objects, and SHA-256 fetched once: a fetch takes a lock and a search, far dearer than a small hash.
#pragma once

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <memory>

#include "foundation/check.h"
#include "octets_internal.h"

namespace coppice::crypto {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

using DigestContext = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, OpensslFree<EVP_CIPHER_CTX_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, OpensslFree<EVP_KDF_CTX_free>>;

const EVP_MD* sha256_algorithm();
DigestContext new_digest_context();

}  // namespace coppice::crypto
