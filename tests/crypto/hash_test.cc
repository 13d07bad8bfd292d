#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "crypto/vectors.h"

namespace coppice::crypto {
namespace {

TEST(Sha256, MatchesFips180) {
  EXPECT_EQ(render_hex(sha256(ByteSpan())), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(render_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(render_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(render_hex(sha256(Bytes(1'000'000, std::byte{'a'}))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PartsAndStreamsAreTheConcatenation) {
  const Digest whole = sha256(as_bytes("abcdef"));
  EXPECT_EQ(sha256({as_bytes("ab"), {}, as_bytes("cdef")}), whole);
  Sha256 stream;
  stream.update(as_bytes("abc"));
  Sha256 moved(std::move(stream));
  moved.update(as_bytes("def"));
  EXPECT_EQ(moved.finish(), whole);
}

TEST(Hmac, MatchesRfc4231) {
  EXPECT_EQ(render_hex(Hmac(Bytes(20, std::byte{0x0b})).mac(as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(render_hex(Hmac(as_bytes("Jefe")).mac(as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(render_hex(Hmac(Bytes(20, std::byte{0xaa})).mac(Bytes(50, std::byte{0xdd}))),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(render_hex(Hmac(Bytes(131, std::byte{0xaa})).mac(as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, PartsAreTheConcatenation) {
  const Hmac hmac(as_bytes("key"));
  EXPECT_EQ(hmac.mac({as_bytes("what "), as_bytes("now")}), hmac.mac(as_bytes("what now")));
}

TEST(Hmac, OneKeyServesManyThreadsAndManyKeysOneThread) {
  const Hmac first(as_bytes("first")), second(as_bytes("second"));
  const Bytes message(5000, std::byte{7});
  const Digest by_first = first.mac(message), by_second = second.mac(message);
  EXPECT_NE(by_first, by_second);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(first.mac(message), by_first);
        EXPECT_EQ(second.mac(message), by_second);
      }
    });
}

TEST(Hkdf, MatchesRfc5869) {
  Bytes out(42);
  hkdf(Bytes(22, std::byte{0x0b}), hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), out);
  EXPECT_EQ(render_hex(out), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  hkdf(Bytes(22, std::byte{0x0b}), {}, {}, out);  // right after a call with a salt: none may be left over
  EXPECT_EQ(render_hex(out), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Hkdf, KeyIsTheSameDerivation) {
  Bytes out(32);
  hkdf(as_bytes("secret"), as_bytes("salt"), as_bytes("info"), out);
  EXPECT_TRUE(equal(hkdf_key(as_bytes("secret"), as_bytes("salt"), "info").view(), out));
}

TEST(Xxh3, MatchesItsReference) {
  EXPECT_EQ(render_hex(xxh3_128({})), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh3_64({}), 0x2d06800538d394c2u);
  EXPECT_NE(xxh3_64({}, 1), xxh3_64({}));
}

}  // namespace
}  // namespace coppice::crypto
