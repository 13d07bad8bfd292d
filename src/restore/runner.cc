#include "runner.h"

#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "foundation/check.h"

namespace coppice::restore {

Runner::Runner(Run& run, unsigned workers) : run_(run) {
  for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this, i] { work(i % 2 == 1); });
}

Runner::~Runner() {
  finish();
  CHECK(run_.late_links.empty());  // by now every target is there or has failed
  {
    MutexLock lock(mutex_);
    closing_ = true;
    work_.notify_all();
  }
  for (auto& t : threads_) t.join();
}

std::unique_ptr<Window> Runner::submit(std::unique_ptr<Window> window) {
  window->seal(edge_);
  const std::size_t groups = window->groups.size();
  for (std::size_t i = 0; i < groups; ++i)   // where the threads begin
    if (i < kAnnounced || i + kAnnounced >= groups) announce(*window, i);
  wait_done();
  take_late_links(*window);
  MutexLock lock(mutex_);
  auto empty = std::exchange(window_, std::move(window));  // the one before, done with
  if (empty)
    empty->reset();
  else
    empty = std::make_unique<Window>();
  begin(Phase::kBlocks);
  if (!jobs_left()) advance();
  work_.notify_all();
  return empty;
}

// Those that waited get another turn, with this window's links.
void Runner::take_late_links(Window& window) {
  for (const LateLinks::Item& late : run_.late_links.take()) {
    window.links.push_back(late.link);
    window.links.back().name = window.arena.copy_text(late.name);
  }
}

bool Runner::idle() {
  MutexLock lock(mutex_);
  return phase_ == Phase::kDone;
}

void Runner::wait_done() {
  MutexLock lock(mutex_);
  while (phase_ != Phase::kDone || busy_ > 0) done_.wait(mutex_);
}

void Runner::finish() {
  wait_done();
  if (run_.late_links.empty()) return;
  submit(std::make_unique<Window>());
  wait_done();
}

void Runner::begin(Phase phase) {
  phase_ = phase;
  first_job_ = 0;
  const std::size_t nodes = phase == Phase::kBlocks ? window_->nodes.size() : window_->links.size();
  end_job_ = (phase == Phase::kBlocks ? window_->groups.size() : 0) + (nodes + kNodesPerJob - 1) / kNodesPerJob;
}

// The phase is over: the next that has something to do.
void Runner::advance() {
  if (phase_ == Phase::kBlocks && !window_->links.empty()) {
    begin(Phase::kLinks);
    work_.notify_all();
    return;
  }
  phase_ = Phase::kDone;
  done_.notify_all();
}

void Runner::work(bool from_the_end) {
  // This thread's own umask, so that files get their mode when they are created. Where that is refused, fchmod does it.
  if (::unshare(CLONE_FS) == 0) ::umask(0);
  EntryWriter writer(run_);
  for (;;) {
    Window* window = nullptr;
    Phase phase;
    std::size_t job, ahead;
    {
      MutexLock lock(mutex_);
      while (!closing_ && !jobs_left()) {
        // Nothing to do for now: let go of what is held, outside of the lock, and look again.
        if (writer.holds()) {
          ++busy_;
          mutex_.unlock();
          writer.let_go();
          mutex_.lock();
          if (--busy_ == 0) {
            if (phase_ != Phase::kDone && !jobs_left()) advance();
            if (phase_ == Phase::kDone) done_.notify_all();
          }
          continue;
        }
        work_.wait(mutex_);
      }
      if (closing_) return;
      window = window_.get();
      phase = phase_;
      job = from_the_end ? --end_job_ : first_job_++;
      ahead = from_the_end ? job - kAnnounced : job + kAnnounced;
      if (ahead < first_job_ || ahead >= end_job_) ahead = job;   // the other threads' already
      ++busy_;
    }
    if (phase == Phase::kBlocks && ahead != job) announce(*window, ahead);
    do_job(writer, *window, phase, job);
    MutexLock lock(mutex_);
    if (--busy_ == 0 && phase_ != Phase::kDone && !jobs_left()) advance();
    if (phase_ == Phase::kDone && busy_ == 0) done_.notify_all();
  }
}

void Runner::announce(const Window& window, std::size_t group) {
  if (group < window.groups.size()) run_.reader.announce(window.groups[group].birth);
}

void Runner::do_job(EntryWriter& writer, Window& window, Phase phase, std::size_t job) {
  if (phase == Phase::kBlocks && job < window.groups.size()) return writer.write_block(window, window.groups[job]);
  const std::size_t first = (phase == Phase::kBlocks ? job - window.groups.size() : job) * kNodesPerJob;
  if (phase == Phase::kBlocks) {
    for (std::size_t i = first; i < std::min(first + kNodesPerJob, window.nodes.size()); ++i)
      writer.make_node(*window.nodes[i]);
  } else {
    for (std::size_t i = first; i < std::min(first + kNodesPerJob, window.links.size()); ++i)
      writer.make_link(window.links[i]);
  }
}

}  // namespace coppice::restore
