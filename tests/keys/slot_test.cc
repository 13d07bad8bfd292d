// Slots open with what they were made for and with nothing else; what a hostile store does to them is refused.
#include "keys/slot.h"

#include <gtest/gtest.h>

#include "keys/fixture.h"

namespace coppice::keys {
namespace {

using format::KeySlot;
using format::Role;
using format::SlotKind;

KeySlot passphrase_slot(const KeyBundle& bundle, std::string_view text) {
  return *make_passphrase_slot(bundle, fixed_owner_seed(), as_bytes(text), kCheapest, seeded("passphrase slot"));
}

Recipient recipient_of(const Identity& identity, TrustAnchor anchor = fixed_anchor()) {
  return {.identity = {.public_key = identity.public_key, .private_key = identity.private_key.duplicate()},
          .anchor = anchor};
}

// Through the encoding, as it comes from a store.
KeySlot stored(const KeySlot& slot) {
  auto decoded = format::decode_key_slot(format::encode_key_slot(slot));
  EXPECT_OK(decoded);
  return std::move(*decoded);
}

void expect_opens_as(const Result<KeyBundle>& opened, const KeyBundle& bundle) {
  ASSERT_OK(opened);
  EXPECT_TRUE(equal(encode_bundle(*opened).view(), encode_bundle(bundle).view()));
}

TEST(Slot, OpensWithItsPassphraseOnly) {
  for (const Role role : {Role::kOwner, Role::kReader, Role::kWriter, Role::kKeeper}) {
    const KeyBundle bundle = bundle_of(role);
    const KeySlot slot = stored(passphrase_slot(bundle, "correct horse"));
    expect_opens_as(open_slot(slot, passphrase("correct horse")), bundle);
    const auto denied = open_slot(slot, passphrase("correct house"));
    EXPECT_FAILS(denied, kDenied);
    EXPECT_EQ(denied.error().message(), "this passphrase does not open the vault");
    EXPECT_FAILS(open_slot(slot, passphrase("")), kDenied);
  }
}

TEST(Slot, OpensWithItsKeyFileOnly) {
  const KeyBundle bundle = bundle_of(Role::kReader);
  const auto random = seeded("two files");
  const KeyFileSlot first = make_key_file_slot(bundle, fixed_owner_seed(), random);
  const KeyFileSlot second = make_key_file_slot(bundle, fixed_owner_seed(), seeded("another"));
  auto read_back = parse_key_file(render_key_file(first.file).view());
  ASSERT_OK(read_back);
  expect_opens_as(open_slot(stored(first.slot), std::move(*read_back)), bundle);
  EXPECT_FAILS(open_slot(first.slot, copy_of(second.file)), kDenied);
  EXPECT_FAILS(open_slot(first.slot, passphrase("x")), kDenied);
}

TEST(Slot, KeyFileOfAnotherVaultOrRoleIsRefused) {
  const KeyFileSlot made = make_key_file_slot(bundle_of(Role::kReader), fixed_owner_seed(), seeded("file"));
  KeyFile other_vault = copy_of(made.file), other_owner = copy_of(made.file), other_role = copy_of(made.file);
  other_vault.anchor.vault[0] ^= std::byte{1};
  other_owner.anchor.owner[0] ^= std::byte{1};
  other_role.role = Role::kWriter;
  EXPECT_FAILS(open_slot(made.slot, std::move(other_vault)), kUnauthentic);
  EXPECT_FAILS(open_slot(made.slot, std::move(other_owner)), kUnauthentic);
  EXPECT_FAILS(open_slot(made.slot, std::move(other_role)), kUnauthentic);
}

TEST(Slot, OpensForItsRecipientOnly) {
  const KeyBundle bundle = bundle_of(Role::kOwner);
  const Identity alice = make_identity(seeded("alice")), bob = make_identity(seeded("bob"));
  const auto slot = make_recipient_slot(bundle, fixed_owner_seed(), alice.public_key, seeded("slot"));
  ASSERT_OK(slot);
  expect_opens_as(open_slot(stored(*slot), recipient_of(alice)), bundle);
  EXPECT_FAILS(open_slot(*slot, recipient_of(bob)), kDenied);
  EXPECT_TRUE(slot_suits(*slot, recipient_of(alice)));
  EXPECT_FALSE(slot_suits(*slot, recipient_of(bob)));
  EXPECT_FALSE(slot_suits(*slot, passphrase("x")));
  // The same private half, and a slot that pretends to be for it.
  Recipient disguised = recipient_of(bob);
  disguised.identity.public_key = alice.public_key;
  EXPECT_FAILS(open_slot(*slot, std::move(disguised)), kUnauthentic);
}

TEST(Slot, RefusesWhatProtectsNothing) {
  const KeyBundle bundle = bundle_of(Role::kReader);
  EXPECT_FAILS(make_passphrase_slot(bundle, fixed_owner_seed(), {}, kCheapest, seeded("r")), kInvalid);
  EXPECT_FAILS(
      make_passphrase_slot(bundle, fixed_owner_seed(), as_bytes("x"), {.memory_kib = 8, .passes = 1}, seeded("r")),
      kInvalid);
  EXPECT_FAILS(make_recipient_slot(bundle, fixed_owner_seed(), format::PublicKey{}, seeded("r")), kInvalid);
}

// The enemy owns the store, knows every public key, and seals a bundle with keys of its own to the victim's slot key.
TEST(Slot, BundleMadeByAnEnemyIsRefused) {
  const crypto::Key enemy_root = key_of("enemy root");
  const crypto::Key enemy_owner = derive_owner_seed(enemy_root, fixed_vault());
  const KeyBundle forged =
      make_bundle(enemy_root, fixed_vault(), Role::kWriter, member_id(1), key_of("enemy signing"), kFirstEpoch);
  const KeyBundle bundle = bundle_of(Role::kWriter);
  const Identity victim = make_identity(seeded("victim"));
  const KeyFileSlot file = make_key_file_slot(bundle, fixed_owner_seed(), seeded("file"));
  const KeySlot by_passphrase = passphrase_slot(bundle, "p");
  const auto swap = [&](KeySlot slot) {
    slot.sealed_bundle = make_recipient_slot(forged, enemy_owner, slot.slot_key, seeded("enemy"))->sealed_bundle;
    return slot;
  };
  EXPECT_FAILS(open_slot(swap(by_passphrase), passphrase("p")), kUnauthentic);
  EXPECT_FAILS(open_slot(swap(file.slot), copy_of(file.file)), kUnauthentic);
  const KeySlot whole = *make_recipient_slot(forged, enemy_owner, victim.public_key, seeded("enemy"));
  EXPECT_FAILS(open_slot(whole, recipient_of(victim)), kUnauthentic);
}

// A real bundle, signed by the real owner, but for another member, slot or role.
TEST(Slot, BundleOfAnotherSlotIsRefused) {
  const Identity shared = make_identity(seeded("one identity, two members"));
  KeySlot reader =
      *make_recipient_slot(bundle_of(Role::kReader, 1), fixed_owner_seed(), shared.public_key, seeded("a"));
  const KeySlot owner =
      *make_recipient_slot(bundle_of(Role::kOwner, 2), fixed_owner_seed(), shared.public_key, seeded("b"));
  const KeySlot same_member =
      *make_recipient_slot(bundle_of(Role::kWriter, 1), fixed_owner_seed(), shared.public_key, seeded("c"));
  std::swap(reader.sealed_bundle, const_cast<Bytes&>(owner.sealed_bundle));
  EXPECT_FAILS(open_slot(reader, recipient_of(shared)), kUnauthentic);
  reader.sealed_bundle = same_member.sealed_bundle;
  EXPECT_FAILS(open_slot(reader, recipient_of(shared)), kUnauthentic);
  TrustAnchor elsewhere = fixed_anchor();
  elsewhere.vault[5] ^= std::byte{1};
  EXPECT_FAILS(open_slot(same_member, recipient_of(shared, elsewhere)), kUnauthentic);
}

TEST(Slot, EveryFlippedByteIsRefused) {
  const KeyBundle bundle = bundle_of(Role::kReader);
  const KeyFileSlot made = make_key_file_slot(bundle, fixed_owner_seed(), seeded("file"));
  const Bytes bytes = format::encode_key_slot(made.slot);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned mask : {0x01u, 0x80u}) {
      Bytes changed = bytes;
      changed[at] ^= static_cast<std::byte>(mask);
      const auto slot = format::decode_key_slot(changed);
      if (!slot) continue;
      EXPECT_FALSE(open_slot(*slot, copy_of(made.file))) << "byte " << at;
    }
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(format::decode_key_slot(ByteSpan(bytes).first(size)));
}

TEST(Slot, AChangedPassphraseSlotIsToldFromAWrongPassphrase) {
  const KeySlot good = passphrase_slot(bundle_of(Role::kReader), "p");
  const auto changed = [&](auto edit) {
    KeySlot slot = good;
    edit(slot);
    return open_slot(slot, passphrase("p"));
  };
  EXPECT_FAILS(changed([](KeySlot& s) { s.slot_key[0] ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(changed([](KeySlot& s) { s.member[0] ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(changed([](KeySlot& s) { s.role = Role::kOwner; }), kUnauthentic);
  EXPECT_FAILS(changed([](KeySlot& s) { s.wrapped_private.back() ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(changed([](KeySlot& s) { s.sealed_bundle.back() ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(changed([](KeySlot& s) { s.wrapped_private.pop_back(); }), kCorrupt);
  EXPECT_FAILS(changed([](KeySlot& s) { s.wrapped_private[0] ^= std::byte{1}; }), kDenied);   // cannot be told apart
  EXPECT_FAILS(changed([](KeySlot& s) { s.argon2_memory_kib = 0xffffffff; }), kInvalid);      // and allocates nothing
}

// The owner makes a new epoch: passphrase, file and identity stay as they are, and the removed member stays behind.
TEST(Slot, RotationReachesEveryoneWithoutAskingThem) {
  const Identity offline = make_identity(seeded("offline"));
  const KeyFileSlot file = make_key_file_slot(bundle_of(Role::kWriter, 2), fixed_owner_seed(), seeded("file"));
  const KeyFileSlot removed = make_key_file_slot(bundle_of(Role::kReader, 4), fixed_owner_seed(), seeded("removed"));
  const KeySlot slots[] = {
      passphrase_slot(bundle_of(Role::kOwner, 1), "p"), file.slot,
      *make_recipient_slot(bundle_of(Role::kReader, 3), fixed_owner_seed(), offline.public_key, seeded("r"))};
  std::vector<KeySlot> renewed;
  for (const KeySlot& slot : slots) {
    const unsigned n = static_cast<unsigned>(slot.member[0]);
    const KeyBundle bundle = bundle_of(slot.role, n, 2);
    auto made = reseal_slot(slot, describe_member(bundle, slot, "m" + std::to_string(n), {}), bundle,
                            fixed_owner_seed(), seeded("again"));
    ASSERT_OK(made);
    renewed.push_back(stored(*made));
  }
  expect_opens_as(open_slot(renewed[0], passphrase("p")), bundle_of(Role::kOwner, 1, 2));
  expect_opens_as(open_slot(renewed[1], copy_of(file.file)), bundle_of(Role::kWriter, 2, 2));
  const auto reader = open_slot(renewed[2], recipient_of(offline));
  expect_opens_as(reader, bundle_of(Role::kReader, 3, 2));
  EXPECT_NE(reader->epoch(1), nullptr);  // the old epoch stays readable
  EXPECT_EQ(reader->newest_epoch().number, 2u);

  // The removed member's slot as it was, and with a renewed bundle of another member put into it.
  const auto left = open_slot(removed.slot, copy_of(removed.file));
  ASSERT_OK(left);
  EXPECT_EQ(left->epoch(2), nullptr);
  KeySlot stolen = removed.slot;
  stolen.sealed_bundle = renewed[2].sealed_bundle;
  EXPECT_FAILS(open_slot(stolen, copy_of(removed.file)), kUnauthentic);
}

// A slot in the store that names a key of the enemy's must not get the next epoch.
TEST(Slot, ResealFollowsTheRosterAndNotTheStore) {
  const KeyBundle bundle = bundle_of(Role::kReader);
  const KeyFileSlot made = make_key_file_slot(bundle, fixed_owner_seed(), seeded("file"));
  const format::Member member = describe_member(bundle, made.slot, "host", {});
  KeySlot swapped = made.slot;
  swapped.slot_key = make_identity(seeded("enemy")).public_key;
  EXPECT_FAILS(reseal_slot(swapped, member, bundle, fixed_owner_seed(), seeded("r")), kUnauthentic);
}

TEST(KeyFile, RoundTripAndForm) {
  const KeyFileSlot made = make_key_file_slot(bundle_of(Role::kReader), fixed_owner_seed(), seeded("file"));
  const crypto::SecretBytes rendered = render_key_file(made.file);
  const std::string text(as_text(rendered.view()));
  EXPECT_TRUE(text.starts_with(
      "# Coppice key file: whoever holds it can read everything and write. Keep it 0600.\ncoppice-key 1\nvault 0011"));
  const auto parsed = parse_key_file(rendered.view());
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->anchor, fixed_anchor());
  EXPECT_EQ(parsed->member, member_id(1));
  EXPECT_EQ(parsed->role, Role::kReader);
  EXPECT_TRUE(equal(parsed->key.view(), made.file.key.view()));
  EXPECT_TRUE(text.ends_with("key " + render_base64(made.file.key.view()) + "\n"));
  EXPECT_OK(parse_key_file(as_bytes(std::string_view(text).substr(0, text.size() - 1))));
}

TEST(KeyFile, IsParsedStrictly) {
  const KeyFileSlot made = make_key_file_slot(bundle_of(Role::kReader), fixed_owner_seed(), seeded("file"));
  const std::string text(as_text(render_key_file(made.file).view()));
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return parse_key_file(as_bytes(changed));
  };
  EXPECT_FAILS(with("coppice-key 1", "coppice-key 2"), kUnsupported);
  EXPECT_FAILS(with("coppice-key 1", "coppice-kex 1"), kInvalid);
  EXPECT_FAILS(with("role reader", "role reador"), kInvalid);
  EXPECT_FAILS(with("role reader\n", ""), kInvalid);
  EXPECT_FAILS(with("vault 00", "vault  00"), kInvalid);
  EXPECT_FAILS(with("vault 0011", "vault 001"), kInvalid);
  EXPECT_FAILS(with("aabb", "AABB"), kInvalid);
  EXPECT_FAILS(with("role reader\n", "role reader\r\n"), kInvalid);
  EXPECT_FAILS(parse_key_file(as_bytes(text + "more")), kInvalid);
  EXPECT_FAILS(parse_key_file(as_bytes(text + "\n")), kInvalid);
  EXPECT_FAILS(parse_key_file(as_bytes(std::string(100000, '#'))), kInvalid);
  for (std::size_t size = 0; size + 1 < text.size(); ++size)
    EXPECT_FAILS(parse_key_file(as_bytes(text).first(size)), kInvalid);
  const std::size_t key_at = text.find("\nkey ") + 5;
  const auto refused = parse_key_file(as_bytes(text.substr(0, key_at) + "*" + text.substr(key_at + 1)));
  EXPECT_FAILS(refused, kInvalid);
  EXPECT_EQ(refused.error().message().find(text.substr(key_at + 1, 8)), std::string::npos);
  // The last character before '=' carries two bits that no byte takes: only zero is the form we write.
  std::string loose = text;
  loose[key_at + 42] = static_cast<char>(loose[key_at + 42] + 1);
  EXPECT_FAILS(parse_key_file(as_bytes(loose)), kInvalid);
}

TEST(Identity, RoundTripAndHalvesThatBelongTogether) {
  const Identity identity = make_identity(seeded("identity")), other = make_identity(seeded("other"));
  const std::string text(as_text(render_identity(identity).view()));
  const auto parsed = parse_identity(as_bytes(text));
  ASSERT_OK(parsed);
  EXPECT_TRUE(equal(parsed->private_key.view(), identity.private_key.view()));
  std::string mixed = text;
  const std::string mine = render_hex(identity.public_key);
  mixed.replace(mixed.find(mine), mine.size(), render_hex(other.public_key));
  EXPECT_FAILS(parse_identity(as_bytes(mixed)), kInvalid);
}

TEST(Identity, RecipientTextFindsTypingErrors) {
  const Identity identity = make_identity(seeded("identity"));
  const std::string text = render_recipient(identity.public_key);
  EXPECT_TRUE(text.starts_with("coppice1" + render_hex(identity.public_key)));
  EXPECT_EQ(*parse_recipient(text), identity.public_key);
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string typo = text;
    typo[at] = typo[at] == '1' ? '2' : '1';
    EXPECT_FAILS(parse_recipient(typo), kInvalid);
  }
  EXPECT_FAILS(parse_recipient(text.substr(1)), kInvalid);
  EXPECT_FAILS(parse_recipient(""), kInvalid);
  EXPECT_FAILS(parse_recipient(render_recipient(format::PublicKey{})), kInvalid);
}

}  // namespace
}  // namespace coppice::keys
