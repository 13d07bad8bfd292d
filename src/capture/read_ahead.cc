#include "read_ahead.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <cerrno>

#include "capture/file_reader.h"

namespace coppice::capture {
namespace {

constexpr std::uint64_t kFileBytesMax = 1u << 20;         // the kernel's own readahead serves larger ones
constexpr std::uint64_t kUnderWayBytesMax = 64u << 20;    // page cache that we may fill for a moment
constexpr std::uint32_t kWarmInARowMax = 256;             // after so many that were there already, looking is a waste

}  // namespace

bool ReadAhead::fetch(int dir_fd, const char* name, const struct statx& scanned) {
  if (!active_.load(std::memory_order_relaxed)) return false;
  if (scanned.stx_size == 0 || scanned.stx_size > kFileBytesMax || is_sparse(scanned)) return false;
  if (under_way_.load(std::memory_order_relaxed) + scanned.stx_size > kUnderWayBytesMax) return false;
  const platform::Fd fd = open_to_read(dir_fd, name, scanned);
  if (!fd) return false;   // its turn will tell why
  char byte;
  iovec vector{.iov_base = &byte, .iov_len = 1};
  if (::preadv2(fd.get(), &vector, 1, 0, RWF_NOWAIT) >= 0 || errno != EAGAIN) {
    if (warm_in_a_row_.fetch_add(1, std::memory_order_relaxed) >= kWarmInARowMax) active_.store(false, std::memory_order_relaxed);
    return false;
  }
  warm_in_a_row_.store(0, std::memory_order_relaxed);
  if (::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_WILLNEED) != 0) return false;
  under_way_.fetch_add(scanned.stx_size, std::memory_order_relaxed);
  return true;
}

}  // namespace coppice::capture
