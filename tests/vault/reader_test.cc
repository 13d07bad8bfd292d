// Goal: what a reader gives out is what was put in; whatever else lies in the store, it says what is wrong with which
// object.
#include "vault/reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "support/result.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using format::Role;
using testing::Files;
using testing::noise;
using testing::TestVault;

// Counts the calls that reach the store.
class CountingStore : public storage::ObjectStore {
 public:
  explicit CountingStore(storage::ObjectStore& inner) : inner_(inner) {}
  Result<> put(std::string_view name, ByteSpan bytes) override { return inner_.put(name, bytes); }
  Result<Bytes> get(std::string_view name, std::uint64_t max) override { return inner_.get(name, max); }
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override {
    ++ranges;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return inner_.get_range(name, offset, into);
  }
  Result<std::uint64_t> size(std::string_view name) override { return inner_.size(name); }
  Result<> list(std::string_view prefix, const std::function<Result<>(const storage::ObjectInfo&)>& each) override {
    return inner_.list(prefix, each);
  }
  Result<> remove(std::string_view name) override { return inner_.remove(name); }
  Result<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }
  std::string describe() const override { return inner_.describe(); }
  std::atomic<int> ranges{0};

 private:
  storage::ObjectStore& inner_;
};

// Everything below the root, as the files were given.
Result<Files> read_all(ChunkReader& reader, const std::optional<format::ChunkRef>& node,
                       const std::string& prefix = "") {
  Files files;
  if (!node) return files;
  TRY(read_directory(reader, *node,
                     [&](const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) -> Result<> {
                       if (entry.type == format::EntryType::kDirectory) {
                         files.merge(TRY(read_all(reader, entry.child, prefix + entry.name + "/")));
                         return {};
                       }
                       std::string& content = files[prefix + entry.name];
                       return read_slices(reader, entry, chunks,
                                          [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
                                            if (!ref) {
                                              content.append(slice.length, '\0');
                                              return {};
                                            }
                                            const auto chunk = TRY(reader.chunk(*ref));
                                            content += as_text(chunk.bytes.subspan(slice.offset, slice.length));
                                            return {};
                                          });
                     }));
  return files;
}

Files some_files(int count) {
  Files files;
  for (int i = 0; i < count; ++i)
    files[fmt::format("d{}/e/f{:03}", i % 7, i)] =
        noise(static_cast<std::uint64_t>(i), 1000 + static_cast<std::size_t>(i) * 37);
  return files;
}

TEST(ChunkReader, GivesBackWhatWasPut) {
  TestVault v;
  const Files files = some_files(100);
  const Snapshot snapshot = v.back_up(files);
  auto vault = v.open();
  for (const std::uint64_t cache : {0ull, 1ull << 20, 256ull << 20}) {
    auto reader = ChunkReader::create(**vault, cache);
    ASSERT_OK(reader);
    const auto read = read_all(**reader, snapshot.body->root);
    ASSERT_OK(read);
    EXPECT_EQ(*read, files);
  }
}

TEST(ChunkReader, WantsAReadersKey) {
  TestVault v;
  for (const Role role : {Role::kWriter, Role::kKeeper})
    EXPECT_FAILS(ChunkReader::create(**v.open(role), 1 << 20), kDenied);
}

TEST(ChunkReader, ThreadsThatWantOneBlockReadItOnce) {
  TestVault v;
  const Snapshot snapshot = v.back_up({{"a", noise(1, 300000)}});
  CountingStore counting(v.store);
  auto vault = Vault::open(counting, v.bundle(Role::kReader), "", v.clock, v.entropy);
  ASSERT_OK(vault);
  auto reader = ChunkReader::create(**vault, 64 << 20);
  const format::ChunkRef root = *snapshot.body->root;
  counting.ranges = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_OK((*reader)->block(root.birth)); });
  }
  EXPECT_EQ(counting.ranges, 2);  // the directory, the block
  EXPECT_OK((*reader)->block(root.birth));
  EXPECT_EQ(counting.ranges, 2);
  EXPECT_OK((*reader)->block_uncached(root.birth));
  EXPECT_EQ(counting.ranges, 3);
}

