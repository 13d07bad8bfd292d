// Cutting is content-defined, and the source state gives back what was put in or nothing.
#include <random>

#include "directory_record.h"
#include "state_file.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"
#include "vault/cutter.h"

namespace coppice {
namespace {

using testing::TempDirectory;

std::vector<std::size_t> cut_all(const vault::Cutter& cutter, ByteSpan data) {
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < data.size();) {
    at += cutter.first_chunk(data.subspan(at));
    ends.push_back(at);
  }
  return ends;
}

TEST(Cutter, ChunksKeepTheirBoundsAndResynchroniseAfterAnInsertion) {
  const vault::Cutter cutter(crypto::sha256(as_bytes("key")));
  const std::string text = testing::noise(3, 24u << 20);
  const std::vector<std::size_t> before = cut_all(cutter, as_bytes(text));
  std::size_t last = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::size_t n = before[i] - last;
    EXPECT_LE(n, vault::kCutBytesMax);
    if (i + 1 < before.size()) {
      EXPECT_GE(n, vault::kCutBytesMin);
    }
    last = before[i];
  }
  EXPECT_EQ(last, text.size());
  EXPECT_GT(before.size(), 24u);
  EXPECT_LT(before.size(), 96u);
  const std::string inserted = "an insertion" + text;
  const std::vector<std::size_t> after = cut_all(cutter, as_bytes(inserted));
  std::size_t shared = 0;
  for (const std::size_t end : after) shared += std::ranges::binary_search(before, end - 12);
  EXPECT_GT(shared, before.size() * 8 / 10);
}

// The cut points are part of what deduplicates: a faster way to find them must find the same ones. Here is the definition, a byte at a time.
TEST(Cutter, CutsWhereTheDefinitionSays) {
  const Bytes key = to_bytes(crypto::sha256(as_bytes("key")));
  const vault::Cutter cutter(key);
  Bytes words(255 * 32);
  crypto::hkdf(key, {}, as_bytes("coppice 1 gear"), words);
  const auto number = [&](std::size_t i) { return load_le<std::uint64_t>(words, 8 * i); };
  unsigned bias = 0;
  const auto is_mark = [&](ByteSpan window) {   // the last 32 bytes
    unsigned sum = bias;
    for (const auto& [factor, at] : {std::pair(257u, 0u), std::pair(258u, 9u), std::pair(259u, 19u), std::pair(260u, 30u)})
      sum += static_cast<unsigned>((number(factor) & 0xffff) | 1) * load_le<std::uint16_t>(window, at);
    return (sum & 0xffff) < 32;
  };
  for (unsigned byte = 0; byte < 256; ++byte)
    if (is_mark(Bytes(32, static_cast<std::byte>(byte)))) bias += 32, byte = ~0u;   // anew
  const auto defined = [&](ByteSpan data) {
    const std::size_t end = std::min<std::size_t>(data.size(), vault::kCutBytesMax);
    for (std::size_t i = vault::kCutBytesMin; i < end; ++i) {
      if (!is_mark(data.subspan(i - 31, 32))) continue;
      std::uint64_t hash = 0;
      for (std::size_t k = i - 63; k <= i; ++k) hash = (hash << 1) + number(static_cast<std::size_t>(data[k]));
      if (hash >> (i < vault::kCutBytesMean ? 64 - 10 : 64 - 6) == 0) return i + 1;
    }
    return end;
  };
  const std::string text = testing::noise(5, 12u << 20);
  for (std::size_t at = 0, odd = 0; at < text.size(); ++odd) {
    // Of any length, so that ends fall everywhere between the places that are looked at together.
    const ByteSpan rest = as_bytes(text).subspan(at, std::min<std::size_t>(text.size() - at, vault::kCutBytesMax - odd % 7));
    const std::size_t n = cutter.first_chunk(rest);
    ASSERT_EQ(n, defined(rest)) << at;
    // The same when the bytes come piece by piece.
    vault::Cutter::Search search;
    std::size_t have = 1 + odd * 77777 % vault::kCutBytesMean, found = 0;
    while ((found = cutter.first_chunk(rest.first(std::min(have, rest.size())), have >= rest.size(), search)) == 0) have += 100003 * (odd % 5 + 1);
    ASSERT_EQ(found, n) << at;
    at += n;
  }
}

