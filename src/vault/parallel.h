// Calls a function for every number below `count` from a few threads: for round trips, which should overlap.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace coppice::vault {

// Returns when all calls have. `each` is called from up to `threads` threads at once and must not throw.
template <class F>
void parallel_for(std::size_t count, unsigned threads, const F& each) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) each(i);
  };
  std::vector<std::jthread> helpers;
  const std::size_t wanted =
      std::min<std::size_t>(threads, count / 2);  // for a handful, a thread costs more than it saves
  for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(work);
  work();
}

}  // namespace coppice::vault
