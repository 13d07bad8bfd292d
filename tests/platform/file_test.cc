#include "platform/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::platform {
namespace {

using testing::TempDirectory;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

std::size_t count_entries(const std::string& path) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
}

TEST(File, WholeReadsAndWritesByDescriptor) {
  const TempDirectory temp;
  const auto file = open_at(AT_FDCWD, (temp / "f").c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_OK(file);
  ASSERT_OK(write_full(file->get(), as_bytes("0123456789")));
  ASSERT_OK(pwrite_full(file->get(), as_bytes("ab"), 4));
  Bytes into(20);
  EXPECT_EQ(pread_full(file->get(), into, 2).value(), 8u);
  EXPECT_EQ(as_text(ByteSpan(into).first(8)), "23ab6789");
  EXPECT_EQ(read_full(file->get(), into).value(), 0u);  // the position is at the end
  EXPECT_OK(sync_fd(file->get()));
  EXPECT_NE(fcntl(file->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(File, AReadFromAPipeGoesOnUntilTheEnd) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd reader(ends[0]), writer(ends[1]);
  ASSERT_EQ(write(writer.get(), "abc", 3), 3);
  ASSERT_EQ(write(writer.get(), "de", 2), 2);
  writer.reset();
  Bytes into(100);
  EXPECT_EQ(read_full(reader.get(), into).value(), 5u);
}

TEST(ReadFile, HoldsItsLimit) {
  const TempDirectory temp;
  std::ofstream(temp / "f") << std::string(10000, 'x');
  EXPECT_EQ(read_file(temp / "f", 10000).value().size(), 10000u);
  EXPECT_EQ(read_file(temp / "f", std::size_t{1} << 40).value().size(), 10000u);
  EXPECT_FAILS(read_file(temp / "f", 9999), kInvalid);
  EXPECT_FAILS(read_file(temp / "g", 10), kNotFound);
  EXPECT_FAILS(read_file(temp.path(), 10), kInvalid);  // a directory
  std::ofstream(temp / "empty");
  EXPECT_EQ(read_file(temp / "empty", 0).value().size(), 0u);
  EXPECT_FALSE(read_file("/proc/self/status", 1 << 20).value().empty());  // says that it has no size
  EXPECT_FAILS(read_file("/proc/self/status", 10), kInvalid);
}

TEST(WriteFileDurably, CreatesAndReplacesWithItsMode) {
  const TempDirectory temp;
  ASSERT_OK(write_file_durably(temp / "f", as_bytes("one")));
  EXPECT_EQ(mode_of(temp / "f"), 0600u);
  ASSERT_OK(write_file_durably(temp / "f", as_bytes("two"), 0400));
  EXPECT_EQ(mode_of(temp / "f"), 0400u);
  EXPECT_EQ(as_text(read_file(temp / "f", 100).value()), "two");
  const mode_t umask_before = umask(077);
  ASSERT_OK(write_file_durably(temp / "f", as_bytes("for others"), 0644));
  umask(umask_before);
  EXPECT_EQ(mode_of(temp / "f"), 0644u);
  EXPECT_EQ(count_entries(temp.path()), 1u);
}

TEST(WriteFileDurably, FailureLeavesTheOldFileAndNoDebris) {
  const TempDirectory temp;
  std::filesystem::create_directories(temp / "taken/inside");
  EXPECT_FALSE(write_file_durably(temp / "taken", as_bytes("x")));
  EXPECT_FALSE(write_file_durably(temp / "", as_bytes("x")));
  EXPECT_FAILS(write_file_durably(temp / "no/where", as_bytes("x")), kNotFound);
  EXPECT_TRUE(std::filesystem::is_directory(temp / "taken/inside"));
  EXPECT_EQ(count_entries(temp.path()), 1u);
}

TEST(MakeDirectories, MakesWhatIsMissing) {
  const TempDirectory temp;
  ASSERT_OK(make_directories(temp / "a/b//c/", 0700));
  ASSERT_OK(make_directories(temp / "a/b/c", 0700));
  EXPECT_EQ(mode_of(temp / "a/b"), 0700u);
  EXPECT_OK(make_directories("/", 0700));
  std::ofstream(temp / "file");
  EXPECT_FALSE(make_directories(temp / "file", 0700));
  EXPECT_FALSE(make_directories(temp / "file/below", 0700));
  EXPECT_FAILS(make_directories("", 0700), kInvalid);
}

TEST(FreeBytes, IsKnownForADirectory) {
  EXPECT_GT(free_bytes("/tmp").value(), 0u);
  EXPECT_FAILS(free_bytes("/no/such/place"), kNotFound);
}

TEST(LockDirectory, IsHadByOneAtATimeAndWaitedForNoLongerThanOneHasPatience) {
  const TempDirectory temp;
  {
    const auto first = lock_directory(temp.path());
    ASSERT_OK(first);
    EXPECT_FAILS(lock_directory(temp.path(), std::chrono::milliseconds(50)), kUnavailable);
  }
  EXPECT_OK(lock_directory(temp.path(), std::chrono::milliseconds(0)));
  EXPECT_FAILS(lock_directory(temp / "missing"), kNotFound);
}

TEST(JoinPath, PutsOneSlashAndNeverEscapes) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("/", "b"), "/b");
  EXPECT_EQ(join_path("a", "/etc/fstab"), "a/etc/fstab");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("a", ""), "a");
  EXPECT_EQ(join_path("a", "/"), "a");
}

}  // namespace
}  // namespace coppice::platform
