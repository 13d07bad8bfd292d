// Memory that is handed out piece by piece and taken back all at once: a plan record costs no allocation of its own.
// Destructors are not run: only for what needs none.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coppice::restore {

class Arena {
 public:
  explicit Arena(std::size_t block_bytes = 256u << 10) : block_bytes_(block_bytes) {}

  void* allocate(std::size_t bytes, std::size_t alignment) {
    at_ = (at_ + alignment - 1) & ~(alignment - 1);
    if (at_ + bytes > limit_) next_block(bytes);
    void* p = current_ + at_;
    at_ += bytes;
    return p;
  }

  template <class T, class... Args>
  T* create(Args&&... args) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    return ::new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }

  // A copy with a NUL behind it, as system calls want it.
  const char* copy_text(std::string_view text) {
    char* p = static_cast<char*>(allocate(text.size() + 1, 1));
    std::memcpy(p, text.data(), text.size());
    p[text.size()] = '\0';
    return p;
  }

  std::size_t bytes() const { return full_ + at_; }

  // Everything handed out is invalid from here. Ordinary blocks are kept for the next use.
  void reset() {
    large_.clear();
    used_ = 0;
    full_ = at_ = limit_ = 0;
    current_ = nullptr;
  }

 private:
  void next_block(std::size_t bytes) {
    full_ += at_;
    at_ = 0;
    if (bytes > block_bytes_) {  // its own block, which is full with it
      large_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
      current_ = large_.back().get();
      limit_ = bytes;
      return;
    }
    if (used_ == blocks_.size()) blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(block_bytes_));
    current_ = blocks_[used_++].get();
    limit_ = block_bytes_;
  }

  const std::size_t block_bytes_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_, large_;
  std::size_t used_ = 0;  // of blocks_
  std::byte* current_ = nullptr;
  std::size_t at_ = 0, limit_ = 0;  // in current_
  std::size_t full_ = 0;            // bytes handed out from the blocks before
};

}  // namespace coppice::restore