// Marks that lie close: the hash goes on from one to the next, and must be the same.
TEST(Cutter, CutsTheSameWhereMarksAreDense) {
  const vault::Cutter cutter(crypto::sha256(as_bytes("key")));
  for (std::size_t period = 2; period < 40; ++period) {
    // A repeated stretch holds its marks again and again; noise before it, of another length each time.
    std::string text = testing::noise(period, vault::kCutBytesMin - 100);
    const std::string stretch = testing::noise(1000 + period, period * 97);
    while (text.size() < vault::kCutBytesMax) text += stretch;
    const ByteSpan bytes = as_bytes(text);
    const std::size_t whole = cutter.first_chunk(bytes);
    vault::Cutter::Search search;
    std::size_t have = vault::kCutBytesMin, found = 0;
    while ((found = cutter.first_chunk(bytes.first(std::min(have, bytes.size())), have >= bytes.size(), search)) == 0) have += 61;
    ASSERT_EQ(found, whole) << period;
  }
}

TEST(Cutter, OneByteOverAndOverIsCutAtTheMost) {
  for (const char* key : {"a", "b", "c", "d"}) {
    const vault::Cutter cutter(crypto::sha256(as_bytes(key)));
    for (int byte = 0; byte < 256; byte += 51) EXPECT_EQ(cutter.first_chunk(Bytes(3u << 20, static_cast<std::byte>(byte))), vault::kCutBytesMax);
  }
}

TEST(Cutter, AnotherKeyCutsElsewhere) {
  const std::string text = testing::noise(4, 8u << 20);
  EXPECT_NE(cut_all(vault::Cutter(crypto::sha256(as_bytes("a"))), as_bytes(text)), cut_all(vault::Cutter(crypto::sha256(as_bytes("b"))), as_bytes(text)));
}

TEST(SourceState, GivesBackRecordsAcrossPagesAndRefusesDamage) {
  TempDirectory directory;
  platform::SeededEntropy entropy(5);
  const auto key = capture::load_local_key(directory.path(), entropy);
  ASSERT_OK(key);
  const auto again = capture::load_local_key(directory.path(), entropy);
  ASSERT_OK(again);
  EXPECT_TRUE(equal(key->view(), again->view()));
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> places;
  std::vector<capture::DirectoryRecord> records;
  std::uint64_t length = 0;
  {
    auto writer = capture::StateWriter::create(directory / "body", *key, entropy);
    ASSERT_OK(writer);
    for (int i = 0; i < 500; ++i) {
      capture::DirectoryRecord record;
      if (i % 5) record.node = format::ChunkRef{.birth = {.pack = {.sequence = static_cast<std::uint32_t>(i)}}, .length = 7};
      for (std::uint64_t n = random() % 300; n > 0; --n) record.children.push_back(random() % 100000);
      if (i % 11 == 0) record.extents.push_back({.name = "huge", .births = {{.ordinal = 3}, {.ordinal = 9}}});
      record.leaves.push_back({.offset = random() % 1000, .bytes = 17, .entries = static_cast<std::uint32_t>(i % 7)});
      places.push_back(capture::write_directory_record(*writer, record));
      records.push_back(std::move(record));
    }
    const auto finished = writer->finish();
    ASSERT_OK(finished);
    length = *finished;
  }
  auto reader = capture::StateReader::open(directory / "body", *key, length);
  ASSERT_OK(reader);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto record = capture::read_directory_record(**reader, places[i]);
    ASSERT_OK(record);
    EXPECT_EQ(record->node, records[i].node);
    EXPECT_EQ(record->children, records[i].children);
    ASSERT_EQ(record->extents.size(), records[i].extents.size());
    ASSERT_EQ(record->leaves.size(), 1u);
    EXPECT_EQ(record->leaves.front().entries, i % 7);
  }
  EXPECT_FALSE(capture::read_directory_record(**reader, 0));
  EXPECT_FALSE(capture::read_directory_record(**reader, length + 10));

  // A flipped byte is noticed, never believed.
  auto bytes = platform::read_file(directory / "body", 64u << 20);
  ASSERT_OK(bytes);
  (*bytes)[bytes->size() / 2] ^= std::byte{1};
  ASSERT_OK(platform::write_file_durably(directory / "body2", *bytes));
  auto damaged = capture::StateReader::open(directory / "body2", *key, length);
  ASSERT_OK(damaged);
  std::size_t failures = 0;
  for (const std::uint64_t place : places) failures += !capture::read_directory_record(**damaged, place);
  EXPECT_GT(failures, 0u);
  EXPECT_LT(failures, places.size());

  const capture::StateHead head{.body = "body", .stream_bytes = length, .root_record = 5, .base = crypto::sha256(as_bytes("x")), .started = {-5, 9}};
  ASSERT_OK(capture::write_state_head(directory / "head", *key, entropy, head));
  const auto read = capture::read_state_head(directory / "head", *key);
  ASSERT_OK(read);
  EXPECT_EQ(read->started.seconds, -5);
  EXPECT_EQ(read->base, head.base);
  EXPECT_FAILS(capture::read_state_head(directory / "none", *key), kNotFound);
  EXPECT_FALSE(capture::read_state_head(directory / "body", *key));
}

}  // namespace
}  // namespace coppice
