#include "format/random_values.h"

namespace coppice::format {
namespace {

Member member(std::uint8_t id, std::string name) {
  Member m;
  m.id.fill(std::byte{id});
  m.name = std::move(name);
  return m;
}

// The roster with the bytes of `name` (which must stand there once) replaced; the encoder would refuse such a roster itself.
Bytes with_text(const Roster& roster, std::string_view text, std::string_view by) {
  const Bytes bytes = encode_roster(roster);
  std::string raw(as_text(bytes));
  if (const std::size_t at = raw.find(text); at != std::string::npos)
    raw.replace(at, text.size(), by);
  else
    ADD_FAILURE() << text << " does not stand in the roster";
  return to_bytes(as_bytes(raw));
}

TEST(Roster, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const Roster roster = random_roster(random);
    const auto decoded = decode_roster(encode_roster(roster));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, roster);
  }
  Roster roster;
  roster.members = {member(1, "alpha"), member(2, "gamma")};
  expect_corrupt(decode_roster(with_text(roster, "gamma", "alpha")), "two members bear one name");
  for (const std::string_view bad : {"gam\na", "gam\x7f" "a", "gam\xc0\x80", "gam\xc2\x85", "gam\xed\xa0"})
    expect_corrupt(decode_roster(with_text(roster, "gamma", bad)), "printable UTF-8");
  expect_corrupt(decode_roster(with_text(roster, std::string(16, '\2'), std::string(16, '\1'))), "id stands there twice");
  roster.members[1].name = "alpha";
  roster.members[1].revoked_from = SessionId{0, 3};
  EXPECT_TRUE(decode_roster(encode_roster(roster)).has_value());   // a name is free again after revocation
  roster.members[1].revoked_from = SessionId{0, 9};
  roster.members[1].open_then = {{{0, 1}, 2}, {{0, 5}, 4}};
  Bytes ranges = encode_roster(roster);   // ends with 2, the two ranges, no epochs
  const Member again = decode_roster(ranges)->members[1];
  EXPECT_EQ(again.open_then, roster.members[1].open_then);
  std::string are_void;
  for (std::uint32_t slot = 0; slot < 11; ++slot) are_void += again.is_void({0, slot}) ? '1' : '0';
  EXPECT_EQ(are_void, "01100111111");
  ranges[ranges.size() - 2] = std::byte{5};
  expect_corrupt(decode_roster(ranges), "reach its revocation");
  ranges[ranges.size() - 2] = std::byte{4};
  ranges[ranges.size() - 5] = std::byte{4};
  expect_corrupt(decode_roster(ranges), "void sessions do not ascend");
  roster.members[1].open_then.clear();
  roster.members = {member(1, "alpha")};
  const std::size_t at_role = 4 + 32 + 32 + 1 + 16 + 6;
  Bytes bytes = encode_roster(roster);
  bytes[at_role] = std::byte{5};
  expect_corrupt(decode_roster(bytes), "unknown role");
  bytes[at_role] = std::byte{1};
  bytes[at_role + 1] = std::byte{0};
  expect_corrupt(decode_roster(bytes), "unknown kind of slot");
  bytes[at_role + 1] = std::byte{1};
  bytes[at_role + 2 + 64 + 2] = std::byte{3};
  expect_corrupt(decode_roster(bytes), "none of 0, 1 and 2");
  bytes = encode_roster({});
  bytes[36] = std::byte{1};
  expect_corrupt(decode_roster(bytes), "version 0 names a previous one");
  roster = {};
  roster.epochs = {{1, {}}, {2, {}}};
  bytes = encode_roster(roster);
  bytes[4 + 32 + 32 + 1 + 1] = std::byte{2};
  expect_corrupt(decode_roster(bytes), "epochs do not ascend");
}

TEST(KeySlot, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const KeySlot slot = random_key_slot(random);
    const auto decoded = decode_key_slot(encode_key_slot(slot));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, slot);
  }
  KeySlot slot;
  slot.kind = SlotKind::kPassphrase;
  slot.argon2_memory_kib = kSlotArgon2MemoryKibMin;
  slot.argon2_passes = 1;
  slot.wrapped_private.assign(kSlotWrappedPassphraseBytes, std::byte{1});
  slot.sealed_bundle.assign(100, std::byte{2});
  const Bytes good = encode_key_slot(slot);
  const auto with = [&](std::size_t at, int value) {
    Bytes bad = good;
    bad[at] = std::byte(value);
    return decode_key_slot(bad);
  };
  expect_corrupt(with(0, 'X'), "magic");
  expect_corrupt(with(9, 0), "unknown role");
  expect_corrupt(with(9, 5), "unknown role");
  expect_corrupt(with(8, 0), "key slot");
  const std::size_t at_memory = 8 + 2 + 16 + 32;
  expect_corrupt(with(at_memory + 3, 0x7f), "cost of its passphrase");
  expect_corrupt(with(at_memory + 1, 0), "cost of its passphrase");
  expect_corrupt(with(at_memory + 4, 0), "cost of its passphrase");
  expect_corrupt(with(at_memory + 4, 17), "cost of its passphrase");

  const auto raw = [](SlotKind kind, std::size_t wrapped, std::size_t bundle) {
    Bytes bytes;
    Writer w(bytes);
    w.bytes(as_bytes("CPSLOT01"));
    w.u8(static_cast<std::uint8_t>(kind));
    w.u8(1);
    w.bytes(MemberId{});
    w.bytes(PublicKey{});
    w.sized(Bytes(wrapped, std::byte{1}));
    w.sized(Bytes(bundle, std::byte{1}));
    return decode_key_slot(bytes);
  };
  EXPECT_TRUE(raw(SlotKind::kKeyFile, 80, 80).has_value());
  EXPECT_TRUE(raw(SlotKind::kRecipient, 0, 80).has_value());
  expect_corrupt(raw(SlotKind::kKeyFile, 0, 80), "wrapped key has a wrong length");
  expect_corrupt(raw(SlotKind::kKeyFile, kSlotWrappedBytesMax + 1, 80), "too large");
  expect_corrupt(raw(SlotKind::kRecipient, 80, 80), "a recipient's slot holds");
  expect_corrupt(raw(SlotKind::kRecipient, 0, 0), "length of the sealed bundle");
  expect_corrupt(raw(SlotKind::kRecipient, 0, kSlotBundleBytesMax + 1), "too large");
}

