#include "crypto/leaf_hash.h"

#include <gtest/gtest.h>

#include "crypto/vectors.h"

namespace coppice::crypto {
namespace {

// The definition, word for word, by the plain hash alone.
Bytes leaf_input(ByteSpan bytes) {
  Bytes input(8);
  store_le<std::uint64_t>(input, 0, bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += 16384) append(input, sha256(bytes.subspan(at, std::min<std::size_t>(16384, bytes.size() - at))));
  return input;
}

Bytes pattern(std::size_t length) {
  Bytes bytes(length);
  std::uint32_t state = 12345;
  for (std::byte& b : bytes) b = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

TEST(LeafHash, IsItsDefinitionAtEveryKindOfLength) {
  const Hmac hmac(as_bytes("key"));
  const LeafMac mac(as_bytes("key"));
  for (const std::size_t length : {0u, 1u, 55u, 64u, 16383u, 16384u, 16385u, 3u * 16384u, 4u * 16384u - 1, 4u * 16384u, 4u * 16384u + 1, 16u * 16384u,
                                   17u * 16384u + 5u, 128u * 16384u, 300u * 16384u + 77u}) {
    const Bytes bytes = pattern(length);
    EXPECT_EQ(render_hex(leaf_hash(bytes)), render_hex(sha256(leaf_input(bytes)))) << length;
    EXPECT_EQ(render_hex(mac.mac(bytes)), render_hex(hmac.mac(leaf_input(bytes)))) << length;
  }
}

TEST(LeafHash, IsTheSameForEver) {
  EXPECT_EQ(render_hex(leaf_hash(as_bytes("abc"))), "80a67215aff0c585b6c055e38aa04b76d4b208e2d0c3eb31bfd02822ae62e1c0");
  EXPECT_EQ(render_hex(LeafMac(Bytes(32, std::byte{7})).mac(pattern(1'000'000))), "f9ce214a8583703655ab43d01d9f7d3c49cbb27f30036835df386494194c1278");
}

}  // namespace
}  // namespace coppice::crypto
