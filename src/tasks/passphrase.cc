#include "tasks/passphrase.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/file.h"

namespace coppice::tasks {

namespace {
constexpr std::byte kControlC{3};

// Reads up to the first line end into `into`; the count without it. Byte by byte, so that nothing of the secret lies in
// a buffer of stdio.
Result<std::size_t> read_line(int fd, MutableByteSpan into) {
  std::size_t count = 0;
  for (;;) {
    std::byte b{};
    const ssize_t n = read(fd, &b, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "reading the passphrase");
    if (n == 0) return count;
    if (b == std::byte{'\n'}) return count;
    if (count == into.size())
      return fail(ErrorKind::kInvalid, fmt::format("the passphrase is longer than {} bytes", kPassphraseBytesMax));
    into[count++] = b;
  }
}

// Echo off, and Ctrl-C as a byte that ends the line, so that leaving never skips the way back.
class QuietTerminal {
 public:
  explicit QuietTerminal(int fd) : fd_(fd) {
    if (tcgetattr(fd, &saved_) != 0) return;
    termios quiet = saved_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    quiet.c_lflag |= ICANON | ECHONL;
    quiet.c_cc[VEOL] = static_cast<cc_t>(kControlC);
    changed_ = tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
  }
  ~QuietTerminal() {
    if (changed_) tcsetattr(fd_, TCSAFLUSH, &saved_);
  }
  bool ok() const { return changed_; }

 private:
  int fd_;
  termios saved_{};
  bool changed_ = false;
};
}  // namespace

Result<crypto::SecretBytes> read_passphrase_file(const std::string& path) {
  platform::Fd opened;
  int fd = STDIN_FILENO;
  if (path != "-") {
    opened = TRY(within(platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY), "opening the passphrase file"));
    fd = opened.get();
  }
  crypto::SecretBytes passphrase(kPassphraseBytesMax + 1);
  std::size_t count = TRY(within(read_line(fd, passphrase.writable()), path));
  if (count > 0 && passphrase.view()[count - 1] == std::byte{'\r'}) --count;
  if (count == 0) return fail(ErrorKind::kInvalid, fmt::format("{}: the passphrase is empty", path));
  passphrase.truncate(count);
  return passphrase;
}

Result<crypto::SecretBytes> ask_passphrase(const std::string& prompt) {
  auto terminal = platform::open_at(AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY);
  if (!terminal) return fail(ErrorKind::kNotFound, "there is no terminal to ask for the passphrase on");
  crypto::SecretBytes passphrase(kPassphraseBytesMax + 1);
  const QuietTerminal quiet(terminal->get());
  if (!quiet.ok())
    return fail(ErrorKind::kNotFound,
                "the terminal does not let its echo be turned off, so no passphrase is asked for on it");
  TRY(platform::write_full(terminal->get(), as_bytes(prompt)));
  std::size_t count = 0;
  for (;;) {
    const ssize_t n = read(terminal->get(), passphrase.writable().data() + count, passphrase.view().size() - count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "reading the passphrase");
    if (n == 0) return fail(ErrorKind::kCancelled, "no passphrase was given");
    count += static_cast<std::size_t>(n);
    const std::byte last = passphrase.view()[count - 1];
    if (last == kControlC) {
      TRY(platform::write_full(terminal->get(), as_bytes("\n")));
      return fail(ErrorKind::kCancelled, "stopped at the passphrase; nothing was done");
    }
    if (last == std::byte{'\n'}) break;
    if (count == passphrase.view().size())
      return fail(ErrorKind::kInvalid, fmt::format("the passphrase is longer than {} bytes", kPassphraseBytesMax));
  }
  passphrase.truncate(count - 1);
  return passphrase;
}

void tell_terminal(std::string_view what) {
  if (const auto terminal = platform::open_at(AT_FDCWD, "/dev/tty", O_WRONLY | O_NOCTTY))
    (void)platform::write_full(terminal->get(), as_bytes(fmt::format("{}\n", what)));   // the next prompt shows that it is asked again
}

Result<crypto::SecretBytes> ask_new_passphrase(const std::string& prompt) {
  for (int tries = 0; tries < kTriesOnTerminal; ++tries) {
    crypto::SecretBytes first = TRY(ask_passphrase(prompt + ": "));
    if (first.view().empty()) {
      tell_terminal("An empty passphrase protects nothing.");
      continue;
    }
    const crypto::SecretBytes second = TRY(ask_passphrase("the same again: "));
    if (crypto::equal_constant_time(first.view(), second.view())) return first;
    tell_terminal("They differ.");
  }
  return fail(ErrorKind::kInvalid, "no passphrase was agreed on in three tries");
}

}  // namespace coppice::tasks
