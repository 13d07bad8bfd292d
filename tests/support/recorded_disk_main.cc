// A disk that remembers, for tests of power loss: a file of one size, served by FUSE for a loop device to stand on. Every write and every
// flush is written to a log, from which `state` makes what such a disk may hold after its power was cut.
//
//   recorded_disk serve DIRECTORY IMAGE LOG    serves IMAGE as DIRECTORY/disk until it is unmounted. Text written to DIRECTORY/control:
//                                                mark TEXT          enters the log
//                                                bad OFFSET LENGTH  reading there fails with EIO from now on
//                                                good               nothing fails any more
//   recorded_disk list LOG                     a line for each record: its number, "write", "flush", or "mark TEXT"
//   recorded_disk state LOG IMAGE CUT SEED     IMAGE, as it was when the log began, becomes what may be left when the power goes before
//                                              record CUT: all that was written before the last flush, and of the rest, by SEED: 0 all,
//                                              1 nothing, else some of its sectors (of 4096 bytes, or of 512 when the seed is odd)
#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

enum class Kind : std::uint32_t { kWrite = 1, kFlush = 2, kMark = 3 };
struct Head {
  Kind kind;
  std::uint32_t length = 0;
  std::uint64_t offset = 0;
};
static_assert(sizeof(Head) == 16);

[[noreturn]] void die(const std::string& what) {
  fprintf(stderr, "recorded_disk: %s: %s\n", what.c_str(), strerror(errno));
  exit(2);
}

// ---- serve ----

int image = -1, record = -1;
std::mutex mutex;   // a flush covers what was written before it: one thing after the other
std::vector<std::pair<std::uint64_t, std::uint64_t>> bad;   // offset, length

void log(Head head, const void* bytes) {
  std::string out(reinterpret_cast<const char*>(&head), sizeof head);
  if (head.length > 0) out.append(static_cast<const char*>(bytes), head.length);
  if (write(record, out.data(), out.size()) != static_cast<ssize_t>(out.size())) die("the log");
}

bool is_disk(const char* path) { return strcmp(path, "/disk") == 0; }

int get_attributes(const char* path, struct stat* status, fuse_file_info*) {
  *status = {};
  status->st_mode = S_IFREG | 0600;
  status->st_nlink = 1;
  if (strcmp(path, "/") == 0) {
    status->st_mode = S_IFDIR | 0700;
  } else if (is_disk(path)) {
    struct stat of_image;
    if (fstat(image, &of_image) != 0) return -errno;
    status->st_size = of_image.st_size;
  } else if (strcmp(path, "/control") != 0) {
    return -ENOENT;
  }
  return 0;
}

int open_file(const char*, fuse_file_info* info) {
  info->direct_io = 1;   // each write comes at once, as it is
  return 0;
}

int read_file(const char* path, char* into, size_t size, off_t offset, fuse_file_info*) {
  if (!is_disk(path)) return 0;
  const std::lock_guard lock(mutex);
  for (const auto& [at, length] : bad)
    if (static_cast<std::uint64_t>(offset) < at + length && at < static_cast<std::uint64_t>(offset) + size) return -EIO;
  const ssize_t count = pread(image, into, size, offset);
  return count < 0 ? -errno : static_cast<int>(count);
}

int write_file(const char* path, const char* bytes, size_t size, off_t offset, fuse_file_info*) {
  const std::lock_guard lock(mutex);
  if (is_disk(path)) {
    if (pwrite(image, bytes, size, offset) != static_cast<ssize_t>(size)) return -EIO;
    log({Kind::kWrite, static_cast<std::uint32_t>(size), static_cast<std::uint64_t>(offset)}, bytes);
    return static_cast<int>(size);
  }
  std::string text(bytes, size);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::istringstream words(text);
  std::string word;
  words >> word;
  std::uint64_t at = 0, length = 0;
  if (word == "mark" && text.size() > 5)
    log({Kind::kMark, static_cast<std::uint32_t>(text.size() - 5)}, text.data() + 5);
  else if (word == "bad" && words >> at >> length)
    bad.emplace_back(at, length);
  else if (word == "good")
    bad.clear();
  else
    return -EINVAL;
  return static_cast<int>(size);
}

