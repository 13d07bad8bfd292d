// Metadata of objects of every type: on the temporary directory, and on ext4, xfs and btrfs images when the tests run
// as root.
#include "capture/metadata.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <thread>

#include "platform/file.h"
#include "support/loop_image.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::capture {
namespace {

using format::Entry;
using format::EntryType;
using platform::Fd;
using testing::LoopImage;
using testing::TempDirectory;

struct Captured {
  Entry entry;
  std::vector<std::string> problems;
};

// As the scanner does it: files and directories through a descriptor, all else by name.
Captured capture(int dir_fd, const char* name, bool with_fd = true) {
  Captured captured;
  struct statx st;
  EXPECT_EQ(statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, kStatxMask, &st), 0) << name;
  OwnerNames names;
  FileSystemMemo memo;
  EXPECT_OK(fill_from_statx(st, names, captured.entry));
  Fd fd;
  if (with_fd && (S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode))) fd = Fd(openat(dir_fd, name, O_RDONLY | O_NOFOLLOW));
  EXPECT_OK(fill_extended(fd.get(), dir_fd, name, memo, captured.entry, captured.problems));
  return captured;
}

Fd make_file(const std::string& path) { return Fd(open(path.c_str(), O_RDWR | O_CREAT, 0644)); }
Fd directory(const std::string& path) { return Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY)); }

