#include "tasks/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "foundation/check.h"

namespace coppice::tasks {

namespace {
// Read by the handler: only lock-free atomics.
std::atomic<CancelToken*> g_token{nullptr};
std::atomic<const char*> g_message{nullptr};
std::atomic<std::size_t> g_message_bytes{0};
std::atomic<int> g_signals{0};
constexpr int kInterruptedStatus = 130;

void on_signal(int signal) {
  const int saved = errno;
  // A terminal that closes may say so twice, or beside a SIGTERM: nobody is impatient there.
  if (signal != SIGHUP && g_signals.fetch_add(1) > 0) _exit(kInterruptedStatus);
  if (CancelToken* token = g_token.load()) token->cancel();
  if (write(STDERR_FILENO, g_message.load(), g_message_bytes.load()) < 0) {
    // Nobody to tell; the work stops all the same.
  }
  errno = saved;
}

void set_disposition(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read that waits for a pipe or terminal must come back and see the token.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction now{};
  sigaction(SIGHUP, nullptr, &now);
  if (now.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // ignored by nohup: it stays so
}
}  // namespace

InterruptGuard::InterruptGuard(CancelToken& token, std::string_view message) {
  CHECK(g_token.load() == nullptr);
  g_signals = 0;
  g_message = message.data();
  g_message_bytes = message.size();
  g_token = &token;
  set_disposition(on_signal);
}

InterruptGuard::~InterruptGuard() {
  set_disposition(SIG_DFL);
  g_token = nullptr;
}

}  // namespace coppice::tasks
