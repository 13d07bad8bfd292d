// Long runs. `./dev soak` sets COPPICE_SOAK; how long they are, variables of their own say.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace coppice::testing {

inline bool soaking() { return std::getenv("COPPICE_SOAK") != nullptr; }

inline std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Says every half a minute how far a long run is.
class SoakProgress {
 public:
  SoakProgress(std::string_view what, std::uint64_t total) : what_(what), total_(total) {}
  void step() {
    ++done_;
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::seconds(30);
    const double seconds = std::chrono::duration<double>(now - began_).count();
    fmt::print("{} of {} {}, {:.1f} a second\n", done_, total_, what_, static_cast<double>(done_) / seconds);
    std::fflush(stdout);
  }

 private:
  using Clock = std::chrono::steady_clock;
  const std::string_view what_;
  const std::uint64_t total_;
  std::uint64_t done_ = 0;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point next_ = began_ + std::chrono::seconds(30);
};

}  // namespace coppice::testing
