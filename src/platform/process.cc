// posix_spawn shares this process's memory with the child until it executes, so that no copy of our secrets is made; and it
// tells why a program could not be executed.
#include "platform/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <optional>
#include <string_view>

#include "platform/file.h"

namespace coppice::platform {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kLook{50};  // between two looks at the clock and at the wish to stop
constexpr std::string_view kPathDefault = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string path_of(const std::vector<std::string>& environment) {
  for (const std::string& one : environment)
    if (one.starts_with("PATH=")) return one.substr(5);
  return std::string(kPathDefault);
}

Result<std::string> find_program(const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) return name;
  const std::string path = path_of(environment);
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    std::string candidate = path.substr(at, end - at) + "/" + name;
    // A relative part would mean our working directory: it is passed over.
    if (candidate.front() == '/' && end > at && access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return fail(ErrorKind::kNotFound, fmt::format("{}: there is no such program in {}", name, path));
}

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& one : strings) pointers.push_back(const_cast<char*>(one.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Result<pid_t> spawn(const std::string& program, const ProcessRequest& request, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error_number = posix_spawn(&pid, program.c_str(), &actions, &attributes, pointers_to(request.argv).data(),
                                       pointers_to(request.environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error_number != 0) return fail_errno(error_number, program);
  return pid;
}

// The last bytes of what a child writes.
class Tail {
 public:
  Tail(int fd, std::size_t bytes_max) : fd_(fd), bytes_max_(bytes_max) {}
  bool ended() const { return ended_; }
  // Takes what is there by now.
  void take() {
    std::array<char, 16384> part;
    while (!ended_) {
      const ssize_t count = read(fd_, part.data(), part.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) {
        ended_ = true;
        return;
      }
      text_.append(part.data(), static_cast<std::size_t>(count));
      if (text_.size() > 2 * bytes_max_) cut();
      if (static_cast<std::size_t>(count) < part.size()) return;  // let the caller look at the clock
    }
  }
  void move_into(ProcessOutcome& outcome) {
    cut();
    outcome.output = std::move(text_);
    outcome.output_cut = cut_;
  }

 private:
  void cut() {
    if (text_.size() <= bytes_max_) return;
    text_.erase(0, text_.size() - bytes_max_);
    cut_ = true;
  }
  int fd_;
  std::size_t bytes_max_;
  std::string text_;
  bool ended_ = false, cut_ = false;
};

// Not reaped yet: as long as the child is a zombie, nobody else can have its number or that of its group.
bool has_ended(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

int reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

std::string ProcessOutcome::describe() const {
  switch (end) {
    case End::kExited:
      return fmt::format("ended with status {}", status);
    case End::kSignalled:
      return fmt::format("was ended by signal {} ({})", status, strsignal(status));
    case End::kTimedOut:
      return fmt::format("did not end within {:g} s and was stopped", std::floor(static_cast<double>(took.count()) / 100) / 10);
    case End::kCancelled:
      return "was stopped";
  }
  return "";
}

Result<ProcessOutcome> run_process(const ProcessRequest& request, const CancelToken* cancel) {
  if (request.argv.empty() || request.argv.front().empty()) return fail(ErrorKind::kInvalid, "no program is named");
  const std::string program = TRY(find_program(request.argv.front(), request.environment));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const Fd output(ends[0]);
  Fd childs(ends[1]);
  if (fcntl(output.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  const auto began = SteadyClock::now();
  const pid_t pid = TRY(spawn(program, request, childs.get()));
  childs.reset();

  ProcessOutcome outcome;
  Tail tail(output.get(), request.output_bytes_max);
  std::optional<SteadyClock::time_point> stopping;  // since when it has been asked to end
  for (;;) {
    pollfd watched{.fd = tail.ended() ? -1 : output.get(), .events = POLLIN, .revents = 0};
    poll(&watched, 1, static_cast<int>(tail.ended() ? kLook.count() / 10 : kLook.count()));
    tail.take();
    const bool ended = has_ended(pid);
    const auto now = SteadyClock::now();
    if (!stopping) {
      if (ended) break;
      const bool late = request.timeout.count() > 0 && now - began >= request.timeout;
      if (late || (cancel && cancel->cancelled())) {
        outcome.end = late ? ProcessOutcome::End::kTimedOut : ProcessOutcome::End::kCancelled;
        outcome.took = std::chrono::duration_cast<milliseconds>(now - began);
        kill(-pid, SIGTERM);
        stopping = now;
      }
    } else if ((ended && tail.ended()) || now - *stopping >= request.grace) {
      // Who still holds the pipe belongs to it and was given the same time.
      kill(-pid, SIGKILL);
      break;
    }
  }
  const int status = reap(pid);
  tail.take();
  tail.move_into(outcome);
  outcome.status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  if (!stopping) {
    outcome.end = WIFSIGNALED(status) ? ProcessOutcome::End::kSignalled : ProcessOutcome::End::kExited;
    outcome.took = std::chrono::duration_cast<milliseconds>(SteadyClock::now() - began);
  }
  return outcome;
}

}  // namespace coppice::platform
