// Loops around the calls that may do less than asked or be interrupted, and the durable replacement of a file.
#include "platform/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <utility>

#include "foundation/encoding.h"
#include "platform/entropy.h"

namespace coppice::platform {
namespace {

// Calls `step(span, done)` until the span is used up, it answers 0 (end), or it fails.
template <class Span, class Step>
Result<std::size_t> transfer_all(Span span, const char* what, Step step) {
  std::size_t done = 0;
  while (done < span.size()) {
    const ssize_t count = step(span.subspan(done), done);
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, what);
    }
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

Result<> require_all(Result<std::size_t> done, std::size_t wanted) {
  if (!done) return std::unexpected<Error>(std::move(done).error());
  if (*done != wanted) return fail(ErrorKind::kUnavailable, "write: the device took no more bytes");
  return {};
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string temporary_name() {
  std::array<std::byte, 8> random;
  system_entropy().fill(random);
  return fmt::format(".tmp-{}-{}", getpid(), render_hex(random));
}

// Removes a temporary unless it was renamed away.
class TemporaryGuard {
 public:
  TemporaryGuard(int dir_fd, std::string name) : dir_fd_(dir_fd), name_(std::move(name)) {}
  TemporaryGuard(const TemporaryGuard&) = delete;
  TemporaryGuard& operator=(const TemporaryGuard&) = delete;
  ~TemporaryGuard() {
    if (!name_.empty()) unlinkat(dir_fd_, name_.c_str(), 0);
  }
  void keep() { name_.clear(); }

 private:
  int dir_fd_;
  std::string name_;
};

Result<> replace_file(const std::string& path, ByteSpan bytes, mode_t mode) {
  const std::size_t slash = path.find_last_of('/');
  const std::string base = slash == std::string::npos ? path : path.substr(slash + 1);
  if (base.empty()) return fail(ErrorKind::kInvalid, "names no file");
  const Fd directory = TRY(open_at(AT_FDCWD, parent_of(path).c_str(), O_RDONLY | O_DIRECTORY));
  const std::string temporary = temporary_name();
  const Fd file = TRY(open_at(directory.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  TemporaryGuard guard(directory.get(), temporary);
  if ((mode & 077) != 0 && fchmod(file.get(), mode) != 0) return fail_errno(errno, "chmod");  // whatever the umask takes away
  TRY(write_full(file.get(), bytes));
  TRY(sync_fd(file.get()));
  if (renameat(directory.get(), temporary.c_str(), directory.get(), base.c_str()) != 0) return fail_errno(errno, "rename");
  guard.keep();
  return sync_fd(directory.get());
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));  // not repeated on EINTR: on Linux the descriptor is gone then, too
}

Result<Fd> open_at(int dir_fd, const char* path, int flags, mode_t mode) {
  for (;;) {
    const int fd = openat(dir_fd, path, flags | O_CLOEXEC, mode);
    if (fd >= 0) return Fd(fd);
    if (errno != EINTR) return fail_errno(errno, path);
  }
}

Result<std::size_t> read_full(int fd, MutableByteSpan into) {
  return transfer_all(into, "read", [&](MutableByteSpan rest, std::size_t) { return read(fd, rest.data(), rest.size()); });
}

Result<std::size_t> pread_full(int fd, MutableByteSpan into, std::uint64_t offset) {
  return transfer_all(into, "read", [&](MutableByteSpan rest, std::size_t done) {
    return pread(fd, rest.data(), rest.size(), static_cast<off_t>(offset + done));
  });
}

Result<> write_full(int fd, ByteSpan bytes) {
  return require_all(transfer_all(bytes, "write",
                                  [&](ByteSpan rest, std::size_t) { return write(fd, rest.data(), rest.size()); }),
                     bytes.size());
}

Result<> pwrite_full(int fd, ByteSpan bytes, std::uint64_t offset) {
  return require_all(transfer_all(bytes, "write",
                                  [&](ByteSpan rest, std::size_t done) {
                                    return pwrite(fd, rest.data(), rest.size(), static_cast<off_t>(offset + done));
                                  }),
                     bytes.size());
}

// Never repeated: Linux reports a lost write once and then forgets it, so a second fsync would succeed over lost data.
Result<> sync_fd(int fd) {
  if (fsync(fd) != 0) return fail_errno(errno, "fsync");
  return {};
}

Result<Bytes> read_file(const std::string& path, std::size_t bytes_max) {
  const Fd file = TRY(open_at(AT_FDCWD, path.c_str(), O_RDONLY));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, path);
  const auto too_large = [&] {
    return fail(ErrorKind::kInvalid, fmt::format("{}: larger than {} bytes", path, bytes_max));
  };
  if (S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) > bytes_max) return too_large();
  // The size is only a first guess: files of /proc have none, and a file may grow meanwhile. The end is where read says.
  constexpr std::size_t kFirstGuessBytes = 4096;
  Bytes bytes(std::min(bytes_max, std::max<std::size_t>(kFirstGuessBytes, static_cast<std::size_t>(status.st_size))));
  std::size_t used = 0;
  for (;;) {
    used += TRY(within(read_full(file.get(), MutableByteSpan(bytes).subspan(used)), path));
    if (used < bytes.size()) break;
    if (used == bytes_max) {
      std::array<std::byte, 1> beyond;
      if (TRY(within(read_full(file.get(), beyond), path)) != 0) return too_large();
      break;
    }
    bytes.resize(bytes.size() <= bytes_max / 2 ? bytes.size() * 2 : bytes_max);
  }
  bytes.resize(used);
  return bytes;
}

Result<Fd> lock_directory(const std::string& path, std::chrono::milliseconds patience) {
  Fd directory = TRY(open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY));
  constexpr std::chrono::milliseconds kStep(20);
  for (auto waited = std::chrono::milliseconds(0);; waited += kStep) {
    if (flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno(errno, "locking " + path);
    if (waited >= patience) return fail(ErrorKind::kUnavailable, path + " is locked by another program, which may have been stopped");
    std::this_thread::sleep_for(kStep);
  }
}

Result<> write_file_durably(const std::string& path, ByteSpan bytes, mode_t mode) {
  return within(replace_file(path, bytes, mode), path);
}

Result<> make_directories(const std::string& path, mode_t mode) {
  if (path.empty()) return fail(ErrorKind::kInvalid, "names no directory");
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), mode) == 0) continue;
    const int error_number = errno;
    // Not only EEXIST: on a read-only file system mkdir of what exists may say EROFS, and at "/" EISDIR.
    struct stat status {};
    if (stat(part.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
    return fail_errno(error_number, part);
  }
  return {};
}

Result<std::uint64_t> free_bytes(const std::string& path) {
  struct statvfs status {};
  if (statvfs(path.c_str(), &status) != 0) return fail_errno(errno, path);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::string join_path(std::string_view a, std::string_view b) {
  if (a.empty()) return std::string(b);
  const std::size_t start = b.find_first_not_of('/');
  if (start == std::string_view::npos) return std::string(a);
  std::string path(a);
  if (!path.ends_with('/')) path += '/';
  path += b.substr(start);
  return path;
}

bool kernel_is_at_least(unsigned major, unsigned minor) {
  struct utsname name;
  unsigned major_here = 0, minor_here = 0;
  if (::uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &major_here, &minor_here) != 2) return false;
  return std::pair(major_here, minor_here) >= std::pair(major, minor);
}

}  // namespace coppice::platform
