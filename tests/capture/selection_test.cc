// What a backup leaves out: rules by place, by mark, by mount point.
#include "capture/selection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "capture/metadata.h"
#include "format/tree.h"
#include "platform/file.h"
#include "support/loop_image.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::capture {
namespace {

using platform::Fd;
using testing::LoopImage;
using testing::TempDirectory;

Selection make(const SelectionOptions& options, const std::vector<std::string>& sources = {"/"}) {
  auto selection = Selection::create(options, sources);
  EXPECT_OK(selection);
  return std::move(*selection);
}

// The decision about `path`, asked as the scanner asks.
Decision decide(const Selection& selection, const std::string& path) {
  std::string parent = path.substr(0, path.rfind('/')), name = path.substr(path.rfind('/') + 1);
  Fd parent_fd(open(parent.empty() ? "/" : parent.c_str(), O_PATH | O_DIRECTORY));
  struct statx above, st;
  EXPECT_EQ(statx(parent_fd.get(), "", AT_EMPTY_PATH, kStatxMask, &above), 0) << path;
  EXPECT_EQ(statx(parent_fd.get(), name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kStatxMask, &st), 0) << path;
  return selection.decide(st, device_of(above), parent_fd.get(), name.c_str());
}

TEST(Selection, NothingAppliesToOrdinaryThings) {
  TempDirectory temp;
  mkdir((temp / "dir").c_str(), 0755);
  std::ofstream(temp / "file") << "x";
  Selection selection = make({});
  EXPECT_FALSE(selection.has_path_rules());
  EXPECT_EQ(decide(selection, temp / "dir"), Decision{});
  EXPECT_EQ(decide(selection, temp / "file"), Decision{});
}

TEST(Selection, PatternsOfFilesComeFirst) {
  TempDirectory temp;
  std::ofstream(temp / "list") << "# what is not needed\n*.log\n/cache/\n";
  Selection selection = make({.excludes = {"!keep.log"}, .exclude_files = {temp / "list"}});
  EXPECT_TRUE(selection.has_path_rules());
  EXPECT_TRUE(selection.excluded("/a/b.log", false));
  EXPECT_FALSE(selection.excluded("/a/keep.log", false));
  EXPECT_TRUE(selection.excluded("/cache", true));
  EXPECT_FALSE(selection.excluded("/cache", false));

  std::ofstream(temp / "bad") << "fine\n[open\n";
  auto bad = Selection::create({.exclude_files = {temp / "bad"}}, {"/"});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message().find("line 2"), std::string::npos) << bad.error().message();
  EXPECT_FAILS(Selection::create({.exclude_files = {temp / "missing"}}, {"/"}), kNotFound);
  EXPECT_FAILS(Selection::create({.excludes = {""}}, {"/"}), kInvalid);
}

TEST(Selection, OwnDataIsKeptEmptyAndIsNoSource) {
  TempDirectory temp;
  mkdir((temp / "vault").c_str(), 0755);
  mkdir((temp / "vault/packs").c_str(), 0755);
  SelectionOptions options{.never = {temp / "vault", temp / "not-there"}};
  Selection selection = make(options, {temp.path()});
  EXPECT_EQ(decide(selection, temp / "vault"), (Decision{.take = Take::kHollow, .reason = LeftOut::kOwnData}));
  EXPECT_FAILS(Selection::create(options, {temp / "vault"}), kInvalid);
  EXPECT_FAILS(Selection::create(options, {temp / "vault/packs"}), kInvalid);
  EXPECT_OK(Selection::create(options, {temp / "vault-not-there"}));
}

TEST(Selection, CacheDirectoryTag) {
  TempDirectory temp;
  Fd dir(open(temp.path().c_str(), O_RDONLY | O_DIRECTORY));
  Selection selection = make({}), without = make({.skip_cache_directories = false});
  EXPECT_FALSE(selection.is_cache_directory(dir.get()));
  const std::string signature = "Signature: 8a477f597d28d172789f06886806bc55";
  std::ofstream(temp / "CACHEDIR.TAG") << signature.substr(0, 42);
  EXPECT_FALSE(selection.is_cache_directory(dir.get()));
  std::ofstream(temp / "CACHEDIR.TAG") << signature;
  EXPECT_TRUE(selection.is_cache_directory(dir.get()));
  std::ofstream(temp / "CACHEDIR.TAG") << signature << "\n# more\n";
  EXPECT_TRUE(selection.is_cache_directory(dir.get()));
  EXPECT_FALSE(without.is_cache_directory(dir.get()));
  rename((temp / "CACHEDIR.TAG").c_str(), (temp / "elsewhere").c_str());
  ASSERT_EQ(symlink("elsewhere", (temp / "CACHEDIR.TAG").c_str()), 0);
  EXPECT_FALSE(selection.is_cache_directory(dir.get()));
  unlink((temp / "CACHEDIR.TAG").c_str());
  ASSERT_EQ(mkfifo((temp / "CACHEDIR.TAG").c_str(), 0600), 0);  // must not be waited for
  EXPECT_FALSE(selection.is_cache_directory(dir.get()));
}

