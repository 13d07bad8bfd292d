// SIGINT and SIGTERM: the first asks the work to stop where it is safe, the second ends the process at once with status
// 130. SIGHUP, when the terminal closes, asks like the first one, unless it is ignored (nohup), and never ends at once.
#pragma once

#include <string_view>

#include "foundation/cancel.h"

namespace coppice::tasks {

// One at a time in a process. While it lives, the first signal cancels `token` and writes `message` to standard error.
class InterruptGuard {
 public:
  InterruptGuard(CancelToken& token,
                 std::string_view message);  // `message` must outlive the guard; it should end in a line end
  ~InterruptGuard();                         // the default dispositions are back
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

}  // namespace coppice::tasks
