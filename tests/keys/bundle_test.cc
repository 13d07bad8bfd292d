// What each role's bundle holds, its encoding, and the derivations that must never change.
#include "keys/bundle.h"

#include <gtest/gtest.h>

#include "keys/fixture.h"

namespace coppice::keys {
namespace {

using format::Role;
constexpr Role kRoles[] = {Role::kOwner, Role::kReader, Role::kWriter, Role::kKeeper};

bool contains(ByteSpan bytes, ByteSpan part) {
  return std::search(bytes.begin(), bytes.end(), part.begin(), part.end()) != bytes.end();
}

// Computed with another HKDF (Python's hmac) and OpenSSL's command line. A recovery sheet of today depends on each of
// them.
TEST(Derivation, NeverChanges) {
  const crypto::Key root = fixed_root();
  const format::VaultId vault = fixed_vault();
  EXPECT_EQ(render_hex(derive_owner_seed(root, vault).view()),
            "30e1e639be16d7e7faa15dd6a04c29fe49d718784321a0a3d3fda56263886c73");
  EXPECT_EQ(render_hex(derive_id_key(root, vault).view()),
            "4863ba3f4341d1a25dd7093af514d7d60ace29f998ee18aa15413ad8a8272cdd");
  EXPECT_EQ(render_hex(derive_index_key(root, vault).view()),
            "4ea2a022c47f3661eb2b7703f9db9e2c8235ce1e7a1ee916a38a6b20fbd014ba");
  EXPECT_EQ(render_hex(derive_epoch_private(root, vault, 1).view()),
            "23b1ac2d907b82d5630d1e532b06053d6fd94d923b91b8f08f274daf867222c2");
  EXPECT_EQ(render_hex(derive_epoch_private(root, vault, 2).view()),
            "9225609ce97f47c43ae6a0a2a4b4313237ed5cf8ef984c037f82ce0aeeaff168");
  const KeyBundle owner = bundle_from_root(root, vault, 1);
  EXPECT_EQ(render_hex(owner.owner), "b5973561be4bc5ab2a12b4e028fb68233e3f677549d302fb617aa9b983f91db9");
  EXPECT_EQ(render_hex(owner.newest_epoch().public_key),
            "9fe255d30de65dd4ca939f68b1b2e2adc3e348cf9e2be3ab38c5798429de7304");
  EXPECT_EQ(render_fingerprint(owner.anchor()), "de27 8b8e 9120 10f5 181e 5135 33b8 09f7");
}

TEST(Derivation, DiffersByVault) {
  format::VaultId other = fixed_vault();
  other[3] ^= std::byte{1};
  EXPECT_FALSE(equal(derive_id_key(fixed_root(), other).view(), derive_id_key(fixed_root(), fixed_vault()).view()));
}

TEST(Fingerprint, IsComparedAsPeopleTypeIt) {
  const TrustAnchor anchor = fixed_anchor();
  EXPECT_TRUE(fingerprint_matches(anchor, "de278b8e912010f5181e513533b809f7"));
  EXPECT_TRUE(fingerprint_matches(anchor, "DE27:8B8E-9120 10f5\n181e 5135 33b8 09f7 "));
  EXPECT_FALSE(fingerprint_matches(anchor, "de27 8b8e 9120 10f5 181e 5135 33b8 09f6"));
  EXPECT_FALSE(fingerprint_matches(anchor, "de27 8b8e"));
  EXPECT_FALSE(fingerprint_matches(anchor, ""));
}

TEST(Bundle, HoldsExactlyWhatItsRoleMay) {
  const KeyBundle owner = bundle_of(Role::kOwner, 1, 3), reader = bundle_of(Role::kReader, 1, 3),
                  writer = bundle_of(Role::kWriter, 1, 3), keeper = bundle_of(Role::kKeeper, 1, 3);
  EXPECT_TRUE(owner.root && owner.can_read() && owner.epochs.size() == 3);
  EXPECT_TRUE(!reader.root && reader.can_read() && reader.epochs.size() == 3);
  EXPECT_TRUE(!writer.root && writer.can_write() && !writer.can_read() && writer.epochs.size() == 1);
  EXPECT_TRUE(!keeper.root && !keeper.can_write() && !keeper.id_key && !keeper.index_key && keeper.epochs.empty());
  EXPECT_EQ(writer.newest_epoch().number, 3u);
  EXPECT_EQ(writer.newest_epoch().public_key, owner.newest_epoch().public_key);
  EXPECT_EQ(reader.epoch(2)->public_key, owner.epoch(2)->public_key);
  EXPECT_EQ(reader.epoch(4), nullptr);
  EXPECT_EQ(reader.epoch(0), nullptr);
  EXPECT_EQ(writer.epoch(2), nullptr);
}

// Looks into the encoded bytes: what is not there cannot be stolen with the bundle.
TEST(Bundle, EncodesNoSecretBeyondItsRole) {
  const crypto::Key root = fixed_root(), owner_seed = fixed_owner_seed(), id_key = derive_id_key(root, fixed_vault()),
                    index_key = derive_index_key(root, fixed_vault());
  for (const Role role : kRoles) {
    const crypto::SecretBytes bytes = encode_bundle(bundle_of(role, 1, 2));
    EXPECT_EQ(contains(bytes.view(), root.view()), role == Role::kOwner);
    EXPECT_FALSE(contains(bytes.view(), owner_seed.view()));
    if (role != Role::kOwner) {
      EXPECT_EQ(contains(bytes.view(), id_key.view()), role != Role::kKeeper);
      EXPECT_EQ(contains(bytes.view(), index_key.view()), role != Role::kKeeper);
      for (std::uint32_t epoch = 1; epoch <= 2; ++epoch)
        EXPECT_EQ(contains(bytes.view(), derive_epoch_private(root, fixed_vault(), epoch).view()),
                  role == Role::kReader);
    }
  }
}

TEST(Bundle, SurvivesItsEncoding) {
  for (const Role role : kRoles) {
    const KeyBundle bundle = bundle_of(role, 7, 3);
    const crypto::SecretBytes bytes = encode_bundle(bundle);
    const auto decoded = decode_bundle(bytes.view());
    ASSERT_OK(decoded);
    EXPECT_EQ(decoded->role, role);
    EXPECT_EQ(decoded->anchor(), fixed_anchor());
    EXPECT_EQ(decoded->member, member_id(7));
    EXPECT_TRUE(equal(decoded->signing_seed.view(), bundle.signing_seed.view()));
    EXPECT_EQ(decoded->epochs.size(), bundle.epochs.size());
    EXPECT_EQ(decoded->can_write(), bundle.can_write());
    EXPECT_EQ(decoded->can_read(), bundle.can_read());
    EXPECT_TRUE(equal(encode_bundle(*decoded).view(), bytes.view()));
  }
}

TEST(Bundle, RefusesWhatIsCutOrLongerOrAnotherRole) {
  for (const Role role : kRoles) {
    const crypto::SecretBytes bytes = encode_bundle(bundle_of(role, 7, 2));
    for (std::size_t size = 0; size < bytes.view().size(); ++size)
      EXPECT_FAILS(decode_bundle(bytes.view().first(size)), kCorrupt);
    Bytes longer = to_bytes(bytes.view());
    longer.push_back(std::byte{0});
    EXPECT_FAILS(decode_bundle(longer), kCorrupt);
    for (const Role other : kRoles) {
      if (other == role) continue;
      Bytes changed = to_bytes(bytes.view());
      changed[1] = static_cast<std::byte>(other);
      EXPECT_FAILS(decode_bundle(changed), kCorrupt);
    }
    Bytes newer = to_bytes(bytes.view());
    newer[0] = std::byte{2};
    EXPECT_FAILS(decode_bundle(newer), kUnsupported);
  }
}

TEST(Bundle, RefusesARootThatIsNotTheOwnerKeys) {
  Bytes bytes = to_bytes(encode_bundle(bundle_of(Role::kOwner)).view());
  bytes[2 + 16] ^= std::byte{1};  // the owner public key
  EXPECT_FAILS(decode_bundle(bytes), kCorrupt);
}

TEST(Bundle, FromRootIsTheOwnerItself) {
  const KeyBundle bundle = bundle_from_root(fixed_root(), fixed_vault(), 2);
  EXPECT_EQ(bundle.member, format::MemberId{});
  EXPECT_TRUE(bundle.can_read());
  EXPECT_EQ(crypto::ed25519_public(bundle.signing_seed), bundle.owner);
}

}  // namespace
}  // namespace coppice::keys
