#include "storage/directory_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::storage {
namespace {

namespace fs = std::filesystem;

class DirectoryStoreTest : public ::testing::Test {
 protected:
  std::set<std::string> listed() {
    std::set<std::string> names;
    EXPECT_OK(store_->list("", [&](const ObjectInfo& info) -> Result<> {
      names.insert(info.name);
      return {};
    }));
    return names;
  }
  // Every file that is really there, temporaries too.
  std::set<std::string> files() {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root_))
      if (!entry.is_directory()) names.insert(fs::relative(entry.path(), root_).string());
    return names;
  }
  std::string at(std::string_view name) { return root_ + "/" + std::string(name); }

  testing::TempDirectory temp_;
  const std::string root_ = temp_ / "vault";
  std::unique_ptr<ObjectStore> store_ = create_directory_store(root_).value();
};

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST_F(DirectoryStoreTest, CreateAndOpenTellTheirCasesApart) {
  EXPECT_OK(create_directory_store(root_));  // still empty
  ASSERT_OK(store_->put("a", as_bytes("x")));
  EXPECT_FAILS(create_directory_store(root_), kConflict);
  const auto again = open_directory_store(root_);
  ASSERT_OK(again);
  EXPECT_EQ(as_text((*again)->get("a", 10).value()), "x");
  EXPECT_FAILS(open_directory_store(temp_ / "nowhere"), kNotFound);
  EXPECT_FAILS(create_directory_store(temp_ / "no/where"), kNotFound);
  fs::create_directories(temp_ / "disk/lost+found");
  EXPECT_OK(create_directory_store(temp_ / "disk"));
}

TEST_F(DirectoryStoreTest, OnlyTheOwnerMayLookAndNobodyMayWrite) {
  ASSERT_OK(store_->put("packs/0/1", as_bytes("x")));
  EXPECT_EQ(mode_of(root_), 0700u);
  EXPECT_EQ(mode_of(at("packs/0")), 0700u);
  EXPECT_EQ(mode_of(at("packs/0/1")), 0400u);
}

TEST_F(DirectoryStoreTest, NothingButTheObjectsRemains) {
  ASSERT_OK(store_->put("packs/0/1", as_bytes("x")));
  EXPECT_FAILS(store_->put("packs/0/1", as_bytes("y")), kConflict);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) (void)store_->put("race/" + std::to_string(i), as_bytes("z"));
      });
  }
  EXPECT_EQ(files(), listed());
  EXPECT_EQ(files().size(), 11u);
}

TEST_F(DirectoryStoreTest, ForeignFilesAreInvisible) {
  ASSERT_OK(store_->put("packs/1", as_bytes("x")));
  for (const char* name : {".hidden", "with space", "packs/.nfs0001", "plus+"}) std::ofstream(at(name)) << "y";
  fs::create_directories(at("lost+found/inner"));
  std::ofstream(at("lost+found/inner/file")) << "y";
  fs::create_directories(at(".snapshots"));
  std::ofstream(at(".snapshots/file")) << "y";
  EXPECT_EQ(listed(), std::set<std::string>{"packs/1"});
}

