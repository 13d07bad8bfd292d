// See the header for the idea. Offsets are explicit (pread): the descriptor's own position belongs to SEEK_DATA and
// SEEK_HOLE.
#include "capture/file_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <utility>

#include "capture/metadata.h"
#include "foundation/check.h"
#include "vault/cutter.h"

namespace coppice::capture {

namespace {
constexpr std::uint64_t kSequentialHintBytes = 1u << 20;  // below, the kernel's readahead reaches the end anyway
constexpr int kLeaseWaits = 200;  // of 25 ms: a lease holder (a Samba client) gets that long to let go

std::uint64_t page_bytes() {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

// Pages of a range in the page cache, by cachestat(2); nothing where the kernel has no such call (before 6.5) or
// refuses. It counts whole folios, where mincore looks at each page: a tenth of the cost.
std::optional<std::uint64_t> count_cached(int fd, std::uint64_t offset, std::uint64_t length) {
  constexpr long kCachestat = 451;  // on every architecture; the C library has no name for it yet
  struct {
    std::uint64_t offset, length;
  } range{.offset = offset, .length = length};
  struct {
    std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } counts{};
  static std::atomic<bool> missing{false};
  if (missing.load(std::memory_order_relaxed)) return std::nullopt;
  if (::syscall(kCachestat, fd, &range, &counts, 0u) == 0) return counts.cached;
  if (errno == ENOSYS) missing.store(true, std::memory_order_relaxed);
  return std::nullopt;
}

bool same_time(const statx_timestamp& a, const statx_timestamp& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool same_object(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor &&
         (a.stx_mode & S_IFMT) == (b.stx_mode & S_IFMT);
}

// O_NOATIME is for owners and CAP_FOWNER only. Once refused for a file of another user it is not tried for such files
// again.
int open_regular(int dir_fd, const char* name, std::uint32_t owner) {
  static std::atomic<bool> foreign_noatime_refused{false};
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  static const std::uint32_t me = ::geteuid();  // a stale one costs a system call, no more
  bool foreign = owner != me;
  if (!foreign || !foreign_noatime_refused.load(std::memory_order_relaxed)) {
    int fd = ::openat(dir_fd, name, kFlags | O_NOATIME);
    if (fd >= 0 || errno != EPERM) return fd;
    if (foreign) foreign_noatime_refused.store(true, std::memory_order_relaxed);
  }
  return ::openat(dir_fd, name, kFlags);
}

// A store through a mapping (mmap) changes the times when it makes the page dirty; those that follow change nothing until the page was
// written to the disk. So pages of a file that changed lately are written now: what is stored after that shows. Not on tmpfs, which has no
// disk; and not those of small files that are new, of which there may be very many, and each costs 25 us (docs/fidelity.md tells of both).
void let_later_stores_show(int fd, const struct statx& scanned) {
  constexpr std::int64_t kDirtySecondsMax = 300;   // the kernel writes pages after half a minute, when all is well
  constexpr std::int64_t kNewSeconds = 60;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  const std::int64_t changed = std::max(scanned.stx_mtime.tv_sec, scanned.stx_ctime.tv_sec);
  const bool is_new = (scanned.stx_mask & STATX_BTIME) != 0 && changed - scanned.stx_btime.tv_sec < kNewSeconds;
  if (changed + kDirtySecondsMax < now.tv_sec || (is_new && scanned.stx_size < vault::kSmallFileBytesMax)) return;
  (void)::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

// What was scanned, opened; whether it is still the same object the caller asks the descriptor.
Result<platform::Fd> open_scanned(int dir_fd, const char* name, const struct statx& scanned) {
  for (int waits = 0;;) {
    int fd = open_regular(dir_fd, name, scanned.stx_uid);
    if (fd >= 0) {
      let_later_stores_show(fd, scanned);
      return platform::Fd(fd);
    }
    int error = errno;
    if (error == EINTR) continue;
    if (error == EWOULDBLOCK && waits++ < kLeaseWaits) {  // a lease: the kernel has asked its holder to give way
      timespec pause{.tv_sec = 0, .tv_nsec = 25'000'000};
      ::nanosleep(&pause, nullptr);
      continue;
    }
    if (error == EWOULDBLOCK)
      return fail(ErrorKind::kUnavailable, "opening: another process holds a lease on the file");
    if (error == ELOOP || error == ENXIO || error == ENODEV)
      return fail(ErrorKind::kConflict, "replaced by another object");
    if (error == ESTALE || error == ENOTDIR) return fail(ErrorKind::kNotFound, "opening: removed since it was listed");
    return fail_errno(error, "opening");
  }
}

Result<> stat_scanned(int fd, const struct statx& scanned, struct statx& now) {
  if (::statx(fd, "", AT_EMPTY_PATH, kStatxMask, &now) != 0) return fail_errno(errno, "looking at the open file");
  if (!same_object(scanned, now)) return fail(ErrorKind::kConflict, "replaced by another object");
  return {};
}
}  // namespace

bool same_version(const struct statx& a, const struct statx& b) {
  return same_object(a, b) && a.stx_size == b.stx_size && same_time(a.stx_mtime, b.stx_mtime) &&
         same_time(a.stx_ctime, b.stx_ctime);
}

platform::Fd open_to_read(int dir_fd, const char* name, const struct statx& scanned) {
  return platform::Fd(open_regular(dir_fd, name, scanned.stx_uid));
}

Result<SmallFile> read_small_file(int dir_fd, const char* name, const struct statx& scanned, MutableByteSpan into,
                                  Residence residence) {
  SmallFile file;
  file.fd = TRY(open_scanned(dir_fd, name, scanned));
  // The first read takes only what is resident. If that is nothing, then what the file occupies in the cache afterwards
  // is ours to evict; if it is a part, the rest is left there too: it is little, and someone uses the file.
  iovec vector{.iov_base = into.data(), .iov_len = into.size()};
  ssize_t n = ::preadv2(file.fd.get(), &vector, 1, 0, RWF_NOWAIT);
  file.cold = n < 0 && errno == EAGAIN && residence == Residence::kAsFound;
  const bool evict = file.cold || residence == Residence::kFetched;
  if (n < 0 || (static_cast<std::size_t>(n) < into.size() && static_cast<std::uint64_t>(n) < scanned.stx_size)) {
    file.bytes = n < 0 ? 0 : static_cast<std::size_t>(n);
    auto rest = platform::pread_full(file.fd.get(), into.subspan(file.bytes), file.bytes);
    if (!rest) {
      TRY(stat_scanned(file.fd.get(), scanned, file.status));  // what has the name now may not be made for reading
      return std::unexpected(std::move(rest).error().within("reading"));
    }
    file.bytes += *rest;
  } else {
    file.bytes = static_cast<std::size_t>(n);
  }
  if (evict) (void)::posix_fadvise(file.fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  TRY(stat_scanned(file.fd.get(), scanned, file.status));
  file.changed = !same_version(scanned, file.status) || file.bytes != file.status.stx_size;
  return file;
}

FileReader::FileReader(platform::Fd fd, const struct statx& status, Residence residence)
    : fd_(std::move(fd)), status_(status), residence_(residence) {
  start();
}

FileReader::~FileReader() {
  if (!fd_) return;  // moved from
  for (Window& window : windows_) leave(window);
}

Result<FileReader> FileReader::open(int dir_fd, const char* name, const struct statx& scanned, Residence residence) {
  auto fd = TRY(open_scanned(dir_fd, name, scanned));
  struct statx now;
  TRY(stat_scanned(fd.get(), scanned, now));
  return FileReader(std::move(fd), now, residence);
}

void FileReader::start() {
  sparse_ = is_sparse(status_);
  cut_short_ = false;
  position_ = extent_end_ = 0;
  entered_ = UINT64_MAX;
  if (status_.stx_size > kSequentialHintBytes) (void)::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

Result<> FileReader::rewind() {
  for (Window& window : windows_) leave(window);
  struct statx now;
  TRY(stat_scanned(fd_.get(), status_, now));
  status_ = now;
  start();
  return {};
}

Result<bool> FileReader::changed() {
  struct statx now;
  TRY(stat_scanned(fd_.get(), status_, now));
  return cut_short_ || !same_version(status_, now);
}

Result<Extent> FileReader::next_extent() {
  CHECK(position_ == extent_end_);
  std::uint64_t size = status_.stx_size;
  if (cut_short_ || position_ >= size) return Extent{.offset = position_};
  std::uint64_t data = position_, hole = size;
  if (sparse_) {
    off_t at = ::lseek(fd_.get(), static_cast<off_t>(position_), SEEK_DATA);
    if (at >= 0) {
      data = std::min(static_cast<std::uint64_t>(at), size);
    } else if (errno == ENXIO) {
      data = size;  // a hole up to the end (or a file cut short: changed() tells)
    } else {
      sparse_ = false;  // a file system without this facility: everything is data
    }
  }
  if (data > position_) {
    Extent extent{.offset = position_, .length = data - position_, .hole = true};
    position_ = extent_end_ = data;
    return extent;
  }
  if (sparse_) {
    off_t at = ::lseek(fd_.get(), static_cast<off_t>(position_), SEEK_HOLE);
    // At the position itself: what was data a moment ago was punched; it reads as zeros, so it is taken as data up to
    // the size.
    if (at > static_cast<off_t>(position_)) hole = std::min(static_cast<std::uint64_t>(at), size);
  }
  extent_end_ = hole;
  return Extent{.offset = position_, .length = hole - position_, .hole = false};
}

Result<std::size_t> FileReader::read(MutableByteSpan into) {
  std::size_t done = 0;
  while (done < into.size() && position_ < extent_end_) {
    std::uint64_t window = position_ / kWindowBytes;
    enter(window);
    std::uint64_t end = std::min({extent_end_, (window + 1) * kWindowBytes, position_ + (into.size() - done)});
    auto part = into.subspan(done, static_cast<std::size_t>(end - position_));
    std::size_t n = TRY(within(platform::pread_full(fd_.get(), part, position_), "reading"));
    position_ += n;
    done += n;
    if (n < part.size()) {
      cut_short_ = true;
      extent_end_ = position_;
    }
  }
  return done;
}

void FileReader::enter(std::uint64_t number) {
  if (entered_ == number) return;
  entered_ = number;
  // The slot of the furthest window is that of the one just left behind.
  for (std::uint64_t n = number; n < number + windows_.size(); ++n) {
    Window& window = windows_[n % windows_.size()];
    if (window.number == n) continue;
    leave(window);
    look_at(window, n);
  }
}

void FileReader::look_at(Window& window, std::uint64_t number) {
  window.number = number;
  window.all_resident = true;  // also when it cannot be known
  std::uint64_t begin = number * kWindowBytes;
  if (begin >= status_.stx_size) return;
  std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(kWindowBytes, status_.stx_size - begin));
  std::size_t count = (length + page_bytes() - 1) / page_bytes();
  auto cached = residence_ == Residence::kFetched ? 0 : count_cached(fd_.get(), begin, length);
  if (cached && *cached >= count) return;
  window.resident.reset();
  if (cached && *cached == 0) {
    window.all_resident = false;
    return;
  }
  void* mapping = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd_.get(), static_cast<off_t>(begin));
  if (mapping == MAP_FAILED) return;
  std::array<unsigned char, kWindowBytes / kPageBytesMin> pages;
  bool known = ::mincore(mapping, length, pages.data()) == 0;
  ::munmap(mapping, length);
  if (!known) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (pages[i] & 1) {
      window.resident.set(i);
    } else {
      window.all_resident = false;
    }
  }
}

void FileReader::leave(Window& window) {
  if (window.number == UINT64_MAX) return;
  std::uint64_t number = std::exchange(window.number, UINT64_MAX);
  if (window.all_resident) return;
  std::uint64_t begin = number * kWindowBytes;
  std::size_t count = kWindowBytes / page_bytes();
  for (std::size_t i = 0; i < count;) {
    if (window.resident.test(i)) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    while (end < count && !window.resident.test(end)) ++end;
    (void)::posix_fadvise(fd_.get(), static_cast<off_t>(begin + i * page_bytes()),
                          static_cast<off_t>((end - i) * page_bytes()), POSIX_FADV_DONTNEED);
    i = end;
  }
}

}  // namespace coppice::capture
