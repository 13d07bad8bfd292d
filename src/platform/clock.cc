#include "platform/clock.h"

#include <time.h>

#include "foundation/check.h"

namespace coppice::platform {
namespace {

timespec read_clock(clockid_t id) {
  timespec t{};
  CHECK(clock_gettime(id, &t) == 0);
  return t;
}

class SystemClock : public Clock {
 public:
  Timestamp now() const override {
    const timespec t = read_clock(CLOCK_REALTIME);
    return {t.tv_sec, static_cast<std::uint32_t>(t.tv_nsec)};
  }
  std::uint64_t monotonic_ns() const override {
    const timespec t = read_clock(CLOCK_MONOTONIC);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace coppice::platform
