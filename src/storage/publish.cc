// A temporary is written and flushed, then linked to its name: link(2) fails when the name is taken, which makes the put
// conditional, and the name appears with the whole file behind it.
//
// A writer holds flock(2) on its temporary as long as it lives. That, not its age or process id, tells a sweeper that a
// temporary is abandoned: it is true across containers, and no clock decides.
#include "publish_internal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "foundation/encoding.h"
#include "platform/entropy.h"
#include "platform/file.h"

namespace coppice::storage {
namespace {

constexpr mode_t kObjectMode = 0400;
constexpr int kTemporaryAttemptsMax = 16;

// A locked, empty file that is unlinked when this goes, unless it was renamed away.
class Temporary {
 public:
  static Result<Temporary> create(int dir_fd) {
    for (int attempt = 0; attempt < kTemporaryAttemptsMax; ++attempt) {
      std::string name = new_temporary_name();
      platform::Fd file =
          TRY(platform::open_at(dir_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kObjectMode));
      Temporary temporary(dir_fd, std::move(name), std::move(file));
      // A sweeper may come between creation and lock. Then either it holds the lock now, or the file is already nameless.
      if (flock(temporary.fd(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
      if (temporary.links() == 1) return temporary;
    }
    return fail(ErrorKind::kUnavailable, "temporary files vanish as soon as they are made");
  }
  Temporary(Temporary&& other) noexcept
      : dir_fd_(other.dir_fd_), name_(std::exchange(other.name_, {})), file_(std::move(other.file_)) {}
  ~Temporary() {
    if (!name_.empty()) unlinkat(dir_fd_, name_.c_str(), 0);
  }
  int fd() const { return file_.get(); }
  const char* name() const { return name_.c_str(); }
  nlink_t links() const {
    struct stat status {};
    return fstat(file_.get(), &status) == 0 ? status.st_nlink : 0;
  }
  void renamed() { name_.clear(); }

 private:
  Temporary(int dir_fd, std::string name, platform::Fd file)
      : dir_fd_(dir_fd), name_(std::move(name)), file_(std::move(file)) {}

  int dir_fd_;
  std::string name_;
  platform::Fd file_;
};

bool means_no_hard_links(int error_number) {
  return error_number == EPERM || error_number == EOPNOTSUPP || error_number == ENOSYS || error_number == EMLINK;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Writes `bytes` to the empty file `fd`. What is large goes around the page cache where the file system lets it (O_DIRECT): nobody reads a
// pack soon, the host's cache stays what it was, and the kernel does not copy it a page at a time. The end that fills no
// whole unit, and everything where a direct write is refused, goes the ordinary way.
Result<> write_around_the_cache(int fd, ByteSpan bytes) {
  constexpr std::size_t kUnit = 4096, kPieceBytes = 4u << 20;   // of disks and file systems: offsets, lengths, addresses
  std::size_t done = 0;
  const int flags = fcntl(fd, F_GETFL);
  if (bytes.size() >= kPieceBytes / 4 && flags >= 0 && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0) {
    // From where it lies, if that is aligned (a pack is), else by way of a piece that is.
    const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % kUnit == 0;
    const std::unique_ptr<void, Free> piece(aligned ? nullptr : std::aligned_alloc(kUnit, kPieceBytes));
    const std::size_t end = bytes.size() / kUnit * kUnit;
    while ((aligned || piece) && done < end) {
      const std::size_t n = std::min(kPieceBytes, end - done);
      if (piece) std::memcpy(piece.get(), bytes.data() + done, n);
      const ssize_t written = pwrite(fd, piece ? piece.get() : bytes.data() + done, n, static_cast<off_t>(done));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0 || static_cast<std::size_t>(written) % kUnit != 0) break;   // the ordinary way says what is wrong, if it is still
      done += static_cast<std::size_t>(written);
    }
    if (fcntl(fd, F_SETFL, flags) != 0) return fail_errno(errno, "fcntl");
  }
  return platform::pwrite_full(fd, bytes.subspan(done), done);
}

Result<> write_paced(int fd, ByteSpan bytes, const Pace& pace) {
  for (std::size_t at = 0; at < bytes.size(); at += kPaceBytes) {
    const ByteSpan slice = bytes.subspan(at, std::min(kPaceBytes, bytes.size() - at));
    pace(slice.size());
    TRY(platform::write_full(fd, slice));
    TRY(platform::sync_fd(fd));
  }
  return {};
}

std::unexpected<Error> taken() { return fail(ErrorKind::kConflict, "the name is taken"); }

Result<> rename_if_free(Temporary& temporary, int dir_fd, const std::string& name) {
  if (renameat2(dir_fd, temporary.name(), dir_fd, name.c_str(), RENAME_NOREPLACE) == 0) {
    temporary.renamed();
    return {};
  }
  if (errno == EEXIST) return taken();
  if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
    return fail(ErrorKind::kUnsupported, "the file system has neither hard links nor RENAME_NOREPLACE");
  return fail_errno(errno, "rename");
}

Result<> give_name(Temporary& temporary, int dir_fd, const std::string& name) {
  if (linkat(dir_fd, temporary.name(), dir_fd, name.c_str(), 0) == 0) return {};
  const int error_number = errno;
  if (error_number == EEXIST) {
    // NFS repeats a request whose answer was lost, and then finds its own link in the way.
    if (temporary.links() > 1) return {};
    return taken();
  }
  if (means_no_hard_links(error_number)) return rename_if_free(temporary, dir_fd, name);
  if (error_number == ENOENT) return fail(ErrorKind::kUnavailable, "the temporary file was removed by someone else");
  return fail_errno(error_number, "link");
}

}  // namespace

std::string new_temporary_name() {
  std::array<std::byte, 8> random;
  platform::system_entropy().fill(random);
  return fmt::format("{}{}-{}", kTemporaryPrefix, getpid(), render_hex(random));
}

Result<> publish_file(int dir_fd, const std::string& name, ByteSpan bytes, const Pace& pace) {
  Temporary temporary = TRY(Temporary::create(dir_fd));
  if (pace)
    TRY(write_paced(temporary.fd(), bytes, pace));
  else
    TRY(write_around_the_cache(temporary.fd(), bytes));
  TRY(platform::sync_fd(temporary.fd()));
  return give_name(temporary, dir_fd, name);
}

void sweep_temporary(int dir_fd, const std::string& name) {
  const auto file = platform::open_at(dir_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (file && flock(file->get(), LOCK_EX | LOCK_NB) == 0) unlinkat(dir_fd, name.c_str(), 0);
}

}  // namespace coppice::storage
