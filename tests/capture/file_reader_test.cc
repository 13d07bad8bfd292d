// Reading content: holes, files that change or are replaced, and the page cache left as it was.
#include "capture/file_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <thread>

#include "capture/metadata.h"
#include "support/loop_image.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::capture {
namespace {

using platform::Fd;
using testing::LoopImage;
using testing::TempDirectory;

Bytes random_bytes(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  const std::uint64_t salt = random() | 1;
  Bytes bytes(size);
  for (std::size_t at = 0; at < size; at += 8) {
    std::uint64_t word = (at + 1) * salt ^ (at * salt) >> 29;
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, size - at));
  }
  return bytes;
}

Fd write_file(const std::string& path, ByteSpan bytes) {
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644));
  EXPECT_OK(platform::pwrite_full(fd.get(), bytes, 0));
  return fd;
}

struct statx look(const std::string& path) {
  struct statx st {};
  EXPECT_EQ(statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, kStatxMask, &st), 0) << path;
  return st;
}

Result<FileReader> open_reader(const std::string& path) { return FileReader::open(AT_FDCWD, path.c_str(), look(path)); }

// The content by extents, holes as zeros.
Bytes read_all(FileReader& reader, std::vector<Extent>* extents = nullptr, std::size_t step = 300'001) {
  Bytes all(reader.status().stx_size), buffer(step);
  std::size_t at = 0;
  for (;;) {
    auto extent = reader.next_extent();
    EXPECT_OK(extent);
    if (extent->length == 0) break;
    EXPECT_EQ(extent->offset, at);
    if (extents != nullptr) extents->push_back(*extent);
    if (extent->hole) {
      std::memset(all.data() + at, 0, extent->length);
      at += extent->length;
      continue;
    }
    for (;;) {
      auto n = reader.read(buffer);
      EXPECT_OK(n);
      if (*n == 0) break;
      std::memcpy(all.data() + at, buffer.data(), *n);
      at += *n;
    }
  }
  EXPECT_EQ(reader.position(), at);
  all.resize(at);
  return all;
}

// How many of the file's pages are in the page cache.
std::size_t resident_pages(int fd, std::uint64_t from = 0, std::uint64_t to = UINT64_MAX) {
  struct stat st;
  EXPECT_EQ(fstat(fd, &st), 0);
  auto size = std::min<std::uint64_t>(to, static_cast<std::uint64_t>(st.st_size)) - from;
  void* map = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(from));
  std::vector<unsigned char> pages((size + 4095) / 4096);
  EXPECT_EQ(mincore(map, size, pages.data()), 0);
  munmap(map, size);
  return static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return p & 1; }));
}

