// A wish to stop, asked by one thread (or a signal handler) and looked at by others at points where stopping is safe.
#pragma once

#include <atomic>

namespace coppice {

class CancelToken {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }  // async-signal-safe
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace coppice
