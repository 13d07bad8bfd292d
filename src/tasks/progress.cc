#include "tasks/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tasks/quantities.h"

namespace coppice::tasks {

namespace {
constexpr double kRateWindowSeconds = 8;

unsigned terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n <= 0) return;  // a display that cannot be shown is no reason to stop
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

double remaining_seconds(const ProgressSample& sample, const RateMeter& rate) {
  double seconds = -1;
  const auto consider = [&](std::uint64_t done, std::uint64_t total, double per_second) {
    if (total > done && per_second > 0) seconds = std::max(seconds, static_cast<double>(total - done) / per_second);
  };
  consider(sample.bytes, sample.bytes_total, rate.bytes_per_second());
  consider(sample.files, sample.files_total, rate.files_per_second());
  return seconds;
}
}  // namespace

void RateMeter::add(double seconds, std::uint64_t bytes, std::uint64_t files) {
  points_.push_back({seconds, bytes, files});
  while (points_.size() > 2 && points_[1].seconds < seconds - kRateWindowSeconds) points_.pop_front();
}

double RateMeter::bytes_per_second() const {
  if (points_.size() < 2 || points_.back().seconds <= points_.front().seconds ||
      points_.back().bytes < points_.front().bytes)
    return 0;
  return static_cast<double>(points_.back().bytes - points_.front().bytes) /
         (points_.back().seconds - points_.front().seconds);
}

double RateMeter::files_per_second() const {
  if (points_.size() < 2 || points_.back().seconds <= points_.front().seconds ||
      points_.back().files < points_.front().files)
    return 0;
  return static_cast<double>(points_.back().files - points_.front().files) /
         (points_.back().seconds - points_.front().seconds);
}

std::string render_progress(const ProgressSample& sample, const RateMeter& rate, unsigned width) {
  std::string line;
  if (sample.storing) {
    line = fmt::format("{}, {} are read, {} are stored; storing the rest", render_count(sample.files, "file"),
                       render_size(sample.bytes), render_size(sample.bytes_stored));
    if (line.size() > width) line.resize(width);
    return line;
  }
  if (sample.total_known) {
    line = fmt::format("{} of {}, {} of {}", render_count(sample.files), render_count(sample.files_total, "file"),
                       render_size(sample.bytes), render_size(sample.bytes_total));
    if (sample.bytes_total > 0) {
      const double share =
          static_cast<double>(std::min(sample.bytes, sample.bytes_total)) / static_cast<double>(sample.bytes_total);
      line += fmt::format(", {} %", static_cast<int>(share * 100));
    }
  } else {
    line = fmt::format("{}, {}", render_count(sample.files, "file"), render_size(sample.bytes));
    if (sample.files_total > sample.files)
      line += fmt::format(" ({} found so far)", render_count(sample.files_total, "file"));
  }
  line += fmt::format(", {}/s", render_size(static_cast<std::uint64_t>(rate.bytes_per_second())));
  if (sample.total_known) {
    if (const double seconds = remaining_seconds(sample, rate); seconds >= 0)
      line += fmt::format(", {} left", render_remaining(seconds));
  }
  if (line.size() > width) line.resize(width);
  return line;
}

std::string render_progress_json(const ProgressSample& sample, const RateMeter& rate, double elapsed_seconds) {
  std::string line =
      fmt::format(R"({{"type":"progress","files":{},"bytes":{},"files_total":{},"bytes_total":{},"total_known":{},)"
                  R"("bytes_per_second":{:.0f},"duration_ms":{:.0f})",
                  sample.files, sample.bytes, sample.files_total, sample.bytes_total, sample.total_known,
                  rate.bytes_per_second(), elapsed_seconds * 1000);
  if (sample.storing) line += fmt::format(R"(,"storing":true,"bytes_stored":{})", sample.bytes_stored);
  if (const double seconds = remaining_seconds(sample, rate); sample.total_known && seconds >= 0) {
    line += fmt::format(R"(,"remaining_ms":{:.0f})", seconds * 1000);
  }
  return line + "}";
}

ProgressMode choose_progress_mode(bool json, bool quiet) {
  if (quiet) return ProgressMode::kNone;
  if (json) return ProgressMode::kJson;
  const char* term = std::getenv("TERM");
  const bool dumb = !term || std::string_view(term) == "dumb";
  return isatty(STDERR_FILENO) && !dumb ? ProgressMode::kTerminal : ProgressMode::kNone;
}

struct ProgressDisplay::State {
  ProgressMode mode;
  std::function<ProgressSample()> sample;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::thread thread;

  void run() {
    const auto interval = std::chrono::milliseconds(mode == ProgressMode::kJson ? 500 : 200);
    const auto start = std::chrono::steady_clock::now();
    RateMeter rate;
    bool drawn = false;
    std::unique_lock lock(mutex);
    for (;;) {
      const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      const ProgressSample now = sample();
      rate.add(elapsed, now.bytes, now.files);
      if (elapsed > 0.3) {  // what is over sooner needs no display
        if (mode == ProgressMode::kJson) {
          write_all(STDOUT_FILENO, render_progress_json(now, rate, elapsed) + "\n");
        } else {
          write_all(STDERR_FILENO, "\r" + render_progress(now, rate, terminal_width() - 1) + "\x1b[K");
          drawn = true;
        }
      }
      if (wake.wait_for(lock, interval, [&] { return stop; })) break;
    }
    if (drawn) write_all(STDERR_FILENO, "\r\x1b[K");
  }
};

ProgressDisplay::ProgressDisplay(ProgressMode mode, std::function<ProgressSample()> sample) {
  if (mode == ProgressMode::kNone) return;
  state_ = std::make_unique<State>();
  state_->mode = mode;
  state_->sample = std::move(sample);
  std::fflush(stdout);  // what was printed before stands before
  // Signals go to the threads that do the work; this one only draws.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

ProgressDisplay::~ProgressDisplay() {
  if (!state_) return;
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  state_->thread.join();
}

}  // namespace coppice::tasks
