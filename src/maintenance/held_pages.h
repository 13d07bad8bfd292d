// How much the directories on the way down may hold. A walk keeps the open page of every directory above the one it reads, and pages may be
// two megabytes in trees that are 65,536 levels deep: beyond a budget the uppermost directories let their pages go, and read them again when
// the walk comes back to them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace coppice::maintenance {

inline constexpr std::uint64_t kHeldPageBytesMax = 16u << 20;

class HeldPages {
 public:
  explicit HeldPages(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  // The walk goes below the directory at `depth`, which holds `bytes`. Calls `let_go(d)` for those that must, from the top.
  template <class F>
  void go_below(std::size_t depth, std::uint64_t bytes, const F& let_go) {
    if (held_.size() <= depth) held_.resize(depth + 1);
    held_[depth] = bytes;
    total_ += bytes;
    for (first_ = std::min(first_, depth); total_ > bytes_max_ && first_ <= depth; ++first_) {
      if (held_[first_] == 0) continue;
      total_ -= held_[first_];
      held_[first_] = 0;
      let_go(first_);
    }
  }
  // The walk is at the directory at `depth` again.
  void come_back(std::size_t depth) {
    if (depth >= held_.size()) return;
    total_ -= held_[depth];
    held_[depth] = 0;
  }

 private:
  const std::uint64_t bytes_max_;
  std::vector<std::uint64_t> held_;   // by depth
  std::uint64_t total_ = 0;
  std::size_t first_ = 0;             // none above it holds anything
};

}  // namespace coppice::maintenance
