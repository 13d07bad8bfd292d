// Goal: what a dead session had acknowledged is adopted whole, once, by one session, whenever the others died.
#include "journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "support/result.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using format::Role;
using testing::Files;
using testing::noise;
using testing::TempDirectory;
using testing::TestVault;
namespace fs = std::filesystem;

JournalRecord record(std::uint32_t n, std::uint32_t chunks = 3) {
  JournalRecord r{.pack = {{{0, 4}, format::PackKind::kData, n}, 1000 + n, crypto::sha256(as_bytes(std::to_string(n)))}};
  for (std::uint32_t i = 0; i < chunks; ++i) {
    format::IndexEntry entry{.birth = {r.pack.name, static_cast<std::uint16_t>(i % 128)}, .index = static_cast<std::uint16_t>(i / 128), .length = 1 + i};
    entry.prefix[0] = std::byte(n);
    entry.prefix[1] = std::byte(i);
    r.chunks.push_back(entry);
  }
  return r;
}

std::vector<std::uint32_t> numbers(Journal& journal) {
  std::vector<std::uint32_t> all;
  for (;;) {
    const auto next = journal.next();
    EXPECT_OK(next);
    if (!next || !*next) return all;
    EXPECT_EQ((*next)->chunks, record((*next)->pack.name.sequence, static_cast<std::uint32_t>((*next)->chunks.size())).chunks);
    all.push_back((*next)->pack.name.sequence);
  }
}

const format::MemberId kWriter{std::byte{7}};

std::vector<Journal> orphans(const TempDirectory& directory) {
  auto found = Journal::orphans(directory.path(), kWriter);
  EXPECT_OK(found);
  return std::move(*found);
}

