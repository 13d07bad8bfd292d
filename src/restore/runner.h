// The threads that run windows. One window is run at a time while the walk fills the next.
//
// Half of the threads take a window's blocks from its front, half from its end: neighbours often belong to one large file, where two writers
// would wait for each other (a file system lets one at a time write to a file).
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
  static constexpr std::size_t kAnnounced = 4;   // blocks that the store is told of before they are read

  void work(bool from_the_end);
  void begin(Phase phase) REQUIRES(mutex_);
  bool jobs_left() const REQUIRES(mutex_) { return phase_ != Phase::kDone && first_job_ < end_job_; }
  void advance() REQUIRES(mutex_);
  void announce(const Window& window, std::size_t group);   // none with that number: nothing
  void do_job(EntryWriter& writer, Window& window, Phase phase, std::size_t job);
  void wait_done() EXCLUDES(mutex_);
  void take_late_links(Window& window);

  Run& run_;
  Mutex mutex_;
  CondVar work_, done_;
  std::unique_ptr<Window> window_ GUARDED_BY(mutex_);
  Phase phase_ GUARDED_BY(mutex_) = Phase::kDone;
  std::size_t first_job_ GUARDED_BY(mutex_) = 0, end_job_ GUARDED_BY(mutex_) = 0;   // of the phase, not taken yet
  std::size_t busy_ GUARDED_BY(mutex_) = 0;
  bool closing_ GUARDED_BY(mutex_) = false;
  // Between windows these belong to the walking thread.
  std::vector<format::Birth> edge_;
  std::vector<std::thread> threads_;
};

}  // namespace coppice::restore
