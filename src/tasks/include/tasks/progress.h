// What a person sees while something long runs: one line on the terminal, redrawn; or, for programs, JSON lines.
// Nothing in a pipe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace coppice::tasks {

struct ProgressSample {
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t files_total = 0, bytes_total = 0;  // as far as known
  bool total_known = false;                        // false: still counting, so no share and no time left
  bool storing = false;                            // everything is read: what is in memory is being stored
  std::uint64_t bytes_stored = 0;                  // of a backup: what is in the vault by now
};

// The rate over the last seconds, so that a slow start or a stall does not weigh for ever. Fed a few times a second.
class RateMeter {
 public:
  void add(double seconds, std::uint64_t bytes, std::uint64_t files);
  double bytes_per_second() const;
  double files_per_second() const;

 private:
  struct Point {
    double seconds;
    std::uint64_t bytes, files;
  };
  std::deque<Point> points_;
};

// "12,345 of 78,611 files, 1.10 of 3.20 GB, 34 %, 210 MB/s, 0:12 left", at most `width` columns.
std::string render_progress(const ProgressSample& sample, const RateMeter& rate, unsigned width);
// {"type":"progress",...} without a line end.
std::string render_progress_json(const ProgressSample& sample, const RateMeter& rate, double elapsed_seconds);

enum class ProgressMode { kNone, kTerminal, kJson };
// Terminal when standard error is one and nothing asks for quiet.
ProgressMode choose_progress_mode(bool json, bool quiet);

// Shows `sample()` from its own thread (5 times a second on a terminal, twice as JSON) until it is destroyed, when the
// line is wiped away. `sample` must be safe to call from that thread.
class ProgressDisplay {
 public:
  ProgressDisplay(ProgressMode mode, std::function<ProgressSample()> sample);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coppice::tasks