std::string description_text() {
  VaultDescription description;
  description.created = {1795334400, 0};
  const Bytes bytes = encode_vault_description(description);
  return std::string(as_text(bytes));
}

Result<VaultDescription> decode_with(std::string_view text, std::string_view by) {
  std::string changed = description_text();
  const std::size_t at = changed.find(text);
  if (at == std::string::npos)
    ADD_FAILURE() << text << " does not stand in " << changed;
  else
    changed.replace(at, text.size(), by);
  return decode_vault_description(as_bytes(changed));
}

TEST(VaultDescription, RoundTrip) {
  for (int i = 0; i < 100; ++i) {
    WITH_SEED(i);
    Random random(i);
    const VaultDescription description = random_vault_description(random);
    const auto decoded = decode_vault_description(encode_vault_description(description));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, description);
  }
  VaultDescription description;
  description.created = {1795334400, 5};   // whole seconds are kept
  EXPECT_EQ(decode_vault_description(encode_vault_description(description))->created, (Timestamp{1795334400, 0}));
}

TEST(VaultDescription, AnotherVersionIsUnsupportedAndNamesBoth) {
  expect_refused(decode_with("\"version\": 1", "\"version\": 2"), ErrorKind::kUnsupported, "this vault is format 2; this coppice reads format 1");
  // Whatever else a later version changes.
  expect_refused(decode_vault_description(as_bytes("{\"format\": \"coppice vault\", \"version\": 7}")), ErrorKind::kUnsupported, "format 7");
}

TEST(VaultDescription, AnUnknownReadFeatureIsUnsupported) {
  expect_refused(decode_with("\"read\": []", "\"read\": [\"lz5\"]"), ErrorKind::kUnsupported, "\"lz5\"");
}

TEST(VaultDescription, UnknownKeysNeedANamedFeature) {
  expect_corrupt(decode_with("\"version\": 1,", "\"version\": 1, \"colour\": 1,"), "a key that format 1 does not have");
  expect_corrupt(decode_with("\"read\": []", "\"read\": [], \"other\": []"), "a key that format 1 does not have");
  std::string text = description_text();
  text.replace(text.find("\"ignorable\": []"), 15, "\"ignorable\": [\"colours\"], \"more\": []");
  text.replace(text.find("\"version\": 1,"), 13, "\"version\": 1, \"colour\": {\"a\": 1},");
  const auto decoded = decode_vault_description(as_bytes(text));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
  EXPECT_EQ(decoded->ignorable_features, std::vector<std::string>{"colours"});
}

TEST(VaultDescription, Breaches) {
  expect_corrupt(decode_vault_description({}), "not JSON");
  expect_corrupt(decode_vault_description(as_bytes("[]")), "no JSON object");
  expect_corrupt(decode_vault_description(as_bytes("7")), "no JSON object");
  expect_corrupt(decode_vault_description(as_bytes("{}")), "\"coppice vault\"");
  expect_corrupt(decode_vault_description(as_bytes("{\"format\": \"coppice vault\"}")), "version is no number");
  expect_corrupt(decode_with("coppice vault", "borg"), "\"coppice vault\"");
  expect_corrupt(decode_with("\"version\": 1", "\"version\": -1"), "version is no number");
  expect_corrupt(decode_with("\"version\": 1", "\"version\": 1.0"), "version is no number");
  expect_corrupt(decode_with("\"version\": 1", "\"version\": \"1\""), "version is no number");
  expect_corrupt(decode_with("\"version\": 1,", "\"version\": 2, \"version\": 1,"), "not JSON");
  expect_corrupt(decode_with("\"read\": []", "\"read\": {}"), "three lists");
  expect_corrupt(decode_with("\"read\": []", "\"read\": [1]"), "three lists");
  expect_corrupt(decode_with("\"read\": []", "\"read\": [\"NO\"]"), "three lists");
  expect_corrupt(decode_with("\"write\": []", "\"wrote\": []"), "three lists");
  expect_corrupt(decode_with("\"id\": \"00", "\"id\": \"0"), "id is not");
  expect_corrupt(decode_with("\"id\": \"00", "\"id\": \"AA"), "id is not");
  expect_corrupt(decode_with("\"owner\": \"00", "\"owner\": \"zz"), "owner key is not");
  expect_corrupt(decode_with("T08:00:00Z", " 08:00:00Z"), "time of creation");
  expect_corrupt(decode_with("T08:00:00Z", "T08:00:00+01:00"), "time of creation");
  expect_corrupt(decode_with("T08:00:00Z", ""), "time of creation");
  expect_corrupt(decode_with("}\n", "} x"), "not JSON");
  expect_corrupt(decode_with("coppice", "c\xff\xfe"), "");
  expect_corrupt(decode_vault_description(as_bytes(std::string(60000, '['))), "nested too deeply");
  expect_corrupt(decode_vault_description(as_bytes(std::string(70000, ' '))), "longer than it may be");
}

}  // namespace
}  // namespace coppice::format