void evict(int fd) {
  fsync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

// Whether it holds in one of a few tries: the kernel may drop pages at any moment, though hardly each time.
bool in_one_of_a_few(const std::function<bool()>& holds) {
  for (int tries = 0; tries < 5; ++tries)
    if (holds()) return true;
  return false;
}

TEST(SmallFile, WholeContent) {
  TempDirectory temp;
  for (std::size_t size : {0u, 1u, 4095u, 4096u, 65535u, 65536u}) {
    Bytes bytes = random_bytes(size, static_cast<unsigned>(size));
    Fd writer = write_file(temp / "file", bytes);
    Bytes into(65536);
    for (bool cold : {false, true}) {
      if (cold) evict(writer.get());
      auto file = read_small_file(AT_FDCWD, (temp / "file").c_str(), look(temp / "file"), into);
      ASSERT_OK(file);
      EXPECT_TRUE(equal(ByteSpan(into).first(file->bytes), bytes)) << size;
      EXPECT_FALSE(file->changed);
      EXPECT_EQ(file->status.stx_size, size);
      EXPECT_TRUE(file->fd);
    }
  }
}

// Stores into a page that is dirty already change no time.
TEST(SmallFile, WhatIsStoredThroughAMappingAfterTheReadShowsInTheTimes) {
  TempDirectory temp;
  struct statfs kind {};
  ASSERT_EQ(statfs(temp.path().c_str(), &kind), 0);
  if (kind.f_type == 0x01021994) GTEST_SKIP() << "tmpfs has no disk behind it";
  const Fd file = write_file(temp / "file", random_bytes(100'000, 1));   // smaller ones that are new are not looked after
  fsync(file.get());
  auto* page = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  ASSERT_NE(page, MAP_FAILED);
  page[0] = 'a';
  const struct statx before = look(temp / "file");
  Bytes into(200'000);
  const auto small = read_small_file(AT_FDCWD, (temp / "file").c_str(), before, into);
  ASSERT_OK(small);
  EXPECT_EQ(static_cast<char>(into[0]), 'a');
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  page[0] = 'b';
  EXPECT_FALSE(same_version(small->status, look(temp / "file")));
  page[0] = 'c';
  auto large = FileReader::open(AT_FDCWD, (temp / "file").c_str(), look(temp / "file"));
  ASSERT_OK(large);
  read_all(*large);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  page[0] = 'd';
  EXPECT_TRUE(*large->changed());
  munmap(page, 4096);
}

TEST(SmallFile, ChangesSinceTheScan) {
  TempDirectory temp;
  const std::string path = temp / "file";
  Fd writer = write_file(path, random_bytes(1000, 1));
  struct statx scanned = look(path);
  Bytes into(65536);
  ASSERT_OK(platform::pwrite_full(writer.get(), random_bytes(500, 2), 1000));
  auto file = read_small_file(AT_FDCWD, path.c_str(), scanned, into);
  ASSERT_OK(file);
  EXPECT_TRUE(file->changed);
  EXPECT_EQ(file->bytes, 1500u);
  auto again = read_small_file(AT_FDCWD, path.c_str(), file->status, into);  // the retry
  ASSERT_OK(again);
  EXPECT_FALSE(again->changed);

  ASSERT_EQ(ftruncate(writer.get(), 10), 0);
  file = read_small_file(AT_FDCWD, path.c_str(), scanned, into);
  ASSERT_OK(file);
  EXPECT_TRUE(file->changed);
  EXPECT_EQ(file->bytes, 10u);

  ASSERT_EQ(ftruncate(writer.get(), 200'000), 0);  // no longer small
  file = read_small_file(AT_FDCWD, path.c_str(), scanned, into);
  ASSERT_OK(file);
  EXPECT_TRUE(file->changed);
  EXPECT_GT(file->status.stx_size, into.size());
}

TEST(SmallFile, AnotherObjectIsNeverRead) {
  TempDirectory temp;
  const std::string path = temp / "file";
  Fd held = write_file(path, random_bytes(10, 1));  // so that the inode number is not given out again
  struct statx scanned = look(path);
  Bytes into(65536);
  auto read = [&] { return read_small_file(AT_FDCWD, path.c_str(), scanned, into); };
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_FAILS(read(), kNotFound);
  write_file(path, random_bytes(10, 2));
  EXPECT_FAILS(read(), kConflict);
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(symlink("/etc/passwd", path.c_str()), 0);
  EXPECT_FAILS(read(), kConflict);
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FAILS(read(), kConflict);  // and does not wait for a writer
  EXPECT_FAILS(FileReader::open(AT_FDCWD, path.c_str(), scanned), kConflict);
}

TEST(SmallFile, LeavesTheCacheAsItWas) {
  LoopImage image("ext4");
  if (!image.mounted()) GTEST_SKIP() << "needs root and loop devices";
  Fd writer = write_file(image / "file", random_bytes(50'000, 1));
  Bytes into(65536);
  auto read = [&] { ASSERT_OK(read_small_file(AT_FDCWD, (image / "file").c_str(), look(image / "file"), into)); };
  fsync(writer.get());
  EXPECT_TRUE(in_one_of_a_few([&] {
    EXPECT_OK(platform::pread_full(writer.get(), MutableByteSpan(into).first(50'000), 0));
    read();
    return resident_pages(writer.get()) == 13u;
  }));  // was there
  evict(writer.get());
  ASSERT_EQ(resident_pages(writer.get()), 0u);
  read();
  EXPECT_EQ(resident_pages(writer.get()), 0u);  // was not
}

TEST(FileReader, DenseFiles) {
  TempDirectory temp;
  for (std::size_t size : {0u, 1u, 65536u, 2'097'153u, 17'000'000u}) {
    Bytes bytes = random_bytes(size, static_cast<unsigned>(size));
    write_file(temp / "file", bytes);
    auto reader = open_reader(temp / "file");
    ASSERT_OK(reader);
    std::vector<Extent> extents;
    EXPECT_TRUE(equal(read_all(*reader, &extents), bytes)) << size;
    EXPECT_EQ(extents.size(), size == 0 ? 0u : 1u);
    auto changed = reader->changed();
    ASSERT_OK(changed);
    EXPECT_FALSE(*changed);
  }
}

class SparseFiles : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(FileReader, SparseFiles, ::testing::Values("temp", "ext4", "xfs", "btrfs"),
                         [](auto& info) { return info.param; });

TEST_P(SparseFiles, HolesAreNotRead) {
  TempDirectory temp;
  std::optional<LoopImage> image;
  std::string base = temp.path();
  if (GetParam() != std::string("temp")) {
    image.emplace(GetParam());
    if (!image->mounted()) GTEST_SKIP() << "needs root and loop devices";
    base = image->path();
  }
  constexpr std::uint64_t kMiB = 1u << 20;
  struct Case {
    const char* name;
    std::uint64_t size;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> data;  // offset, length
  };
  for (const Case& c :
       {Case{"start", 20 * kMiB, {{18 * kMiB, 2 * kMiB}}},
        Case{"middle", 40 * kMiB, {{0, kMiB}, {30 * kMiB, 10 * kMiB}}}, Case{"end", 9 * kMiB, {{0, kMiB / 2}}},
        Case{"all", 30 * kMiB, {}}, Case{"huge", 1u << 30, {{(1u << 30) - 4096, 4096}}},
        Case{"odd", 5 * kMiB + 13, {{kMiB, kMiB}, {5 * kMiB, 13}}}}) {
    const std::string path = base + "/" + c.name;
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT, 0644));
    ASSERT_EQ(ftruncate(fd.get(), static_cast<off_t>(c.size)), 0);
    std::uint64_t data_bytes = 0;
    for (auto [offset, length] : c.data) {
      ASSERT_OK(platform::pwrite_full(fd.get(), random_bytes(length, 7), offset));
      data_bytes += length;
    }
    auto reader = open_reader(path);
    ASSERT_OK(reader);
    std::uint64_t read_bytes = 0, covered = 0;
    Bytes buffer(kMiB);
    for (;;) {
      auto extent = reader->next_extent();
      ASSERT_OK(extent);
      if (extent->length == 0) break;
      EXPECT_EQ(extent->offset, covered);
      covered += extent->length;
      while (!extent->hole) {
        auto n = reader->read(buffer);
        ASSERT_OK(n);
        if (*n == 0) break;
        Bytes want(*n);
        ASSERT_OK(platform::pread_full(fd.get(), want, reader->position() - *n));
        EXPECT_TRUE(equal(ByteSpan(buffer).first(*n), want));
        read_bytes += *n;
      }
    }
    EXPECT_EQ(covered, c.size) << c.name;
    EXPECT_LE(read_bytes, data_bytes + 3 * 65536) << c.name;  // what the file system allocates around it
  }
}

TEST(FileReader, CutShortGrownAndRewound) {
  TempDirectory temp;
  const std::string path = temp / "file";
  Bytes bytes = random_bytes(3'000'000, 1);
  Fd writer = write_file(path, bytes);
  auto reader = open_reader(path);
  ASSERT_OK(reader);
  ASSERT_OK(reader->next_extent());
  Bytes buffer(1'000'000);
  ASSERT_EQ(*reader->read(buffer), buffer.size());
  ASSERT_EQ(ftruncate(writer.get(), 1'500'000), 0);
  EXPECT_EQ(*reader->read(buffer), 500'000u);
  EXPECT_EQ(*reader->read(buffer), 0u);
  EXPECT_EQ(reader->next_extent()->length, 0u);
  EXPECT_EQ(reader->position(), 1'500'000u);
  EXPECT_TRUE(*reader->changed());

  ASSERT_OK(reader->rewind());
  EXPECT_EQ(reader->status().stx_size, 1'500'000u);
  EXPECT_TRUE(equal(read_all(*reader), ByteSpan(bytes).first(1'500'000)));
  EXPECT_FALSE(*reader->changed());

  ASSERT_OK(reader->rewind());
  ASSERT_OK(platform::pwrite_full(writer.get(), bytes, 1'500'000));  // grows: only what was there at first is read
  EXPECT_EQ(read_all(*reader).size(), 1'500'000u);
  EXPECT_TRUE(*reader->changed());

  ASSERT_OK(reader->rewind());
  FileReader moved = std::move(*reader);
  EXPECT_EQ(read_all(moved).size(), 4'500'000u);
  timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
  ASSERT_EQ(futimens(writer.get(), times), 0);  // same size, other time
  EXPECT_TRUE(*moved.changed());
}

TEST(FileReader, LeavesTheCacheAsItWas) {
  LoopImage image("xfs");
  if (!image.mounted()) GTEST_SKIP() << "needs root and loop devices";
  constexpr std::uint64_t kMiB = 1u << 20;
  Fd writer(open((image / "file").c_str(), O_RDWR | O_CREAT, 0644));
  Bytes buffer = random_bytes(kMiB, 1);
  for (std::uint64_t at = 0; at < 40; ++at) ASSERT_OK(platform::pwrite_full(writer.get(), buffer, at * kMiB));
  fsync(writer.get());
  auto read = [&] {
    auto reader = open_reader(image / "file");
    ASSERT_OK(reader);
    ASSERT_OK(reader->next_extent());
    while (*reader->read(buffer) > 0) {
    }
    EXPECT_EQ(reader->position(), 40 * kMiB);
  };
  EXPECT_TRUE(in_one_of_a_few([&] {
    for (std::uint64_t at = 0; at < 40; ++at) EXPECT_OK(platform::pread_full(writer.get(), buffer, at * kMiB));
    read();
    return resident_pages(writer.get()) == 40 * kMiB / 4096;
  }));  // all was there, all stays

  evict(writer.get());
  ASSERT_EQ(resident_pages(writer.get()), 0u);
  read();
  for (std::uint64_t at = 0; at < 40; ++at)
    EXPECT_EQ(resident_pages(writer.get(), at * kMiB, (at + 1) * kMiB), 0u) << at;

  // Some pages in the middle are in use by others.
  posix_fadvise(writer.get(), 0, 0, POSIX_FADV_RANDOM);
  EXPECT_TRUE(in_one_of_a_few([&] {
    evict(writer.get());
    EXPECT_OK(platform::pread_full(writer.get(), buffer, 12 * kMiB));
    EXPECT_OK(platform::pread_full(writer.get(), buffer, 31 * kMiB));
    const auto before = resident_pages(writer.get());
    read();
    const auto after = resident_pages(writer.get());
    EXPECT_LE(before, 4 * kMiB / 4096);
    EXPECT_LE(after, before);
    return before >= 2 * kMiB / 4096 && after + 16 >= before;   // the kernel itself may move a page meanwhile
  }));
}

}  // namespace
}  // namespace coppice::capture
