// Time arrives as a parameter, so that a test can be at any moment.
#pragma once

#include <atomic>
#include <cstdint>

#include "foundation/time.h"

namespace coppice::platform {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;                     // wall clock; may jump either way
  virtual std::uint64_t monotonic_ns() const = 0;
};

const Clock& system_clock();

// Stands still until it is set.
class ManualClock : public Clock {
 public:
  explicit ManualClock(Timestamp start) : now_(start) {}
  Timestamp now() const override { return now_; }
  std::uint64_t monotonic_ns() const override { return monotonic_; }
  void set(Timestamp t) { now_ = t; }
  void advance_seconds(std::int64_t seconds) {
    now_.seconds += seconds;
    monotonic_ += static_cast<std::uint64_t>(seconds) * 1'000'000'000u;
  }

 private:
  Timestamp now_;
  std::uint64_t monotonic_ = 1;
};

}  // namespace coppice::platform
