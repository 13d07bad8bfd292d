#include "crypto/asymmetric.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/vectors.h"
#include "support/result.h"

namespace coppice::crypto {
namespace {

// RFC 7748 section 6.1.
constexpr const char* kAlicePrivate = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
constexpr const char* kAlicePublic = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
constexpr const char* kBobPrivate = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
constexpr const char* kBobPublic = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
constexpr const char* kShared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

TEST(X25519, MatchesRfc7748) {
  EXPECT_EQ(render_hex(x25519_public(hex_key(kAlicePrivate))), kAlicePublic);
  EXPECT_EQ(render_hex(x25519_public(hex_key(kBobPrivate))), kBobPublic);
  const auto by_alice = x25519_agree(hex_key(kAlicePrivate), hex_array<32>(kBobPublic));
  const auto by_bob = x25519_agree(hex_key(kBobPrivate), hex_array<32>(kAlicePublic));
  ASSERT_OK(by_alice);
  ASSERT_OK(by_bob);
  EXPECT_EQ(render_hex(by_alice->view()), kShared);
  EXPECT_EQ(render_hex(by_bob->view()), kShared);
}

TEST(X25519, RefusesKeysOfSmallOrder) {
  const char* small_order[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  };
  for (const char* key : small_order) {
    EXPECT_FAILS(x25519_agree(hex_key(kAlicePrivate), hex_array<32>(key)), kUnauthentic) << key;
    EXPECT_FALSE(x25519_is_usable(hex_array<32>(key))) << key;
  }
  EXPECT_TRUE(x25519_is_usable(hex_array<32>(kBobPublic)));
}

TEST(Ed25519, MatchesRfc8032) {
  struct Vector {
    const char *seed, *public_key, *message, *signature;
  };
  const Vector vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e"
       "7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612"
       "bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea"
       "1ec40a"},
  };
  for (const Vector& v : vectors) {
    const Key seed = hex_key(v.seed);
    EXPECT_EQ(render_hex(ed25519_public(seed)), v.public_key);
    const Signature signature = ed25519_sign(seed, hex(v.message));
    EXPECT_EQ(render_hex(signature), v.signature);
    EXPECT_TRUE(ed25519_verify(hex_array<32>(v.public_key), hex(v.message), signature));
  }
}

TEST(Ed25519, RefusesChangedMessageSignatureAndKey) {
  const Key seed = hex_key(kAlicePrivate);
  const PublicKey key = ed25519_public(seed);
  const Signature signature = ed25519_sign(seed, as_bytes("message"));
  EXPECT_TRUE(ed25519_verify(key, as_bytes("message"), signature));
  EXPECT_FALSE(ed25519_verify(key, as_bytes("messagf"), signature));
  EXPECT_FALSE(ed25519_verify(ed25519_public(hex_key(kBobPrivate)), as_bytes("message"), signature));
  for (const std::size_t at : {0u, 31u, 32u, 63u}) {
    Signature changed = signature;
    changed[at] ^= std::byte{1};
    EXPECT_FALSE(ed25519_verify(key, as_bytes("message"), changed)) << at;
  }
  PublicKey not_a_point;
  not_a_point.fill(std::byte{0xff});
  EXPECT_FALSE(ed25519_verify(not_a_point, as_bytes("message"), signature));
}

// A key of small order verifies signatures that nobody made: with the neutral point for key and R, S = 0 signs everything.
TEST(Ed25519, RefusesKeysOfSmallOrder) {
  const PublicKey neutral = hex_array<32>("0100000000000000000000000000000000000000000000000000000000000000");
  Signature forged{};
  std::ranges::copy(neutral, forged.begin());
  EXPECT_FALSE(ed25519_verify(neutral, as_bytes("anything"), forged));
}

TEST(Box, HasTheDocumentedBytes) {  // computed with another implementation from the layout in the header
  Key recipient, ephemeral;
  for (std::size_t i = 0; i < 32; ++i) {
    recipient.writable()[i] = static_cast<std::byte>(i);
    ephemeral.writable()[i] = static_cast<std::byte>(32 + i);
  }
  EXPECT_EQ(render_hex(seal_to(x25519_public(recipient), ephemeral, "test", as_bytes("hello"))),
            "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd16625412b95ed21ee5224aa0803d0c429ab3915db2cbb7010434b92ba2068d2b"
            "bd41ee8c007d4219d88e7eeee6f12213de2df09ea7752e22");
}

TEST(Box, OpensForItsRecipientAndContextOnly) {
  const Key recipient = hex_key(kAlicePrivate), other = hex_key(kBobPrivate);
  const Key ephemeral = hex_key("01234567890123456789012345678901234567890123456789012345678901aa");
  const Bytes box = seal_to(x25519_public(recipient), ephemeral, "slot", as_bytes("bundle"));
  EXPECT_EQ(box.size(), 6 + kBoxOverheadBytes);
  const auto opened = open_box(recipient, "slot", box);
  ASSERT_OK(opened);
  EXPECT_EQ(as_text(opened->view()), "bundle");
  EXPECT_FAILS(open_box(other, "slot", box), kUnauthentic);
  EXPECT_FAILS(open_box(recipient, "slots", box), kUnauthentic);
  EXPECT_FAILS(open_box(recipient, "", box), kUnauthentic);
}

TEST(Box, AnyChangedByteAndAnyTruncationIsUnauthentic) {
  const Key recipient = hex_key(kAlicePrivate);
  const Bytes box = seal_to(x25519_public(recipient), hex_key(kBobPrivate), "slot", as_bytes("bundle"));
  for (std::size_t at = 0; at < box.size(); ++at) {
    Bytes changed = box;
    changed[at] ^= std::byte{1};
    EXPECT_FAILS(open_box(recipient, "slot", changed), kUnauthentic) << at;
    EXPECT_FAILS(open_box(recipient, "slot", ByteSpan(box).first(at)), kUnauthentic) << at;
  }
  EXPECT_FAILS(open_box(recipient, "slot", Bytes(kBoxOverheadBytes, std::byte{0})), kUnauthentic);
}

TEST(Box, MayBeEmpty) {
  const Key recipient = hex_key(kAlicePrivate);
  const auto opened = open_box(recipient, "", seal_to(x25519_public(recipient), hex_key(kBobPrivate), "", {}));
  ASSERT_OK(opened);
  EXPECT_TRUE(opened->view().empty());
}

}  // namespace
}  // namespace coppice::crypto