// For every byte of every pack: flipped, it yields an error of the right kind that names the pack, or (outside of what
// is read) nothing.
TEST(ChunkReader, AFlippedByteIsNeverWrongData) {
  TestVault v;
  const Files files = {{"a", "hello hello hello hello"}, {"b/c", noise(3, 500)}};
  const Snapshot snapshot = v.back_up(files);
  auto vault = v.open();
  for (const char* prefix : {"packs/", "trees/"}) {
    for (const std::string& object : v.objects(prefix)) {
      const Bytes good = v.bytes_of(object);
      for (std::size_t at = 0; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= std::byte{0x10};
        v.replace(object, bad);
        auto reader = ChunkReader::create(**vault, 1 << 20);
        const auto read = read_all(**reader, snapshot.body->root);
        ASSERT_FALSE(read.has_value()) << object << " byte " << at;
        EXPECT_TRUE(read.error().kind() == ErrorKind::kCorrupt || read.error().kind() == ErrorKind::kUnauthentic ||
                    read.error().kind() == ErrorKind::kUnsupported || read.error().kind() == ErrorKind::kDenied)
            << at << ": " << read.error().message();
        EXPECT_NE(read.error().message().find(object), std::string::npos) << read.error().message();
      }
      v.replace(object, good);
    }
  }
}

TEST(ChunkReader, NamesTheBlockWhoseChecksumFails) {
  TestVault v;
  const Snapshot snapshot = v.back_up({{"a", noise(1, 5000)}});
  const std::string pack = v.objects("packs/").front();
  ASSERT_OK(v.store.tamper(pack, [](Bytes& bytes) { bytes[3000] ^= std::byte{1}; }));
  auto vault = v.open();
  auto reader = ChunkReader::create(**vault, 1 << 20);
  const auto read = read_all(**reader, snapshot.body->root);
  EXPECT_FAILS(read, kCorrupt);
  EXPECT_EQ(read.error().message(), pack + " block 0: the checksum of the ciphertext does not match");
}

