// How fast a session stores packs: a bucket that holds no more than what flows into it while somebody waits.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "foundation/cancel.h"

namespace coppice::vault {

// For one thread. `stop` must outlive it.
class RateLimit {
 public:
  // `bytes_a_second` 0: no limit. `cancel` may be null.
  RateLimit(std::uint64_t bytes_a_second, const CancelToken* cancel, const std::atomic<bool>& stop)
      : bytes_a_second_(bytes_a_second), cancel_(cancel), stop_(stop) {}
  bool is_limited() const { return bytes_a_second_ > 0 && !ended(); }
  // Returns when `bytes` may leave; at once when cancelled or stopped, and from then on always.
  void wait_for(std::size_t bytes) {
    if (bytes_a_second_ == 0) return;
    using Clock = std::chrono::steady_clock;
    due_ = std::max(due_, Clock::now()) + std::chrono::microseconds(bytes * 1'000'000 / bytes_a_second_);
    while (!ended() && Clock::now() < due_)
      std::this_thread::sleep_for(std::min<Clock::duration>(due_ - Clock::now(), std::chrono::milliseconds(20)));
  }

 private:
  bool ended() const { return stop_.load(std::memory_order_relaxed) || (cancel_ && cancel_->cancelled()); }

  const std::uint64_t bytes_a_second_;
  const CancelToken* cancel_;
  const std::atomic<bool>& stop_;
  std::chrono::steady_clock::time_point due_{};
};

}  // namespace coppice::vault