TEST(Metadata, EveryTypeFromStatx) {
  TempDirectory temp;
  Fd dir = directory(temp.path());
  Fd file = make_file(temp / "file");
  ASSERT_EQ(ftruncate(file.get(), 12345), 0);
  ASSERT_EQ(fchmod(file.get(), 04751), 0);
  timespec times[2] = {{.tv_sec = -2'000'000'000, .tv_nsec = 123'456'789},
                       {.tv_sec = 4'102'444'800, .tv_nsec = 999'999'999}};
  ASSERT_EQ(futimens(file.get(), times), 0);
  ASSERT_EQ(linkat(dir.get(), "file", dir.get(), "link", 0), 0);
  ASSERT_EQ(mkdirat(dir.get(), "dir", 01777), 0);
  ASSERT_EQ(symlinkat("a target", dir.get(), "symlink"), 0);
  ASSERT_EQ(mkfifoat(dir.get(), "fifo", 0600), 0);
  Fd socket_fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", (temp / "socket").c_str());
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);

  Entry entry = capture(dir.get(), "file").entry;
  struct stat st;
  ASSERT_EQ(fstat(file.get(), &st), 0);
  EXPECT_EQ(entry.type, EntryType::kFile);
  EXPECT_EQ(entry.mode, 04751u);
  EXPECT_EQ(entry.size, 12345u);
  EXPECT_EQ(entry.links, 2u);
  EXPECT_EQ(entry.inode, st.st_ino);
  EXPECT_EQ(entry.device, st.st_dev);
  EXPECT_EQ(entry.owner.uid, geteuid());
  EXPECT_EQ(entry.ctime, (Timestamp{st.st_ctim.tv_sec, static_cast<std::uint32_t>(st.st_ctim.tv_nsec)}));
  EXPECT_EQ(entry.atime, (Timestamp{st.st_atim.tv_sec, static_cast<std::uint32_t>(st.st_atim.tv_nsec)}));
  EXPECT_EQ(entry.mtime, (Timestamp{st.st_mtim.tv_sec, static_cast<std::uint32_t>(st.st_mtim.tv_nsec)}));
  EXPECT_EQ(entry.mtime.nanoseconds, 999'999'999u);
  EXPECT_EQ(entry.rdev, 0u);

  Entry dir_entry = capture(dir.get(), "dir").entry;
  EXPECT_EQ(dir_entry.type, EntryType::kDirectory);
  EXPECT_EQ(dir_entry.size, 0u);
  EXPECT_EQ(dir_entry.links, 1u);
  Entry symlink = capture(dir.get(), "symlink").entry;
  EXPECT_EQ(symlink.type, EntryType::kSymlink);
  EXPECT_EQ(symlink.target, "a target");
  EXPECT_EQ(symlink.size, 0u);
  EXPECT_EQ(capture(dir.get(), "fifo").entry.type, EntryType::kFifo);
  EXPECT_EQ(capture(dir.get(), "socket").entry.type, EntryType::kSocket);

  if (mknodat(dir.get(), "null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
    Entry device = capture(dir.get(), "null").entry;
    EXPECT_EQ(device.type, EntryType::kCharDevice);
    EXPECT_EQ(device.rdev, makedev(1, 3));
  }
  if (mknodat(dir.get(), "disk", S_IFBLK | 0600, makedev(259, 300)) == 0) {
    Entry device = capture(dir.get(), "disk").entry;
    EXPECT_EQ(device.type, EntryType::kBlockDevice);
    EXPECT_EQ(device.rdev, makedev(259, 300));
  }

  struct statx odd {};
  odd.stx_mode = 0;
  OwnerNames names;
  EXPECT_FAILS(fill_from_statx(odd, names, entry), kUnsupported);
}

TEST(Metadata, ReusedEntryKeepsNothing) {
  TempDirectory temp;
  Fd dir = directory(temp.path());
  make_file(temp / "file");
  Entry entry = capture(dir.get(), "file").entry;
  Entry reused = entry;
  reused.target = "old", reused.flags = 0xff, reused.project = 7, reused.rdev = 5;
  reused.xattrs.push_back({.name = "user.old", .value = "x"});
  struct statx st;
  ASSERT_EQ(statx(dir.get(), "file", 0, kStatxMask, &st), 0);
  OwnerNames names;
  FileSystemMemo memo;
  std::vector<std::string> problems;
  ASSERT_OK(fill_from_statx(st, names, reused));
  ASSERT_OK(fill_extended(-1, dir.get(), "file", memo, reused, problems));
  entry.flags = 0;  // cannot be asked without a descriptor
  EXPECT_EQ(reused, entry);
}

TEST(Metadata, LongTargetsAndTheGone) {
  TempDirectory temp;
  Fd dir = directory(temp.path());
  std::string target(4095, 't');
  ASSERT_EQ(symlinkat(target.c_str(), dir.get(), "long"), 0);
  EXPECT_EQ(capture(dir.get(), "long").entry.target, target);

  FileSystemMemo memo;
  std::vector<std::string> problems;
  Entry entry{.type = EntryType::kSymlink};
  EXPECT_FAILS(fill_extended(-1, dir.get(), "gone", memo, entry, problems), kNotFound);
  entry.type = EntryType::kFifo;
  EXPECT_FAILS(fill_extended(-1, dir.get(), "gone", memo, entry, problems), kNotFound);
  EXPECT_TRUE(problems.empty());
}

TEST(Metadata, BeyondPathMaxByName) {
  TempDirectory temp;
  Fd at = directory(temp.path());
  std::string name(250, 'd');
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(mkdirat(at.get(), name.c_str(), 0755), 0);
    at = Fd(openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(at);
  }
  ASSERT_EQ(symlinkat("far", at.get(), "link"), 0);
  Fd file(openat(at.get(), name.c_str(), O_RDWR | O_CREAT, 0644));
  if (fsetxattr(file.get(), "user.deep", "1", 1, 0) != 0) GTEST_SKIP() << "no extended attributes here";
  Captured captured = capture(at.get(), name.c_str(), false);
  EXPECT_THAT(captured.problems, ::testing::IsEmpty());
  EXPECT_THAT(captured.entry.xattrs, ::testing::ElementsAre(format::Xattr{.name = "user.deep", .value = "1"}));
  EXPECT_EQ(capture(at.get(), "link").entry.target, "far");
}

TEST(OwnerNames, KnownUnknownAndManyThreads) {
  OwnerNames names;
  EXPECT_EQ(names.user(0), "root");
  EXPECT_EQ(names.group(0), "root");
  EXPECT_EQ(names.user(4'000'000'001), "");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 2000; ++i) {
        EXPECT_EQ(names.user(0), "root");
        EXPECT_EQ(names.user(4'000'000'000 + i % 100), "");  // several ids to a slot
      }
    });
  }
}

TEST(FileSystemMemo, LearnsByDevice) {
  FileSystemMemo memo;
  EXPECT_EQ(memo.known(5), 0u);
  memo.learn(5, FileSystemMemo::kNoXattrs);
  memo.learn(5, FileSystemMemo::kNoFlags);
  EXPECT_EQ(memo.known(5), FileSystemMemo::kNoXattrs | FileSystemMemo::kNoFlags);
  EXPECT_EQ(memo.known(5 + 256), 0u);
  memo.learn(5 + 256, FileSystemMemo::kAsked);  // takes the slot
  EXPECT_EQ(memo.known(5 + 256), FileSystemMemo::kAsked);
  EXPECT_EQ(memo.known(5), 0u);
}

class OnFileSystem : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Metadata, OnFileSystem, ::testing::Values("ext4", "xfs", "btrfs"),
                         [](auto& info) { return info.param; });

TEST_P(OnFileSystem, AttributesFlagsAndProjects) {
  const std::string type = GetParam();
  LoopImage image(type);
  if (!image.mounted()) GTEST_SKIP() << "needs root, loop devices and mkfs." << type;
  Fd dir = directory(image.path());

  // Attributes of all namespaces, sorted whatever the order in which they were set.
  Fd file = make_file(image / "file");
  Captured plain = capture(dir.get(), "file");
  EXPECT_THAT(plain.entry.xattrs, ::testing::IsEmpty());
  EXPECT_EQ(plain.entry.flags, 0u);
  EXPECT_EQ(plain.entry.project, 0u);
  ASSERT_TRUE(plain.entry.btime.has_value());
  const unsigned char acl[] = {2, 0,    0,   0,   1,   0,   6,    0, 255, 255, 255, 255, 2,   0,    4,
                               0, 0xe8, 3,   0,   0,   4,   0,    4, 0,   255, 255, 255, 255, 0x10, 0,
                               4, 0,    255, 255, 255, 255, 0x20, 0, 4,   0,   255, 255, 255, 255};
  const unsigned char capability[] = {1, 0, 0, 2, 0, 4, 0, 0, 0, 0,
                                      0, 0, 0, 0, 0, 0, 0, 0, 0, 0};  // cap_net_bind_service+ep
  std::string large(3000, 'v');
  ASSERT_EQ(fsetxattr(file.get(), "user.z", large.data(), large.size(), 0), 0);
  ASSERT_EQ(fsetxattr(file.get(), "user.empty", "", 0, 0), 0);
  ASSERT_EQ(fsetxattr(file.get(), "trusted.t", "\0\1", 2, 0), 0);
  ASSERT_EQ(fsetxattr(file.get(), "security.capability", capability, sizeof capability, 0), 0);
  ASSERT_EQ(fsetxattr(file.get(), "system.posix_acl_access", acl, sizeof acl, 0), 0);
  for (bool with_fd : {true, false}) {
    Captured captured = capture(dir.get(), "file", with_fd);
    EXPECT_THAT(captured.problems, ::testing::IsEmpty());
    ASSERT_EQ(captured.entry.xattrs.size(), 5u);
    const char* names[] = {"security.capability", "system.posix_acl_access", "trusted.t", "user.empty", "user.z"};
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(captured.entry.xattrs[i].name, names[i]);
    EXPECT_EQ(captured.entry.xattrs[0].value.size(), sizeof capability);
    EXPECT_EQ(captured.entry.xattrs[1].value, std::string(reinterpret_cast<const char*>(acl), sizeof acl));
    EXPECT_EQ(captured.entry.xattrs[2].value, std::string("\0\1", 2));
    EXPECT_EQ(captured.entry.xattrs[4].value, large);
  }

  // On a symlink and a device, which are never opened.
  ASSERT_EQ(symlinkat("t", dir.get(), "symlink"), 0);
  ASSERT_EQ(lsetxattr((image / "symlink").c_str(), "trusted.s", "link", 4, 0), 0);
  EXPECT_THAT(capture(dir.get(), "symlink").entry.xattrs,
              ::testing::ElementsAre(format::Xattr{.name = "trusted.s", .value = "link"}));
  ASSERT_EQ(mknodat(dir.get(), "device", S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(lsetxattr((image / "device").c_str(), "trusted.d", "dev", 3, 0), 0);
  EXPECT_THAT(capture(dir.get(), "device").entry.xattrs,
              ::testing::ElementsAre(format::Xattr{.name = "trusted.d", .value = "dev"}));

  // Flags: what chattr sets is kept, what the file system sets itself (ext4's extents) is not.
  Fd flagged = make_file(image / "flagged");
  int flags = FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL | FS_IMMUTABLE_FL;
  if (type == "btrfs") flags |= FS_NOCOW_FL;
  ASSERT_EQ(ioctl(flagged.get(), FS_IOC_SETFLAGS, &flags), 0);
  EXPECT_EQ(capture(dir.get(), "flagged").entry.flags, static_cast<unsigned>(flags));
  flags = 0;
  ASSERT_EQ(ioctl(flagged.get(), FS_IOC_SETFLAGS, &flags), 0);
  ASSERT_EQ(mkdirat(dir.get(), "dir", 0755), 0);
  Fd sub = directory(image / "dir");
  int dir_flags = type == "xfs"     ? FS_NODUMP_FL
                  : type == "btrfs" ? FS_DIRSYNC_FL | FS_COMPR_FL
                                    : FS_DIRSYNC_FL | FS_TOPDIR_FL;
  ASSERT_EQ(ioctl(sub.get(), FS_IOC_SETFLAGS, &dir_flags), 0);
  EXPECT_EQ(capture(dir.get(), "dir").entry.flags, static_cast<unsigned>(dir_flags));

  if (type == "xfs") {
    fsxattr attributes{};
    ASSERT_EQ(ioctl(sub.get(), FS_IOC_FSGETXATTR, &attributes), 0);
    attributes.fsx_projid = 4711;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    ASSERT_EQ(ioctl(sub.get(), FS_IOC_FSSETXATTR, &attributes), 0);
    make_file(image / "dir/inherits");
    Captured inherits = capture(dir.get(), "dir/inherits");
    EXPECT_EQ(inherits.entry.project, 4711u);
    EXPECT_EQ(capture(dir.get(), "dir").entry.flags, static_cast<unsigned>(FS_NODUMP_FL) | FS_PROJINHERIT_FL);

    // Values up to the format's limit, and more of them than one entry may hold.
    Fd full = make_file(image / "full");
    std::string value(65536, 'x');
    for (int i = 10; i < 30; ++i)
      ASSERT_EQ(fsetxattr(full.get(), fmt::format("user.{}", i).c_str(), value.data(), value.size(), 0), 0);
    Captured captured = capture(dir.get(), "full");
    ASSERT_EQ(captured.entry.xattrs.size(), 15u);  // with their names they are just over 65536 bytes each
    EXPECT_EQ(captured.entry.xattrs[14].name, "user.24");
    EXPECT_EQ(captured.entry.xattrs[14].value, value);
    EXPECT_EQ(captured.problems.size(), 5u);
    EXPECT_THAT(captured.problems.at(0), ::testing::HasSubstr("user.25"));
  }
}

// More names than the first buffer holds.
TEST_P(OnFileSystem, ManyAttributes) {
  LoopImage image(GetParam());
  if (!image.mounted()) GTEST_SKIP();
  Fd dir = directory(image.path());
  Fd file = make_file(image / "file");
  int set = 0;
  while (set < 100 &&
         fsetxattr(file.get(), fmt::format("user.{:03}{}", set, std::string(20, 'n')).c_str(), "v", 1, 0) == 0)
    ++set;
  ASSERT_GT(set, 40);
  Captured captured = capture(dir.get(), "file");
  EXPECT_EQ(captured.entry.xattrs.size(), static_cast<std::size_t>(set));
  EXPECT_TRUE(std::is_sorted(captured.entry.xattrs.begin(), captured.entry.xattrs.end(),
                             [](auto& a, auto& b) { return a.name < b.name; }));
}

}  // namespace
}  // namespace coppice::capture
