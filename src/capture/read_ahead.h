// Starts reading small files before their turn, where they turn out not to be in the page cache.
//
// A backup takes files one after the other; from a disk, each would then cost a round trip. The scanner's helpers run ahead of it, so they
// tell the kernel what will be wanted: many reads are under way at once, whatever the number of threads. With a warm cache
// this stays off, since it would cost three system calls a file for nothing. What was brought in here is evicted after it
// was read, as every page that a backup brings in. Thread-safe.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>

namespace coppice::capture {

class ReadAhead {
 public:
  // Whether `scanned`, a regular file, is being brought into the page cache now; tell consumed() when it has been read, or is not wanted.
  bool fetch(int dir_fd, const char* name, const struct statx& scanned);
  void consumed(const struct statx& scanned) { under_way_.fetch_sub(scanned.stx_size, std::memory_order_relaxed); }
  // A file of the source was (not) in the page cache when its turn came.
  void saw(bool cold) {
    if (cold) {
      warm_in_a_row_.store(0, std::memory_order_relaxed);
      active_.store(true, std::memory_order_relaxed);
    }
  }

 private:
  std::atomic<bool> active_{false};
  std::atomic<std::uint32_t> warm_in_a_row_{0};
  std::atomic<std::uint64_t> under_way_{0};   // bytes
};

}  // namespace coppice::capture
