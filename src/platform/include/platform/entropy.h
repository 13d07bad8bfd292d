// Randomness arrives as a parameter: the system's, or a seeded one for simulation.
#pragma once

#include <array>
#include <atomic>

#include "foundation/bytes.h"

namespace coppice::platform {

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(MutableByteSpan into) = 0;  // thread-safe; never fails (the system's aborts if the kernel has none)
};

Entropy& system_entropy();

// For tests only: the same seed gives the same bytes. splitmix64 underneath: not for keys.
class SeededEntropy : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteSpan into) override;

 private:
  std::atomic<std::uint64_t> state_;
};

}  // namespace coppice::platform
