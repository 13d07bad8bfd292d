#include "format/random_values.h"

namespace coppice::format {
namespace {

TEST(Envelope, RoundTripAndBreaches) {
  Random random;
  const Envelope envelope{random.bytes(100), random.array<16>(), random.array<64>()};
  const Bytes bytes = encode_envelope(kClaimMagic, envelope);
  ASSERT_EQ(bytes.size(), 8u + 4 + 100 + 16 + 64);
  EXPECT_EQ(*decode_envelope(kClaimMagic, bytes), envelope);
  EXPECT_EQ(decode_envelope(kSealMagic, encode_envelope(kSealMagic, {}))->body.size(), 0u);

  expect_corrupt(decode_envelope(kCommitMagic, bytes), "commit: the magic is not CPSNAP01");
  expect_corrupt(decode_envelope(kClaimMagic, {}), "claim: it ends early");
  Bytes bad = bytes;
  bad[8] = std::byte{101};
  expect_corrupt(decode_envelope(kClaimMagic, bad), "ends early");
  bad[8] = std::byte{99};
  expect_corrupt(decode_envelope(kClaimMagic, bad), "left over");
  bad[11] = std::byte{0xff};
  expect_corrupt(decode_envelope(kClaimMagic, bad), "ends early");
  expect_corrupt(decode_envelope(kClaimMagic, Bytes(kControlObjectBytesMax + 1, std::byte{'C'})), "longer than a control object");
}

TEST(Envelope, AnotherVersionIsUnsupportedAndNamesBoth) {
  Bytes bytes = encode_envelope(kCommitMagic, {});
  bytes[7] = std::byte{'2'};
  expect_refused(decode_envelope(kCommitMagic, bytes), ErrorKind::kUnsupported, "it is of format 2; this coppice reads format 1");
  bytes[6] = std::byte{'1'};
  expect_refused(decode_envelope(kCommitMagic, bytes), ErrorKind::kUnsupported, "it is of format 12; this coppice reads format 1");
}

TEST(Envelope, TheSignedMessageBindsKindVaultAndBody) {
  VaultId vault;
  vault.fill(std::byte{7});
  const Bytes body = to_bytes(as_bytes("body"));
  const std::string expected = std::string("coppice 1 CPSNAP01") + '\0' + std::string(16, '\7') + "body";
  EXPECT_EQ(as_text(signed_message(kCommitMagic, vault, body)), expected);
}

TEST(Claim, RoundTripAndBreaches) {
  for (int i = 0; i < 100; ++i) {
    WITH_SEED(i);
    Random random(i);
    const Claim claim = random_claim(random);
    EXPECT_EQ(*decode_claim(encode_claim(claim)), claim);
  }
  Bytes bytes = encode_claim({});
  bytes[2] = std::byte{3};
  expect_corrupt(decode_claim(bytes), "unknown kind of session");
  bytes = encode_claim({});
  bytes.pop_back();
  Writer(bytes).varint(1'000'000'000);
  expect_corrupt(decode_claim(bytes), "too large");
}

TEST(Commit, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const Commit commit = random_commit(random);
    const auto decoded = decode_commit(encode_commit(commit));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, commit);
  }
  Commit commit;
  commit.sequence = 1;
  const Bytes good = encode_commit(commit);
  const std::size_t at_sequence = 12 + 2 + 32, at_previous = at_sequence + 1;
  Bytes bad = good;
  bad[at_sequence] = std::byte{0};
  expect_corrupt(decode_commit(bad), "sequence number is zero");
  bad = good;
  bad[at_previous] = std::byte{1};
  expect_corrupt(decode_commit(bad), "the first of its lineage");
  const std::size_t at_packs = at_previous + 32 + 2 + 2 + 32;
  bad = good;
  bad[at_packs] = std::byte{1};
  expect_corrupt(decode_commit(bad), "larger than what follows");
  bad = good;
  bad[at_packs + 1] = std::byte{1};   // bytes, but no pack
  expect_corrupt(decode_commit(bad), "too large");
  bad[at_packs] = bad[at_packs + 1] = bad[at_packs + 2] = bad[at_packs + 3] = std::byte{0xff};
  expect_corrupt(decode_commit(bad), "too large");
}

TEST(Commit, AnUnknownReadFeatureIsUnsupported) {
  Commit commit;
  commit.sequence = 1;
  commit.write_features = commit.ignorable_features = 0xffffffff;
  Bytes bytes = encode_commit(commit);
  EXPECT_TRUE(decode_commit(bytes).has_value());
  bytes[0] = std::byte{4};
  expect_refused(decode_commit(bytes), ErrorKind::kUnsupported, "0x4");
}

TEST(SnapshotBody, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const SnapshotBody body = random_snapshot_body(random);
    const auto decoded = decode_snapshot_body(encode_snapshot_body(body));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, body);
  }
  Bytes bytes = encode_snapshot_body({});
  bytes.back() = std::byte{2};
  expect_corrupt(decode_snapshot_body(bytes), "neither 0 nor 1");
  SnapshotBody body;
  body.tags = {"a", "b"};
  bytes = encode_snapshot_body(body);
  // host, sources, then two tags of one byte each
  std::swap(bytes[4], bytes[6]);
  expect_corrupt(decode_snapshot_body(bytes), "tags are not sorted");
  expect_corrupt(decode_snapshot_body(Bytes(kChunkBytesMax + 1)), "longer than a chunk");
  body = {};
  body.root_entry = Entry{.type = EntryType::kDirectory};
  bytes = encode_snapshot_body(body);
  // host, four lists, user and program of one byte each, two times of two, no node: then the flag, the page's length and its kind
  ASSERT_EQ(bytes[7 + 2 * 2 + 1], std::byte{1});
  bytes[7 + 2 * 2 + 3] = std::byte{2};
  expect_corrupt(decode_snapshot_body(bytes), "entry of the root");
}

