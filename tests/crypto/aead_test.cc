#include "crypto/aead.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>

#include "crypto/vectors.h"
#include "support/result.h"

namespace coppice::crypto {
namespace {

struct Vector {
  const char* name;
  Suite suite;
  std::string key, nonce, associated, plaintext, sealed;
};

std::string sunscreen() {
  return render_hex(as_bytes("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."));
}

// NIST's GCM test cases 13, 14 and 16, and RFC 8439 section 2.8.2.
const Vector kVectors[] = {
    {"gcm_13", Suite::kAes256Gcm, std::string(64, '0'), std::string(24, '0'), "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"gcm_14", Suite::kAes256Gcm, std::string(64, '0'), std::string(24, '0'), "", std::string(32, '0'),
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"gcm_16", Suite::kAes256Gcm, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"chacha", Suite::kChaCha20Poly1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7", sunscreen(),
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67e"
     "cd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a"
     "7e902ecbd0600691"},
};

TEST(Aead, MatchesThePublishedVectorsInOneReusedState) {
  Aead aead;
  for (int round = 0; round < 2; ++round) {
    for (const Vector& v : kVectors) {
      const Bytes plaintext = hex(v.plaintext);
      Bytes sealed(plaintext.size() + kAeadTagBytes), opened(plaintext.size());
      aead.seal(v.suite, hex(v.key), hex(v.nonce), hex(v.associated), plaintext, sealed);
      EXPECT_EQ(render_hex(sealed), v.sealed) << v.name;
      EXPECT_OK(aead.open(v.suite, hex(v.key), hex(v.nonce), hex(v.associated), sealed, opened)) << v.name;
      EXPECT_TRUE(equal(opened, plaintext)) << v.name;
    }
  }
}

Bytes sealed_by_openssl(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext) {
  const auto octets = [](const std::byte* p) { return reinterpret_cast<const unsigned char*>(p); };
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Bytes sealed(plaintext.size() + kAeadTagBytes);
  auto* out = reinterpret_cast<unsigned char*>(sealed.data());
  int n = 0;
  EVP_EncryptInit_ex(context, suite == Suite::kAes256Gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305(), nullptr, octets(key.data()), octets(nonce.data()));
  EVP_EncryptUpdate(context, nullptr, &n, octets(associated.data()), static_cast<int>(associated.size()));
  EVP_EncryptUpdate(context, out, &n, octets(plaintext.data()), static_cast<int>(plaintext.size()));
  EVP_EncryptFinal_ex(context, out + n, &n);
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, out + plaintext.size());
  EVP_CIPHER_CTX_free(context);
  return sealed;
}

class AeadSuite : public ::testing::TestWithParam<Suite> {
 protected:
  Bytes seal(ByteSpan plaintext) {
    Bytes sealed(plaintext.size() + kAeadTagBytes);
    aead_.seal(GetParam(), key_, nonce_, as_bytes("header"), plaintext, sealed);
    return sealed;
  }

  Aead aead_;
  const Bytes key_ = Bytes(32, std::byte{1}), nonce_ = Bytes(12, std::byte{2});
};

TEST_P(AeadSuite, AnyChangeIsUnauthenticAndTheOutputIsZeroed) {
  const Bytes plaintext(1000, std::byte{0x55});
  const Bytes sealed = seal(plaintext);
  const auto expect_refused = [&](const Bytes& key, const Bytes& nonce, std::string_view associated, const Bytes& bytes) {
    Bytes out(bytes.size() - kAeadTagBytes, std::byte{0xee});
    EXPECT_FAILS(aead_.open(GetParam(), key, nonce, as_bytes(associated), bytes, out), kUnauthentic);
    EXPECT_TRUE(std::ranges::all_of(out, [](std::byte b) { return b == std::byte{0}; }));
  };
  for (const std::size_t at : {std::size_t{0}, std::size_t{500}, sealed.size() - kAeadTagBytes, sealed.size() - 1}) {
    Bytes changed = sealed;
    changed[at] ^= std::byte{1};
    expect_refused(key_, nonce_, "header", changed);
  }
  expect_refused(Bytes(32, std::byte{9}), nonce_, "header", sealed);
  expect_refused(key_, Bytes(12, std::byte{9}), "header", sealed);
  expect_refused(key_, nonce_, "Header", sealed);
  expect_refused(key_, nonce_, "", sealed);
  expect_refused(key_, nonce_, "header", Bytes(sealed.begin(), sealed.end() - 1));
  Bytes out(plaintext.size());  // and the state is still good for the right one
  EXPECT_OK(aead_.open(GetParam(), key_, nonce_, as_bytes("header"), sealed, out));
  EXPECT_TRUE(equal(out, plaintext));
}

// Short and long may be the work of two libraries: what one seals in parts, the other's rules hold for.
TEST_P(AeadSuite, SealsTheSameInOnePartAndInTwoAtSizesAroundABoundary) {
  for (const std::size_t size : {4080u, 4095u, 4096u, 4097u, 70000u, (1u << 20) + 5}) {
    Bytes plaintext(size);
    for (std::size_t i = 0; i < size; ++i) plaintext[i] = static_cast<std::byte>(i * 131 >> 3);
    const Bytes whole = seal(plaintext);
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, size}) {
      Bytes sealed(size + kAeadTagBytes);
      aead_.seal(GetParam(), key_, nonce_, as_bytes("header"), ByteSpan(plaintext).first(cut), ByteSpan(plaintext).subspan(cut), sealed);
      ASSERT_TRUE(equal(sealed, whole)) << size << " cut at " << cut;
    }
    EXPECT_TRUE(equal(whole, sealed_by_openssl(GetParam(), key_, nonce_, as_bytes("header"), plaintext))) << size;
    Bytes opened(size);
    ASSERT_OK(aead_.open(GetParam(), key_, nonce_, as_bytes("header"), whole, opened)) << size;
    EXPECT_TRUE(equal(opened, plaintext)) << size;
    Bytes changed = whole;
    changed[size / 2] ^= std::byte{4};
    EXPECT_FAILS(aead_.open(GetParam(), key_, nonce_, as_bytes("header"), changed, opened), kUnauthentic);
    EXPECT_TRUE(std::ranges::all_of(opened, [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_P(AeadSuite, ShorterThanATagIsUnauthentic) {
  EXPECT_FAILS(aead_.open(GetParam(), key_, nonce_, {}, Bytes(15, std::byte{0}), {}), kUnauthentic);
}

TEST_P(AeadSuite, WorksInPlaceAndAtEverySmallSize) {
  for (std::size_t size = 0; size < 200; ++size) {
    Bytes buffer(size + kAeadTagBytes, std::byte{0x33});
    const Bytes plaintext(size, std::byte{0x33});
    aead_.seal(GetParam(), key_, nonce_, as_bytes("header"), ByteSpan(buffer).first(size), buffer);
    EXPECT_TRUE(equal(buffer, seal(plaintext))) << size;
    ASSERT_OK(aead_.open(GetParam(), key_, nonce_, as_bytes("header"), buffer, MutableByteSpan(buffer).first(size))) << size;
    EXPECT_TRUE(equal(ByteSpan(buffer).first(size), plaintext)) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Both, AeadSuite, ::testing::Values(Suite::kAes256Gcm, Suite::kChaCha20Poly1305),
                         [](const auto& param) { return param.param == Suite::kAes256Gcm ? "AesGcm" : "ChaCha"; });

}  // namespace
}  // namespace coppice::crypto
