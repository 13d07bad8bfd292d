// Where a passphrase comes from: a file, or the terminal with echo off. Never an argument, never the environment's
// value: both can be read by others on the host.
#pragma once

#include <string>
#include <string_view>

#include "crypto/secret.h"
#include "foundation/result.h"

namespace coppice::tasks {

inline constexpr std::size_t kPassphraseBytesMax = 4096, kPassphraseBytesShort = 12;

// The first line of the file, without its line end. kInvalid when empty or longer than kPassphraseBytesMax. "-" is
// standard input.
Result<crypto::SecretBytes> read_passphrase_file(const std::string& path);

// Asks on /dev/tty with echo off. kNotFound when there is no terminal; kCancelled on Ctrl-C or end of input.
Result<crypto::SecretBytes> ask_passphrase(const std::string& prompt);
// Says something on the terminal before it is asked there again, with a line end behind it.
void tell_terminal(std::string_view what);
inline constexpr int kTriesOnTerminal = 3;
// Asks twice, until both agree (three tries) and neither is empty.
Result<crypto::SecretBytes> ask_new_passphrase(const std::string& prompt);

}  // namespace coppice::tasks
