// How many different things were seen, within a few percent, in 4 KiB however many they are. (Flajolet, Fusy, Gandouet, Meunier:
// HyperLogLog, 2007.) The seed is a secret of the run, so that nobody can make things that count for more.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "crypto/hash.h"

namespace coppice::maintenance {

class DistinctCount {
 public:
  explicit DistinctCount(std::uint64_t seed) : seed_(seed) {}
  void add(ByteSpan name) {
    const std::uint64_t hash = crypto::xxh3_64(name, seed_);
    auto& rank = ranks_[hash % kRegisters];
    rank = std::max(rank, static_cast<std::uint8_t>(std::countl_zero(hash | 1) + 1));
  }
  std::uint64_t estimate() const {
    double sum = 0;
    unsigned empty = 0;
    for (const std::uint8_t rank : ranks_) {
      sum += std::ldexp(1.0, -rank);
      empty += rank == 0;
    }
    constexpr double n = kRegisters;
    const double raw = 0.7213 / (1 + 1.079 / n) * n * n / sum;
    return static_cast<std::uint64_t>(raw <= 2.5 * n && empty > 0 ? n * std::log(n / empty) : raw);
  }

 private:
  static constexpr std::size_t kRegisters = 4096;
  std::uint64_t seed_;
  std::array<std::uint8_t, kRegisters> ranks_{};
};

}  // namespace coppice::maintenance
