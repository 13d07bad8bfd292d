#include "prefetch.h"

#include "foundation/check.h"

namespace coppice::restore {

Prefetcher::Prefetcher(vault::ChunkReader& reader, unsigned threads, std::size_t blocks_max)
    : reader_(reader), blocks_max_(blocks_max), queue_(blocks_max + 1) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Prefetcher::~Prefetcher() {
  stop();
  queue_.close();
  for (auto& t : threads_) t.join();
  MutexLock lock(mutex_);
  CHECK(slots_ == 0);
}

Prefetcher::SlotPtr Prefetcher::request(const format::Birth& birth) {
  if (auto last = last_.lock(); last && last->birth_ == birth) return last;
  {
    MutexLock lock(mutex_);
    while (slots_ >= blocks_max_ && !stopped_) room_.wait(mutex_);
    if (stopped_) return nullptr;
    ++slots_;
  }
  SlotPtr slot(new Slot(*this, birth));
  last_ = slot;
  queue_.push(slot);
  return slot;
}

void Prefetcher::stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  room_.notify_all();
}

void Prefetcher::slot_gone() {
  MutexLock lock(mutex_);
  --slots_;
  room_.notify_all();
}

void Prefetcher::work() {
  while (auto slot = queue_.pop()) {
    auto block = reader_.block((*slot)->birth_);
    MutexLock lock((*slot)->mutex_);
    (*slot)->block_ = std::move(block);
    (*slot)->filled_.notify_all();
  }
}

const Result<vault::BlockHandle>& Prefetcher::Slot::wait() {
  MutexLock lock(mutex_);
  while (!block_) filled_.wait(mutex_);
  return *block_;  // never changes again
}

}  // namespace coppice::restore
