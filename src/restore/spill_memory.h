// Memory for a table that may outgrow its share: the first bytes are ordinary memory, what comes after lies in an unnamed file, which the
// kernel writes out and drops from memory as it needs to. For pools above it: it hands out whole pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include "foundation/mutex.h"
#include "platform/file.h"

namespace coppice::restore {

// Thread-safe.
class SpillMemory : public std::pmr::memory_resource {
 public:
  // The file is made (and has no name) in `directory`, when it is needed; without a directory there is none.
  SpillMemory(platform::Fd directory, std::uint64_t resident_max) : directory_(std::move(directory)), resident_max_(resident_max) {}
  // The share is used up and the file cannot be made or grow. What is asked for all the same comes from ordinary memory.
  bool full() const;

 private:
  struct Block {
    void* at;
    std::size_t bytes;
  };
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* at, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
  void* from_file(std::size_t bytes) REQUIRES(mutex_);

  const platform::Fd directory_;
  const std::uint64_t resident_max_;
  mutable Mutex mutex_;
  platform::Fd file_ GUARDED_BY(mutex_);
  std::uint64_t resident_ GUARDED_BY(mutex_) = 0, file_bytes_ GUARDED_BY(mutex_) = 0;
  std::vector<Block> in_file_ GUARDED_BY(mutex_);
  bool full_ GUARDED_BY(mutex_) = false;
};

}  // namespace coppice::restore