int flush_file(const char* path, int, fuse_file_info*) {
  const std::lock_guard lock(mutex);
  if (is_disk(path)) log({Kind::kFlush}, nullptr);
  return 0;
}

int truncate_file(const char* path, off_t, fuse_file_info*) { return is_disk(path) ? -EPERM : 0; }

int serve(char* program, char* directory) {
  fuse_operations operations{};
  operations.getattr = get_attributes;
  operations.open = open_file;
  operations.read = read_file;
  operations.write = write_file;
  operations.fsync = flush_file;
  operations.truncate = truncate_file;
  char foreground[] = "-f", single[] = "-s", option[] = "-o", name[] = "fsname=recorded_disk";
  char* arguments[] = {program, foreground, single, option, name, directory};
  return fuse_main(std::size(arguments), arguments, &operations, nullptr);
}

// ---- the log ----

void read_log(const char* path, const std::function<void(std::uint64_t number, const Head& head, const std::string& bytes)>& each) {
  FILE* file = fopen(path, "r");
  if (!file) die(path);
  Head head;
  std::string bytes;
  for (std::uint64_t number = 0; fread(&head, sizeof head, 1, file) == 1; ++number) {
    bytes.resize(head.length);
    if (head.length > 0 && fread(bytes.data(), head.length, 1, file) != 1) break;
    each(number, head, bytes);
  }
  fclose(file);
}

int list(const char* path) {
  read_log(path, [](std::uint64_t number, const Head& head, const std::string& bytes) {
    if (head.kind == Kind::kMark)
      printf("%lu mark %s\n", number, bytes.c_str());
    else
      printf("%lu %s\n", number, head.kind == Kind::kWrite ? "write" : "flush");
  });
  return 0;
}

int state(const char* path, std::uint64_t cut, std::uint64_t seed) {
  std::uint64_t flushed = 0;   // everything before this record stays
  read_log(path, [&](std::uint64_t number, const Head& head, const std::string&) {
    if (number < cut && head.kind == Kind::kFlush) flushed = number;
  });
  std::mt19937_64 random(seed);
  const std::uint64_t sector = seed % 2 ? 512 : 4096, kept = 1 + random() % 9;   // of ten
  const auto put = [](const std::string& bytes, std::uint64_t from, std::uint64_t length, std::uint64_t offset) {
    if (pwrite(image, bytes.data() + from, length, static_cast<off_t>(offset)) != static_cast<ssize_t>(length)) die("the image");
  };
  read_log(path, [&](std::uint64_t number, const Head& head, const std::string& bytes) {
    if (number >= cut || head.kind != Kind::kWrite) return;
    if (number < flushed || seed == 0) return put(bytes, 0, bytes.size(), head.offset);
    if (seed == 1) return;
    // A superblock that was torn in the middle is repaired by e2fsck from its copies: not what is tried here.
    const bool whole = random() % 2 || head.offset == 0, stays = random() % 10 < kept;   // of a write all or nothing, or some of its sectors
    for (std::uint64_t at = 0; at < bytes.size();) {
      const std::uint64_t end = std::min<std::uint64_t>(bytes.size(), (head.offset + at) / sector * sector + sector - head.offset);
      if (whole ? stays : random() % 10 < kept) put(bytes, at, end - at, head.offset + at);
      at = end;
    }
  });
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "serve" && argc == 5) {
    image = open(argv[3], O_RDWR | O_CLOEXEC);
    record = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (image < 0 || record < 0) die("opening");
    return serve(argv[0], argv[2]);
  }
  if (command == "list" && argc == 3) return list(argv[2]);
  if (command == "state" && argc == 6) {
    image = open(argv[3], O_RDWR | O_CLOEXEC);
    if (image < 0) die(argv[3]);
    return state(argv[2], strtoull(argv[4], nullptr, 10), strtoull(argv[5], nullptr, 10));
  }
  fprintf(stderr, "usage: recorded_disk serve DIRECTORY IMAGE LOG | list LOG | state LOG IMAGE CUT SEED\n");
  return 2;
}
