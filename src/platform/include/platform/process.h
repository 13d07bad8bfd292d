// A child process run to its end. It gets the environment that is passed and nothing of ours beside it: no descriptor but
// standard input (/dev/null), output and error, no blocked or ignored signal, the working directory "/", a process group of
// its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "foundation/cancel.h"
#include "foundation/result.h"

namespace coppice::platform {

struct ProcessRequest {
  std::vector<std::string> argv;         // argv[0] without a slash is looked for in the PATH of `environment`
  std::vector<std::string> environment;  // "NAME=value"
  std::chrono::milliseconds timeout{0};  // 0: none
  std::chrono::milliseconds grace{10'000};   // between SIGTERM and SIGKILL
  std::size_t output_bytes_max = 64u << 10;  // of standard output and error together; the last ones are kept
};

struct ProcessOutcome {
  enum class End {
    kExited,
    kSignalled,  // by somebody else
    kTimedOut,
    kCancelled,
  };
  End end = End::kExited;
  int status = 0;  // the exit status, or the number of the signal that ended it
  std::string output;
  bool output_cut = false;  // there was more before it
  std::chrono::milliseconds took{0};
  bool good() const { return end == End::kExited && status == 0; }
  std::string describe() const;  // "ended with status 3", "did not end within 30 s and was stopped", ...
};

// Runs it and waits. When the time is over, or `cancel` (which may be null) is cancelled, its process group gets SIGTERM and,
// when it is still there after the grace, SIGKILL. The child is always reaped. What it started in the background and left
// there is not waited for, and lives on unless the child was stopped. An error says that it could not be started.
Result<ProcessOutcome> run_process(const ProcessRequest& request, const CancelToken* cancel);

}  // namespace coppice::platform
