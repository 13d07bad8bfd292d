#include "spill_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace coppice::restore {
namespace {

constexpr std::size_t kPageBytes = 4096;

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

}  // namespace

bool SpillMemory::full() const {
  MutexLock lock(mutex_);
  return full_;
}

// Null when there is no file to have it from. Its blocks are reserved: a page that finds no room when it is written out would kill us.
void* SpillMemory::from_file(std::size_t bytes) {
  if (!directory_) return nullptr;
  if (!file_) file_ = platform::Fd(::openat(directory_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file_ || ::fallocate(file_.get(), 0, static_cast<off_t>(file_bytes_), static_cast<off_t>(bytes)) != 0) return nullptr;
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), static_cast<off_t>(file_bytes_));
  if (at == MAP_FAILED) return nullptr;
  file_bytes_ += bytes;
  in_file_.push_back({at, bytes});
  return at;
}

void* SpillMemory::do_allocate(std::size_t asked, std::size_t alignment) {
  const std::size_t bytes = whole_pages(asked);
  if (alignment > kPageBytes) throw std::bad_alloc();
  MutexLock lock(mutex_);
  if (resident_ + bytes > resident_max_) {
    if (void* at = from_file(bytes)) return at;
    full_ = true;
  }
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  resident_ += bytes;
  return at;
}

void SpillMemory::do_deallocate(void* at, std::size_t asked, std::size_t) {
  const std::size_t bytes = whole_pages(asked);
  MutexLock lock(mutex_);
  ::munmap(at, bytes);
  if (std::erase_if(in_file_, [&](const Block& block) { return block.at == at; }) == 0) resident_ -= bytes;
}

}  // namespace coppice::restore