TEST(ChunkReader, TruncatedMissingAndSwappedPacks) {
  TestVault v;
  const Snapshot one = v.back_up({{"a", noise(1, 5000)}}), two = v.back_up({{"a", noise(2, 5000)}});
  const auto packs = v.objects("packs/");
  ASSERT_EQ(packs.size(), 2u);
  const Bytes first = v.bytes_of(packs[0]), second = v.bytes_of(packs[1]);
  auto vault = v.open();
  const auto read = [&] { return read_all(**ChunkReader::create(**vault, 1 << 20), one.body->root); };
  ASSERT_OK(read());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{47}, first.size() / 2, first.size() - 1}) {
    v.replace(packs[0], Bytes(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_FAILS(read(), kCorrupt) << size;
  }
  v.replace(packs[0], second);
  EXPECT_FAILS(read(), kCorrupt);
  EXPECT_OK(v.store.remove(packs[0]));
  EXPECT_FAILS(read(), kNotFound);
}

TEST(ChunkReader, AWrongReferenceIsCorrupt) {
  TestVault v;
  const Snapshot snapshot = v.back_up({{"a", "1"}, {"b/c", "2"}});
  auto vault = v.open();
  auto reader = ChunkReader::create(**vault, 1 << 20);
  const format::ChunkRef good = *snapshot.body->root;
  format::ChunkRef bad = good;
  bad.birth.ordinal = 99;
  EXPECT_FAILS((*reader)->chunk(bad), kCorrupt);
  bad = good;
  bad.index = 999;
  EXPECT_FAILS((*reader)->chunk(bad), kCorrupt);
  bad = good;
  bad.length += 1;
  EXPECT_FAILS((*reader)->chunk(bad), kCorrupt);
  bad = good;
  bad.id.bytes[0] ^= std::byte{1};
  EXPECT_FAILS((*reader)->chunk(bad), kCorrupt);
  bad = good;
  bad.birth.pack.sequence = 4711;
  EXPECT_FAILS((*reader)->chunk(bad), kNotFound);
  EXPECT_OK((*reader)->offset_of(good.birth));
}

TEST(TreeReader, WalksAHugeDirectoryOverItsPages) {
  TestVault v;
  Files files;
  for (int i = 0; i < 500; ++i) files[fmt::format("dir/{:04}", i)] = i % 3 ? "" : "x";
  const Snapshot snapshot = v.back_up(files, Role::kReader, "host /", 7);
  auto vault = v.open();
  auto reader = ChunkReader::create(**vault, 1 << 20);
  EXPECT_EQ(*read_all(**reader, snapshot.body->root), files);
  for (int i = 0; i < 500; ++i) {
    const auto found = find_entry(**reader, *snapshot.body, fmt::format("/dir/{:04}", i));
    ASSERT_OK(found);
    EXPECT_EQ(found->entry.name, fmt::format("{:04}", i));
  }
  EXPECT_FAILS(find_entry(**reader, *snapshot.body, "/dir/0004x"), kNotFound);
  EXPECT_FAILS(find_entry(**reader, *snapshot.body, "/dir/ "), kNotFound);
  EXPECT_FAILS(find_entry(**reader, *snapshot.body, "/dir/9"), kNotFound);
}

TEST(TreeReader, FindsEntriesByPath) {
  TestVault v;
  const Snapshot snapshot = v.back_up({{"etc/fstab", "x"}, {"etc/ssh/key", "y"}});
  auto vault = v.open();
  auto reader = ChunkReader::create(**vault, 1 << 20);
  for (const char* root : {"", "/", "//"}) {
    const auto found = find_entry(**reader, *snapshot.body, root);
    ASSERT_OK(found);
    EXPECT_EQ(found->entry.type, format::EntryType::kDirectory);
    EXPECT_EQ(found->entry.name, "");
    EXPECT_EQ(found->entry.child, snapshot.body->root);
  }
  EXPECT_EQ(find_entry(**reader, *snapshot.body, "/etc/ssh/key")->entry.size, 1u);
  EXPECT_EQ(find_entry(**reader, *snapshot.body, "etc/ssh/")->entry.name, "ssh");
  const auto missing = find_entry(**reader, *snapshot.body, "/etc/nothing/here");
  EXPECT_FAILS(missing, kNotFound);
  EXPECT_EQ(missing.error().message(), "/etc/nothing is not in this snapshot");
  const auto no_directory = find_entry(**reader, *snapshot.body, "/etc/fstab/x");
  EXPECT_FAILS(no_directory, kNotFound);
}

// Trees that a writer with a valid key, and bad intent, might make.
class HostileTree : public ::testing::Test {
 protected:
  void SetUp() override {
    vault = *v.open();
    writer = *Writer::begin(*vault, "x", {.workers = 1, .memory_bytes = 64 << 20});
  }
  format::ChunkRef leaf(std::initializer_list<const char*> names) {
    format::LeafBuilder builder;
    for (const char* name : names) builder.add_entry({.name = name});
    return *writer->put_tree(builder.finish());
  }
  format::ChunkRef index(const std::vector<format::IndexPageEntry>& pages) {
    return *writer->put_tree(format::encode_index_page(pages));
  }
  Result<Files> walk(const format::ChunkRef& root) {
    format::SnapshotBody body{.host = "h", .sources = {"/"}, .root = root};
    EXPECT_OK(writer->commit(body));
    auto reader = ChunkReader::create(*vault, 1 << 20);
    return read_all(**reader, root);
  }
  TestVault v;
  std::unique_ptr<Vault> vault;
  std::unique_ptr<Writer> writer;
};

TEST_F(HostileTree, PagesOutOfOrder) {
  EXPECT_FAILS(walk(index({{"a", leaf({"a", "m"})}, {"b", leaf({"b", "c"})}})), kCorrupt);
}
TEST_F(HostileTree, AnIndexThatLiesAboutAName) {
  EXPECT_FAILS(walk(index({{"a", leaf({"a"})}, {"c", leaf({"d"})}})), kCorrupt);
}
TEST_F(HostileTree, AnEmptyPageBelowAnIndex) {
  EXPECT_FAILS(walk(index({{"a", leaf({"a"})}, {"c", leaf({})}})), kCorrupt);
}
TEST_F(HostileTree, IndexesNestedTooDeep) {
  format::ChunkRef page = leaf({"a"});
  for (int i = 0; i < 5; ++i) page = index({{"a", page}});
  EXPECT_FAILS(walk(page), kCorrupt);
}
TEST_F(HostileTree, AGoodIndexPasses) {
  EXPECT_EQ(walk(index({{"a", leaf({"a", "b"})}, {"c", leaf({"c"})}}))->size(), 3u);
}

}  // namespace
}  // namespace coppice::vault
