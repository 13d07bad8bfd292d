// The judges themselves: the tree maker gives the same tree for the same seed, and the comparer sees each kind of
// difference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/temp_directory.h"
#include "support/tree_compare.h"
#include "support/tree_maker.h"

namespace coppice::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(TreeTools, SameSeedSameTree) {
  TempDirectory temp;
  make_tree(1, temp / "a");
  make_tree(1, temp / "b");
  TreeComparer comparer(CompareOptions{});
  EXPECT_THAT(comparer.compare(temp / "a", temp / "b"), IsEmpty());
  EXPECT_GT(comparer.objects(), 150u);
  make_tree(2, temp / "c", {.directories = 3, .deep = false});
  EXPECT_FALSE(compare_trees(temp / "a", temp / "c").empty());
}

TEST(TreeTools, EveryDifferenceIsSeen) {
  TempDirectory temp;
  const TreeOptions small{.directories = 2, .deep = false, .large = false};
  make_tree(7, temp / "a", small);
  int number = 0;
  // Changes B in one way; A stays.
  auto after = [&](auto change, CompareOptions options = {.atime = false, .top = false}) {
    std::string b = temp / ("b" + std::to_string(++number));
    make_tree(7, b, small);
    change(b);
    auto differences = compare_trees(temp / "a", b, options);
    std::filesystem::remove_all(b);
    return differences;
  };
  auto keeping_times = [](const std::string& path, auto change) {
    struct stat st;
    ASSERT_EQ(lstat(path.c_str(), &st), 0);
    change(path);
    timespec times[2] = {st.st_atim, st.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  };
  auto patch = [](const std::string& path, off_t at, const std::string& bytes) {
    int fd = open(path.c_str(), O_WRONLY);
    EXPECT_EQ(pwrite(fd, bytes.data(), bytes.size(), at), static_cast<ssize_t>(bytes.size()));
    close(fd);
  };

  EXPECT_THAT(after([](const std::string&) {}), IsEmpty());
  EXPECT_THAT(after([](const std::string& b) { chmod((b + "/suid").c_str(), 0755); }),
              ElementsAre(HasSubstr("mode 4755 in A, 0755")));
  EXPECT_THAT(after([](const std::string& b) { unlink((b + "/fifo").c_str()); }),
              ElementsAre(HasSubstr("/fifo: only in A")));
  EXPECT_THAT(after([](const std::string& b) { mkfifo((b + "/new").c_str(), 0600); }),
              ElementsAre(HasSubstr("/new: only in B")));
  auto nudge = [](const std::string& path, int which) {
    timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
    times[which] = {.tv_sec = 77, .tv_nsec = 1};
    utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
  };
  EXPECT_THAT(after([&](const std::string& b) { nudge(b + "/link-odd", 1); }), ElementsAre(HasSubstr("mtime")));
  EXPECT_THAT(after([&](const std::string& b) { nudge(b + "/empty", 1); }), ElementsAre(HasSubstr("/empty: mtime")));
  EXPECT_THAT(after([&](const std::string& b) { nudge(b + "/text-1", 0); }, {.top = false}),
              ::testing::Contains(HasSubstr("/text-1: atime")));
  EXPECT_THAT(after([&](const std::string& b) {
                keeping_times(b + "/random-131073", [&](auto& p) { patch(p, 100'000, "??"); });
              }),
              ElementsAre(HasSubstr("content differs at byte 100000")));
  EXPECT_THAT(
      after([&](const std::string& b) { keeping_times(b + "/hole-all", [&](auto& p) { patch(p, 4'000'000, "x"); }); }),
      ElementsAre(HasSubstr("content differs at byte 4000000")));
  EXPECT_THAT(after([&](const std::string& b) {
                keeping_times(b + "/hole-all", [&](auto& p) { patch(p, 1 << 20, std::string(1 << 20, '\0')); });
              }),
              ElementsAre(HasSubstr("a hole of 8388608 bytes at 0 in A holds data in B")));
  EXPECT_THAT(after([&](const std::string& b) {
                keeping_times(b + "/text-65536", [](auto& p) { EXPECT_EQ(truncate(p.c_str(), 9), 0); });
              }),
              ElementsAre(HasSubstr("size 65536 in A, 9 in B")));
  EXPECT_THAT(after(
                  [&](const std::string& b) {
                    const std::string link = b + "/link-absolute";
                    struct stat st;
                    lstat(link.c_str(), &st);
                    unlink(link.c_str());
                    EXPECT_EQ(symlink("/etc/group", link.c_str()), 0);
                    EXPECT_EQ(lchown(link.c_str(), st.st_uid, st.st_gid), 0);
                    timespec times[2] = {st.st_atim, st.st_mtim};
                    utimensat(AT_FDCWD, link.c_str(), times, AT_SYMLINK_NOFOLLOW);
                  },
                  {.atime = false, .xattrs = false, .top = false}),
              ElementsAre(HasSubstr("target \"/etc/passwd\" in A")));
  // Of two links one becomes a copy.
  auto split = [&](const std::string& b) {
    EXPECT_EQ(std::system(("cd '" + b + "' && cp -a hard-link copy && mv copy hard-link").c_str()), 0);
  };
  EXPECT_THAT(after(split), ::testing::Contains(HasSubstr("(hard links)")));

  const std::string text = temp / "a/xattr-empty";
  if (lgetxattr(text.c_str(), "user.empty", nullptr, 0) == 0) {
    EXPECT_THAT(after([](const std::string& b) { setxattr((b + "/xattr-empty").c_str(), "user.empty", "1", 1, 0); }),
                ElementsAre(HasSubstr("attribute user.empty \"\" in A, \"1\" in B")));
    EXPECT_THAT(after([](const std::string& b) { removexattr((b + "/xattr-binary").c_str(), "user.binary"); }),
                ElementsAre(HasSubstr("attribute user.binary only in A")));
    EXPECT_THAT(after([](const std::string& b) { removexattr((b + "/acl").c_str(), "system.posix_acl_access"); },
                      {.atime = false, .top = false}),
                ::testing::Contains(HasSubstr("system.posix_acl_access only in A")));
  }
  if (geteuid() == 0) {
    EXPECT_THAT(
        after([](const std::string& b) { EXPECT_EQ(lchown((b + "/socket").c_str(), 77, static_cast<gid_t>(-1)), 0); }),
        ElementsAre(HasSubstr("owner")));
    EXPECT_THAT(after([](const std::string& b) { setxattr((b + "/text-4096").c_str(), "trusted.x", "1", 1, 0); }),
                ElementsAre(HasSubstr("attribute trusted.x only in B")));
  }
  int fd = open((temp / "a/flag-nodump").c_str(), O_RDONLY);
  int flags = 0;
  bool has_flags = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NODUMP_FL) != 0;
  close(fd);
  if (has_flags) {
    auto unflag = [](const std::string& b) {
      int file = open((b + "/flag-nodump").c_str(), O_RDONLY);
      int now = 0;
      EXPECT_EQ(ioctl(file, FS_IOC_GETFLAGS, &now), 0);
      now &= ~FS_NODUMP_FL;
      EXPECT_EQ(ioctl(file, FS_IOC_SETFLAGS, &now), 0);
      close(file);
    };
    EXPECT_THAT(after(unflag), ElementsAre(HasSubstr("flags 0x40 in A, 0 in B")));
  }
}

TEST(TreeTools, LockedFilesCanBeUnlocked) {
  TempDirectory temp;
  make_tree(3, temp / "a", {.directories = 0, .locked = true, .deep = false});
  unlock_tree(temp / "a");
  std::error_code error;
  std::filesystem::remove_all(temp / "a", error);
  EXPECT_FALSE(error) << error.message();
}

}  // namespace
}  // namespace coppice::testing
