// Reads and opens blocks ahead of a consumer that needs them in order (a tar stream, one file's content).
//
// The producer asks for each block where its first bytes will be needed; threads of the pool fetch it; the consumer
// waits for it. As many are on the way, or waiting to be consumed, as `blocks_max`: request() blocks beyond that.
// Neighbouring requests for the same block are one.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "foundation/mutex.h"
#include "foundation/queue.h"
#include "vault/reader.h"

namespace coppice::restore {

class Prefetcher {
 public:
  // A block that was asked for. Whoever holds it keeps the block in memory.
  class Slot {
   public:
    ~Slot() { owner_.slot_gone(); }
    const Result<vault::BlockHandle>& wait();  // blocks until it is there

   private:
    friend class Prefetcher;
    Slot(Prefetcher& owner, const format::Birth& birth) : owner_(owner), birth_(birth) {}
    Prefetcher& owner_;
    const format::Birth birth_;
    Mutex mutex_;
    CondVar filled_;
    std::optional<Result<vault::BlockHandle>> block_ GUARDED_BY(mutex_);
  };
  using SlotPtr = std::shared_ptr<Slot>;

  Prefetcher(vault::ChunkReader& reader, unsigned threads, std::size_t blocks_max);
  ~Prefetcher();  // every slot must be gone

  // One thread, the producer. Null after stop().
  SlotPtr request(const format::Birth& birth);
  // No more is wanted: request() blocks no longer.
  void stop();

 private:
  void work();
  void slot_gone();

  vault::ChunkReader& reader_;
  const std::size_t blocks_max_;
  BoundedQueue<SlotPtr> queue_;
  std::weak_ptr<Slot> last_;
  Mutex mutex_;
  CondVar room_;
  std::size_t slots_ GUARDED_BY(mutex_) = 0;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace coppice::restore
