// The threads that run windows. One window is run at a time while the walk fills the next.
//
// A window has two phases: its blocks and nodes, in any order by all threads; then its links, because what they lead to
// must be there. A link to a file that is still under way (larger than a window, or found to be wrong and planned
// again) waits for a later window's links.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "entry_writer.h"
#include "foundation/mutex.h"
#include "run.h"
#include "window.h"

namespace coppice::restore {

class Runner {
 public:
  Runner(Run& run, unsigned workers);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Seals `window`, waits until the one before it is done, and starts it. Returns an empty window.
  std::unique_ptr<Window> submit(std::unique_ptr<Window> window);
  // Whether the threads have nothing to do.
  bool idle();
  // Waits for the last window, then for the links that were waiting.
  void finish();

 private:
  enum class Phase { kBlocks, kLinks, kDone };
  static constexpr std::size_t kNodesPerJob = 64;

  void work();
  std::size_t jobs_in(Phase phase) const REQUIRES(mutex_);
  void advance() REQUIRES(mutex_);
  void do_job(EntryWriter& writer, Window& window, Phase phase, std::size_t job);
  void wait_done() EXCLUDES(mutex_);
  void take_late_links(Window& window);

  Run& run_;
  Mutex mutex_;
  CondVar work_, done_;
  std::unique_ptr<Window> window_ GUARDED_BY(mutex_);
  Phase phase_ GUARDED_BY(mutex_) = Phase::kDone;
  std::size_t next_job_ GUARDED_BY(mutex_) = 0, busy_ GUARDED_BY(mutex_) = 0;
  bool closing_ GUARDED_BY(mutex_) = false;
  // Between windows these belong to the walking thread.
  std::vector<format::Birth> edge_;
  std::vector<std::thread> threads_;
};

}  // namespace coppice::restore
