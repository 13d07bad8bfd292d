// CHECK(cond): our own bug ends the program, in release too, before it can write from a broken state.
#pragma once

namespace coppice::detail {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) [[unlikely]]                                                    \
      ::coppice::detail::check_failed(#condition, __FILE__, __LINE__);                \
  } while (false)