TEST_F(DirectoryStoreTest, TemporariesAreInvisibleAndSweptWhenTheirWriterIsGone) {
  ASSERT_OK(store_->put("packs/1", as_bytes("x")));
  std::ofstream(at("packs/.tmp-1-dead")) << "half";
  const int alive = open(at("packs/.tmp-2-alive").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
  ASSERT_GE(alive, 0);
  ASSERT_EQ(flock(alive, LOCK_EX), 0);
  EXPECT_EQ(listed(), std::set<std::string>{"packs/1"});
  EXPECT_EQ(files(), (std::set<std::string>{"packs/.tmp-2-alive", "packs/1"}));
  close(alive);
  (void)listed();
  EXPECT_EQ(files(), std::set<std::string>{"packs/1"});
}

TEST_F(DirectoryStoreTest, PutsSucceedWhileAnotherStoreListsAndSweeps) {
  std::atomic<bool> done{false};
  std::jthread sweeper([&] {
    const auto other = open_directory_store(root_);
    ASSERT_OK(other);
    while (!done) EXPECT_OK((*other)->list("", [](const ObjectInfo&) -> Result<> { return {}; }));
  });
  for (int i = 0; i < 200; ++i) EXPECT_OK(store_->put("packs/" + std::to_string(i), as_bytes("x")));
  done = true;
}

TEST_F(DirectoryStoreTest, ASymbolicLinkIsNeverFollowed) {
  fs::create_directories(temp_ / "outside");
  std::ofstream(temp_ / "outside/secret") << "secret";
  fs::create_directory_symlink(temp_ / "outside", at("packs"));
  fs::create_symlink(temp_ / "outside/secret", at("file"));
  EXPECT_FAILS(store_->put("packs/new", as_bytes("x")), kDenied);
  EXPECT_FAILS(store_->get("packs/secret", 100), kDenied);
  EXPECT_FAILS(store_->size("packs/secret"), kDenied);
  EXPECT_FAILS(store_->remove("packs/secret"), kDenied);
  EXPECT_FAILS(store_->list("packs/", [](const ObjectInfo&) -> Result<> { return {}; }), kDenied);
  EXPECT_FAILS(store_->get("file", 100), kDenied);
  EXPECT_FAILS(store_->put("file", as_bytes("x")), kConflict);
  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(std::distance(fs::directory_iterator(temp_ / "outside"), {}), 1);
}

TEST_F(DirectoryStoreTest, ANameCannotBeBothObjectAndDirectory) {
  ASSERT_OK(store_->put("a", as_bytes("x")));
  EXPECT_FAILS(store_->put("a/b", as_bytes("x")), kInvalid);
  ASSERT_OK(store_->put("c/d", as_bytes("x")));
  EXPECT_FAILS(store_->put("c", as_bytes("x")), kInvalid);
  EXPECT_FAILS(store_->get("c", 10), kNotFound);
}

TEST_F(DirectoryStoreTest, APlantedFifoDoesNotHangAReader) {
  ASSERT_EQ(mkfifo(at("fifo").c_str(), 0600), 0);
  EXPECT_FAILS(store_->get("fifo", 10), kDenied);
  EXPECT_TRUE(listed().empty());
}

// Runs `body` as an ordinary user as far as files go; for root, whom permissions do not stop. Of this thread only.
template <class Body>
void as_ordinary_user(Body body) {
  const bool is_root = geteuid() == 0;
  if (is_root) setfsuid(65534);
  body();
  if (is_root) setfsuid(0);
}

TEST_F(DirectoryStoreTest, AReadOnlyDirectoryDeniesPutsAndIsStillRead) {
  ASSERT_OK(store_->put("packs/1", as_bytes("x")));
  fs::permissions(temp_.path(), fs::perms(0755));
  fs::permissions(root_, fs::perms(0555));
  fs::permissions(at("packs"), fs::perms(0555));
  fs::permissions(at("packs/1"), fs::perms(0444));
  as_ordinary_user([&] {
    EXPECT_FAILS(store_->put("packs/2", as_bytes("x")), kDenied);
    EXPECT_FAILS(store_->put("trees/2", as_bytes("x")), kDenied);
    EXPECT_FAILS(store_->remove("packs/1"), kDenied);
    const auto reader = open_directory_store(root_);
    ASSERT_OK(reader);
    EXPECT_EQ(as_text((*reader)->get("packs/1", 10).value()), "x");
  });
  fs::permissions(root_, fs::perms(0700));
  fs::permissions(at("packs"), fs::perms(0700));
}

TEST_F(DirectoryStoreTest, AnUnreadableObjectIsDeniedNotAbsent) {
  if (geteuid() != 0) GTEST_SKIP() << "needs another user's object";
  ASSERT_OK(store_->put("packs/1", as_bytes("x")));
  as_ordinary_user([&] { EXPECT_FAILS(store_->get("packs/1", 10), kDenied); });
}

TEST_F(DirectoryStoreTest, AFailedWriteLeavesNothing) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto put = store_->put("packs/1", Bytes(100'000, std::byte{1}));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(put);
  EXPECT_TRUE(files().empty());
  EXPECT_OK(store_->put("packs/1", as_bytes("x")));
}

TEST(DirectoryStoreOnSmallDisk, AFullDiskIsExhaustedAndLeavesNothing) {
  const testing::TempDirectory temp;
  if (mount("tmpfs", temp.path().c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "may not mount a file system here";
  {
    const auto store = create_directory_store(temp.path());
    ASSERT_OK(store);
    EXPECT_LE((*store)->free_bytes().value(), 1u << 20);
    ASSERT_OK((*store)->put("packs/1", Bytes(300'000, std::byte{1})));
    EXPECT_FAILS((*store)->put("packs/2", Bytes(2'000'000, std::byte{1})), kExhausted);
    EXPECT_EQ(std::distance(fs::directory_iterator(temp / "packs"), {}), 1);
    EXPECT_OK((*store)->put("packs/2", Bytes(300'000, std::byte{1})));
  }
  EXPECT_EQ(umount(temp.path().c_str()), 0);
}

}  // namespace
}  // namespace coppice::storage
