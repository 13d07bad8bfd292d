// Joins two pipeline stages: what waits costs at most `capacity` together; a full queue slows its producer down.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "foundation/mutex.h"

namespace coppice {

// Any number of producers and consumers. What an item costs (bytes, or one each) is the producer's to say; one that costs more than the
// capacity waits alone.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Blocks while full. False when the queue was closed: the item was not taken.
  bool push(T item, std::size_t cost = 1) {
    MutexLock lock(mutex_);
    while (!fits(cost) && !closed_) not_full_.wait(mutex_);
    if (closed_) return false;
    add(std::move(item), cost);
    return true;
  }

  // False when the queue is full or closed: the item was not taken.
  bool try_push(T& item, std::size_t cost = 1) {
    MutexLock lock(mutex_);
    if (closed_ || !fits(cost)) return false;
    add(std::move(item), cost);
    return true;
  }

  // Blocks while empty. Nothing when the queue is closed and drained.
  std::optional<T> pop() {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_) not_empty_.wait(mutex_);
    return take();
  }

  // Nothing when the queue is empty.
  std::optional<T> try_pop() {
    MutexLock lock(mutex_);
    return take();
  }

  // No more items will come; consumers drain what is there.
  void close() {
    MutexLock lock(mutex_);
    closed_ = true;
    not_empty_.notify_all();
    not_full_.notify_all();
  }

 private:
  struct Waiting {
    T item;
    std::size_t cost;
  };

  bool fits(std::size_t cost) const REQUIRES(mutex_) { return items_.empty() || (cost <= capacity_ && used_ <= capacity_ - cost); }
  void add(T item, std::size_t cost) REQUIRES(mutex_) {
    used_ += cost;
    items_.push_back({.item = std::move(item), .cost = cost});
    not_empty_.notify_one();
  }
  std::optional<T> take() REQUIRES(mutex_) {
    if (items_.empty()) return std::nullopt;
    Waiting first = std::move(items_.front());
    items_.pop_front();
    used_ -= first.cost;
    not_full_.notify_all();   // whoever wakes may need more room than there is, and another less
    return std::move(first.item);
  }

  const std::size_t capacity_;
  Mutex mutex_;
  CondVar not_empty_, not_full_;
  std::deque<Waiting> items_ GUARDED_BY(mutex_);
  std::size_t used_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace coppice