TEST(SnapshotBody, WhatAUserTypedIsRefusedPolitely) {
  SnapshotBody body;
  EXPECT_TRUE(check_snapshot_body(body).has_value());
  body.excludes.assign(40, std::string(65536, 'x'));
  expect_refused(check_snapshot_body(body), ErrorKind::kInvalid, "longer than");
  body.excludes = {std::string(65537, 'x')};
  expect_refused(check_snapshot_body(body), ErrorKind::kInvalid, "too long");
  body.excludes.clear();
  body.tags = {"b", "a"};
  expect_refused(check_snapshot_body(body), ErrorKind::kInvalid, "sorted");
  body.tags.clear();
  body.started.nanoseconds = 1'000'000'000;
  expect_refused(check_snapshot_body(body), ErrorKind::kInvalid, "nanoseconds");
  body.started = {};
  body.root_entry = Entry{.name = "named", .type = EntryType::kDirectory};
  expect_refused(check_snapshot_body(body), ErrorKind::kInvalid, "entry of the root");
  body.root_entry = Entry{.type = EntryType::kFile};
  expect_refused(check_snapshot_body(body), ErrorKind::kInvalid, "entry of the root");
}

TEST(Forget, RoundTrip) {
  Random random;
  const Forget forget{random.session(), random.array<32>(), random.time()};
  EXPECT_EQ(*decode_forget(encode_forget(forget)), forget);
}

TEST(Generation, RoundTripAndBreach) {
  EXPECT_EQ(*decode_empty_generation(encode_empty_generation(0)), 0u);
  EXPECT_EQ(*decode_empty_generation(encode_empty_generation(0xffffffff)), 0xffffffffu);
  Bytes bytes = encode_empty_generation(0);
  bytes.back() = std::byte{1};
  expect_corrupt(decode_empty_generation(bytes), "not empty");
}

}  // namespace
}  // namespace coppice::format
