// Files by descriptor. Nothing here follows a policy: callers choose flags and order.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice::platform {

// Owns one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// openat(2), restarted on EINTR, always O_CLOEXEC. `path` names the file in errors only through its own text.
Result<Fd> open_at(int dir_fd, const char* path, int flags, mode_t mode = 0);
// Reads until the span is full or the file ends; returns the count read.
Result<std::size_t> read_full(int fd, MutableByteSpan into);
Result<std::size_t> pread_full(int fd, MutableByteSpan into, std::uint64_t offset);
Result<> write_full(int fd, ByteSpan bytes);
Result<> pwrite_full(int fd, ByteSpan bytes, std::uint64_t offset);
Result<> sync_fd(int fd);                          // fsync; a failure means: not stored
// The whole of a file that may not be larger than `bytes_max` (kInvalid beyond it).
Result<Bytes> read_file(const std::string& path, std::size_t bytes_max);
// Replaces or creates `path` durably: temporary beside it (0600 or `mode` from its first moment), write, fsync, rename,
// fsync of the directory. On failure the old file is untouched.
Result<> write_file_durably(const std::string& path, ByteSpan bytes, mode_t mode = 0600);
// Waits until this directory is locked by nobody else (flock); it is ours until the descriptor is closed. kUnavailable: another program has held
// it for as long as we have patience; it may be stopped.
Result<Fd> lock_directory(const std::string& path, std::chrono::milliseconds patience = std::chrono::seconds(10));
// mkdir -p with `mode` for what is new.
Result<> make_directories(const std::string& path, mode_t mode);
// Bytes free to this process on the file system of `path`.
Result<std::uint64_t> free_bytes(const std::string& path);
// "a/b", one slash between, whatever slashes a ends and b begins with: b never escapes from a. An empty part is left out.
std::string join_path(std::string_view a, std::string_view b);
// By uname(2).
bool kernel_is_at_least(unsigned major, unsigned minor);

}  // namespace coppice::platform