TEST(Selection, KernelFileSystems) {
  Selection selection = make({}), all = make({.skip_system = false});
  Decision proc = decide(selection, "/proc");
  struct stat root, st;
  ASSERT_EQ(stat("/", &root), 0);
  ASSERT_EQ(stat("/proc", &st), 0);
  if (root.st_dev == st.st_dev) GTEST_SKIP() << "/proc is not mounted";
  EXPECT_EQ(proc,
            (Decision{.take = Take::kHollow, .reason = LeftOut::kPseudoFileSystem, .marks = format::kMarkMountPoint}));
  EXPECT_EQ(decide(all, "/proc"), (Decision{.marks = format::kMarkMountPoint}));
  EXPECT_EQ(decide(make({}, {"/", "/proc"}), "/proc"),
            (Decision{.marks = format::kMarkMountPoint}));  // named by itself
  if (stat("/run", &st) == 0) {
    EXPECT_EQ(decide(selection, "/run").take, Take::kHollow);
    EXPECT_EQ(decide(selection, "/run").reason, LeftOut::kVolatile);
  }
  if (stat("/dev", &st) == 0 && st.st_dev != root.st_dev) {
    EXPECT_EQ(decide(selection, "/dev").reason, LeftOut::kVolatile);
  }
}

TEST(Selection, MountPointsAndNoDump) {
  TempDirectory temp;
  LoopImage image("ext4");
  if (!image.mounted()) GTEST_SKIP() << "needs root and loop devices";
  Selection selection = make({}), one = make({.one_file_system = true}), nodump = make({.skip_nodump = true});
  const Decision mounted{.marks = format::kMarkMountPoint};
  EXPECT_EQ(decide(selection, image.path()), mounted);
  EXPECT_EQ(decide(one, image.path()),
            (Decision{.take = Take::kHollow, .reason = LeftOut::kOtherFileSystem, .marks = format::kMarkMountPoint}));
  EXPECT_EQ(decide(make({.one_file_system = true}, {"/", image.path()}), image.path()), mounted);

  // A bind mount is a mount point, though of the same device.
  mkdir((image / "a").c_str(), 0755);
  mkdir((image / "b").c_str(), 0755);
  ASSERT_EQ(mount((image / "a").c_str(), (image / "b").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_EQ(decide(selection, image / "b"), mounted);
  EXPECT_EQ(decide(one, image / "b").reason, LeftOut::kOtherFileSystem);
  EXPECT_EQ(umount((image / "b").c_str()), 0);

  ASSERT_EQ(mount("none", (image / "b").c_str(), "tmpfs", 0, nullptr), 0);  // may hold data: taken
  EXPECT_EQ(decide(selection, image / "b"), mounted);
  EXPECT_EQ(umount((image / "b").c_str()), 0);
  ASSERT_EQ(mount("none", (image / "b").c_str(), "mqueue", 0, nullptr), 0);
  EXPECT_EQ(decide(selection, image / "b").reason, LeftOut::kPseudoFileSystem);
  EXPECT_EQ(umount((image / "b").c_str()), 0);

  Fd file(open((image / "file").c_str(), O_RDWR | O_CREAT, 0600));
  int flags = FS_NODUMP_FL;
  ASSERT_EQ(ioctl(file.get(), FS_IOC_SETFLAGS, &flags), 0);
  EXPECT_EQ(decide(nodump, image / "file"), (Decision{.take = Take::kNothing, .reason = LeftOut::kNoDump}));
  EXPECT_EQ(decide(selection, image / "file"), Decision{});
}

TEST(Selection, SwapFilesInUse) {
  LoopImage image("ext4");
  if (!image.mounted()) GTEST_SKIP() << "needs root and loop devices";
  const std::string path = image / "swap file";
  std::string command = "PATH=$PATH:/sbin:/usr/sbin; { dd if=/dev/zero of='" + path +
                        "' bs=64k count=16 && chmod 600 '" + path + "' && mkswap '" + path + "' && swapon '" + path +
                        "'; } >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no swap here";
  Selection selection = make({});
  EXPECT_EQ(decide(selection, path), (Decision{.take = Take::kNothing, .reason = LeftOut::kSwapFile}));
  EXPECT_EQ(decide(make({}, {path}), path), Decision{});
  EXPECT_EQ(std::system(("/sbin/swapoff '" + path + "'").c_str()), 0);
  EXPECT_EQ(decide(make({}), path), Decision{});
}

TEST(Selection, BtrfsSubvolume) {
  LoopImage image("btrfs");
  if (!image.mounted() ||
      std::system(("btrfs subvolume create '" + (image / "sub") + "' >/dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << "needs root, loop devices and btrfs";
  }
  EXPECT_EQ(decide(make({}), image / "sub"), (Decision{.marks = format::kMarkSubvolume}));
  EXPECT_EQ(decide(make({.one_file_system = true}), image / "sub"),
            (Decision{.take = Take::kHollow, .reason = LeftOut::kOtherFileSystem, .marks = format::kMarkSubvolume}));
  EXPECT_EQ(decide(make({}), image.path()).marks, std::uint32_t{format::kMarkMountPoint} | format::kMarkSubvolume);
}

}  // namespace
}  // namespace coppice::capture
