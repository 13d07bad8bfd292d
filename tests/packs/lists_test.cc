// Goal: a list of packs of any length comes back as it was, and no page can be exchanged, lost or damaged unnoticed.
#include "packs/lists.h"

#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "storage/memory_store.h"
#include "support/result.h"

namespace coppice::packs {
namespace {

format::PackRecord record(std::uint32_t n) {
  return {{{0, n % 3}, n % 2 ? format::PackKind::kTree : format::PackKind::kData, n}, 1000 + n, crypto::sha256(as_bytes(std::to_string(n)))};
}

Result<format::PackList> write(storage::ObjectStore& store, std::uint32_t count) {
  PackListWriter writer(store);
  for (std::uint32_t i = 0; i < count; ++i) TRY(writer.add(record(count - 1 - i)));   // in no good order
  return writer.finish();
}

Result<std::vector<format::PackRecord>> read(storage::ObjectStore& store, const format::PackList& list) {
  std::vector<format::PackRecord> all;
  TRY(read_pack_list(store, list, [&](const std::vector<format::PackRecord>& records) -> Result<> {
    all.insert(all.end(), records.begin(), records.end());
    return {};
  }));
  std::ranges::sort(all, {}, [](const format::PackRecord& r) { return r.name.sequence; });
  return all;
}

TEST(PackList, ComesBackWhateverItsLength) {
  for (const std::uint32_t count : {0u, 1u, 4095u, 4096u, 4097u, 70'000u}) {
    storage::MemoryStore store;
    const auto list = write(store, count);
    ASSERT_OK(list);
    EXPECT_EQ(list->packs, count);
    EXPECT_EQ(list->pages.size(), (count + format::kPackPageRecordsMax - 1) / format::kPackPageRecordsMax);
    const auto back = read(store, *list);
    ASSERT_OK(back);
    ASSERT_EQ(back->size(), count);
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ((*back)[i], record(i)) << i;
  }
}

TEST(PackList, WithoutPacksThereIsNoPage) {
  storage::MemoryStore store;
  EXPECT_TRUE(write(store, 0)->pages.empty());
  std::size_t objects = 0;
  ASSERT_OK(store.list("", [&](const storage::ObjectInfo&) -> Result<> {
    ++objects;
    return {};
  }));
  EXPECT_EQ(objects, 0u);
}

TEST(PackList, ADamagedOrLostPageIsNamed) {
  storage::MemoryStore store;
  const auto list = write(store, 5000);
  ASSERT_OK(list);
  const std::string page = format::list_object(list->pages[1]);
  ASSERT_OK(store.tamper(page, [](Bytes& bytes) { bytes[40] ^= std::byte{1}; }));
  const auto damaged = read(store, *list);
  EXPECT_FAILS(damaged, kCorrupt);
  EXPECT_NE(damaged.error().message().find(page), std::string::npos);
  // Nor is a damaged page taken for the one that a writer wants to store.
  const auto again = write(store, 5000);
  EXPECT_FAILS(again, kConflict);
  ASSERT_OK(store.remove(page));
  EXPECT_FAILS(read(store, *list), kNotFound);
  EXPECT_OK(write(store, 5000));
  EXPECT_OK(read(store, *list));
}

TEST(PackList, SumsThatDisagreeAreCorrupt) {
  storage::MemoryStore store;
  auto list = write(store, 10);
  ASSERT_OK(list);
  ++list->packs;
  EXPECT_FAILS(read(store, *list), kCorrupt);
  --list->packs;
  ++list->bytes;
  EXPECT_FAILS(read(store, *list), kCorrupt);
}

TEST(ListPage, PutAgainIsConfirmedAndADamagedOneIsToldWithTheWayOut) {
  storage::MemoryStore store;
  const Bytes page = format::encode_reference_root({});
  const auto root = put_list_page(store, page);
  ASSERT_OK(root);
  ASSERT_OK(put_list_page(store, page));

  const std::string object = format::list_object(*root);
  Bytes damaged = page;
  damaged.back() ^= std::byte{1};
  ASSERT_OK(store.remove(object));
  ASSERT_OK(store.put(object, damaged));
  const auto refused = put_list_page(store, page);
  EXPECT_FAILS(refused, kConflict);
  EXPECT_NE(refused.error().message().find(object), std::string::npos);
  EXPECT_NE(refused.error().message().find("Move it out of the vault"), std::string::npos);
}

TEST(ListPage, IsNoPageOfAnotherKind) {
  storage::MemoryStore store;
  const auto list = write(store, 10);
  ASSERT_OK(list);
  EXPECT_FAILS(read_reference_list(store, list->pages[0], [](const format::ReferenceSet&) -> Result<> { return {}; }), kCorrupt);
  const auto root = put_list_page(store, format::encode_reference_root({}));
  ASSERT_OK(root);
  EXPECT_FAILS(read_pack_page(store, *root), kCorrupt);
}

}  // namespace
}  // namespace coppice::packs
