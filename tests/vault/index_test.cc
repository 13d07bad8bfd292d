// Goal: the index finds what was stored, says nothing that the signed commit does not vouch for, and stays within its memory.
#include "chunk_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/result.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using testing::TestVault;

format::IndexEntry entry(std::uint32_t n, std::uint32_t length = 1000) {
  const crypto::Digest id = crypto::sha256(as_bytes(std::to_string(n)));
  format::IndexEntry e{.birth = {{{0, 1}, format::PackKind::kData, n / 100}, static_cast<std::uint16_t>(n % 100)}, .index = 1, .length = length};
  std::memcpy(e.prefix.data(), id.data(), e.prefix.size());
  return e;
}

// A run of the numbers [begin, end), stored.
format::RunRecord put_run(TestVault& v, std::uint32_t number, std::uint32_t begin, std::uint32_t end) {
  std::vector<format::IndexEntry> entries;
  for (std::uint32_t n = begin; n < end; ++n) entries.push_back(entry(n));
  std::ranges::sort(entries);
  Bytes salt(32);
  v.random(salt);
  const BuiltRun run = build_index_run(v.vault.id, keys::derive_index_key(v.vault.root, v.vault.id), {0, 1}, number, salt, entries);
  EXPECT_OK(v.store.put(format::index_object({0, 1}, number), run.object));
  return {.session = {0, 1}, .number = number, .entries = entries.size(), .bytes = run.object.size(), .hash = run.hash};
}

TEST(ChunkIndex, FindsEveryEntryOfEveryRunAndNothingElse) {
  TestVault v;
  const auto vault = v.open();
  std::vector<format::RunRecord> runs;
  for (std::uint32_t i = 0; i < 5; ++i) runs.push_back(put_run(v, i, i * 3000, i * 3000 + 1 + i * 700));
  ChunkIndex index(**vault, runs, {}, {});
  for (std::uint32_t n = 0; n < 15'000; ++n) {
    const auto found = index.find(entry(n).prefix, 1000);
    ASSERT_EQ(found.has_value(), n % 3000 < 1 + n / 3000 * 700) << n;
    EXPECT_TRUE(!found || *found == entry(n)) << n;
  }
  EXPECT_TRUE(index.notices().empty());
}

TEST(ChunkIndex, AnEntryOfAnotherLengthIsAboutAnotherChunk) {
  TestVault v;
  const auto vault = v.open();
  ChunkIndex index(**vault, {put_run(v, 0, 0, 10)}, {}, {});
  EXPECT_TRUE(index.find(entry(3).prefix, 1000));
  EXPECT_FALSE(index.find(entry(3).prefix, 999));
  index.add_recent(entry(100, 50));
  EXPECT_TRUE(index.find(entry(100).prefix, 50));
  EXPECT_FALSE(index.find(entry(100).prefix, 51));
}

TEST(ChunkIndex, ARunThatTheCommitDoesNotVouchForIsNotUsed) {
  TestVault v;
  const auto vault = v.open();
  const format::RunRecord record = put_run(v, 0, 0, 2000);
  const std::string object = format::index_object({0, 1}, 0);
  const Bytes good = v.bytes_of(object);
  // Whoever has the index key can seal a run of the same name and size; it is not the one that was signed for.
  ASSERT_OK(v.store.remove(object));
  const format::RunRecord forged = put_run(v, 0, 0, 2000);
  ASSERT_EQ(forged.bytes, record.bytes);
  ASSERT_NE(forged.hash, record.hash);
  const Bytes other = v.bytes_of(object);
  const auto is_used = [&] {
    ChunkIndex index(**vault, {record}, {}, {});
    std::size_t found = 0;
    for (std::uint32_t n = 0; n < 2000; ++n) found += index.find(entry(n).prefix, 1000).has_value();
    EXPECT_EQ(found < 2000, !index.notices().empty());
    return found;
  };
  EXPECT_EQ(is_used(), 0u);
  // Nor with its pages under the true head.
  const std::size_t head = format::kIndexHeaderBytes + 32 * 7;
  Bytes mixed = other;
  std::ranges::copy(ByteSpan(good).first(head), mixed.begin());
  v.replace(object, mixed);
  EXPECT_EQ(is_used(), 0u);
  // A single page, met during the lookups.
  mixed = good;
  std::ranges::copy(ByteSpan(other).last(100), mixed.end() - 100);
  v.replace(object, mixed);
  EXPECT_LT(is_used(), 2000u);
  v.replace(object, good);
  EXPECT_EQ(is_used(), 2000u);
}

TEST(ChunkIndex, BeyondItsBudgetOnlyTheNewestRunsAreConsulted) {
  TestVault v;
  const auto vault = v.open();
  std::vector<format::RunRecord> runs;
  for (std::uint32_t i = 0; i < 20; ++i) runs.push_back(put_run(v, i, i * 100, i * 100 + 100));
  const std::uint64_t one = IndexRun::memory_of(runs[0]);
  ChunkIndex index(**vault, runs, {}, {.filter_bytes = 5 * one, .page_bytes = 100'000});
  std::vector<std::uint32_t> consulted;
  for (std::uint32_t i = 0; i < 20; ++i)
    if (index.find(entry(i * 100).prefix, 1000)) consulted.push_back(i);
  EXPECT_EQ(consulted, (std::vector<std::uint32_t>{15, 16, 17, 18, 19}));
  EXPECT_TRUE(index.notices().empty());   // a missed duplicate is no trouble
}

TEST(ChunkIndex, MergesManySmallRunsIntoOne) {
  TestVault v;
  const auto vault = v.open();
  std::vector<format::RunRecord> runs;
  for (std::uint32_t i = 0; i < 9; ++i) runs.push_back(put_run(v, i, i * 100, i * 100 + 120));   // neighbours overlap
  ChunkIndex index(**vault, runs, {.named = {{{0, 1}, format::PackKind::kData, 5}}}, {});
  ASSERT_OK(index.add_stored({entry(5000)}, {0, 2}));
  ASSERT_OK(index.flush({0, 2}));
  EXPECT_EQ(index.superseded().size(), 9u);
  ASSERT_EQ(index.written().size(), 1u);
  EXPECT_EQ(index.written()[0].entries, 920u + 1 - 100);   // what lay in the lost pack is not handed on
  ChunkIndex next(**vault, index.written(), {}, {});
  EXPECT_TRUE(next.find(entry(5000).prefix, 1000));
  EXPECT_TRUE(next.find(entry(919).prefix, 1000));
  EXPECT_FALSE(next.find(entry(555).prefix, 1000));
}

}  // namespace
}  // namespace coppice::vault