TEST(Journal, GivesBackItsRecordsOneByOne) {
  TempDirectory directory;
  {
    auto journal = Journal::create(directory.path(), kWriter, {0, 4});
    ASSERT_OK(journal);
    for (const std::uint32_t n : {1u, 2u, 5u}) ASSERT_OK(journal->append(record(n, n * 400)));
    EXPECT_TRUE(orphans(directory).empty());   // its session lives
  }
  auto dead = orphans(directory);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(numbers(dead[0]), (std::vector<std::uint32_t>{1, 2, 5}));
  dead[0].rewind();
  EXPECT_EQ(numbers(dead[0]).size(), 3u);
  dead[0].remove();
  dead.clear();
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(Journal, ATornOrDamagedRecordEndsTheReading) {
  TempDirectory directory;
  {
    auto journal = Journal::create(directory.path(), kWriter, {0, 4});
    ASSERT_OK(journal);
    for (const std::uint32_t n : {1u, 2u, 3u}) ASSERT_OK(journal->append(record(n)));
  }
  const fs::path file = fs::directory_iterator(directory.path())->path();
  const auto whole = fs::file_size(file), one = whole / 3;
  for (std::uintmax_t size = whole; size + 1 > 0 && size <= whole; size -= 7) {
    fs::resize_file(file, size);
    auto dead = orphans(directory);
    ASSERT_EQ(dead.size(), 1u);
    EXPECT_EQ(numbers(dead[0]).size(), size / one) << size;
    if (size < 7) break;
  }
  fs::remove(file);
  {
    auto journal = Journal::create(directory.path(), kWriter, {0, 4});
    for (const std::uint32_t n : {1u, 2u, 3u}) ASSERT_OK(journal->append(record(n)));
  }
  std::fstream damaged(file, std::ios::in | std::ios::out | std::ios::binary);
  damaged.seekp(static_cast<std::streamoff>(one + one / 2));
  damaged.put('\x5a');
  damaged.close();
  auto dead = orphans(directory);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(numbers(dead[0]), std::vector<std::uint32_t>{1});
}

TEST(Journal, OfTwoAdoptersOneGetsIt) {
  TempDirectory directory;
  { ASSERT_OK(Journal::create(directory.path(), kWriter, {0, 4})); }
  auto first = orphans(directory);
  EXPECT_EQ(first.size(), 1u);
  EXPECT_TRUE(orphans(directory).empty());
  first.clear();   // the adopter died: the next one may
  EXPECT_EQ(orphans(directory).size(), 1u);
  EXPECT_TRUE(Journal::orphans(directory.path(), format::MemberId{std::byte{8}})->empty());   // another writer's are not its business
}

TEST(Journal, WhatASessionLeftThatDiedBeforeItsFirstRecordIsSwept) {
  TempDirectory directory;
  std::ofstream(directory / "new-journal-0.9") << "";
  EXPECT_TRUE(orphans(directory).empty());
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

// Whoever looks for orphans may be stopped with the lock of what shall become a journal.
TEST(Journal, IsMadeWhileSomebodyHoldsItsTemporary) {
  TempDirectory directory;
  const platform::Fd held(::open((directory / "new-journal-0.9.0").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(held.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_OK(Journal::create(directory.path(), kWriter, {0, 9}));
}

// ---- adoption, by sessions that die at different moments ----

struct Host {
  TestVault v;
  TempDirectory state;
  std::unique_ptr<Vault> vault = std::move(*v.open(Role::kReader, state.path()));
  const Files files = {{"a/one", noise(1, 300'000)}, {"a/two", noise(2, 1'500'000)}, {"b", noise(3, 700'000)}};

  std::unique_ptr<Writer> begin() {
    auto writer = Writer::begin(*vault, "host /", {.workers = 1, .memory_bytes = 64u << 20});
    EXPECT_OK(writer);
    return std::move(*writer);
  }
  void store_and_die() {
    auto writer = begin();
    v.put_directory(*writer, files, 1000);
    EXPECT_OK(writer->suspend());
  }
  Snapshot commit(Writer& writer) {
    format::SnapshotBody body{.host = "host", .sources = {"/"}, .root = v.put_directory(writer, files, 1000)};
    auto snapshot = writer.commit(body);
    EXPECT_OK(snapshot);
    return std::move(*snapshot);
  }
  void expect_stored_once(const Snapshot& snapshot) {
    std::set<format::PackName> names;
    for (const format::PackRecord& pack : v.packs_of(snapshot)) EXPECT_TRUE(names.insert(pack.name).second) << format::pack_object(pack.name);
    EXPECT_EQ(names.size(), v.objects("packs/").size() + v.objects("trees/").size());
    const auto back = v.read_back(snapshot);
    ASSERT_OK(back);
    EXPECT_EQ(*back, files);
  }
  std::vector<std::string> journals() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(state.path()))
      if (entry.path().filename().string().starts_with("journal-")) names.push_back(entry.path().string());
    return names;
  }
};

TEST(Adoption, WhatADeadSessionStoredIsNotStoredAgain) {
  Host host;
  host.store_and_die();
  auto writer = host.begin();
  EXPECT_GT(writer->stats().bytes_adopted, 2'000'000u);
  host.expect_stored_once(host.commit(*writer));
  EXPECT_TRUE(host.journals().empty());
}

TEST(Adoption, SurvivesAdoptersThatDie) {
  Host host;
  host.store_and_die();
  for (int i = 0; i < 3; ++i) (void)host.begin();   // each adopts and dies
  EXPECT_EQ(host.journals().size(), 4u);
  host.expect_stored_once(host.commit(*host.begin()));
  EXPECT_TRUE(host.journals().empty());
}

TEST(Adoption, PacksThatACommitNamesAlreadyAreNotAdopted) {
  Host host;
  host.store_and_die();
  std::map<std::string, std::string> kept;   // the journals of a session that dies between its commit and their removal
  {
    auto writer = host.begin();
    for (const std::string& path : host.journals()) {
      std::ifstream in(path, std::ios::binary);
      kept[path] = {std::istreambuf_iterator<char>(in), {}};
    }
    host.expect_stored_once(host.commit(*writer));
  }
  ASSERT_EQ(kept.size(), 2u);
  for (const auto& [path, bytes] : kept) std::ofstream(path, std::ios::binary) << bytes;
  auto writer = host.begin();
  EXPECT_EQ(writer->stats().bytes_adopted, 0u);
  const Snapshot next = host.commit(*writer);
  EXPECT_EQ(next.commit.packs.packs, 0u);
  EXPECT_TRUE(host.journals().empty());
}

}  // namespace
}  // namespace coppice::vault
