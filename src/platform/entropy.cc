#include "platform/entropy.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "foundation/check.h"

namespace coppice::platform {
namespace {

class SystemEntropy : public Entropy {
 public:
  void fill(MutableByteSpan into) override {
    while (!into.empty()) {
      const ssize_t count = getrandom(into.data(), into.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      CHECK(count > 0);  // no key and no nonce may ever be made from anything else
      into = into.subspan(static_cast<std::size_t>(count));
    }
  }
};

}  // namespace

Entropy& system_entropy() {
  static SystemEntropy entropy;
  return entropy;
}

void SeededEntropy::fill(MutableByteSpan into) {
  constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15u;
  while (!into.empty()) {
    std::uint64_t z = state_.fetch_add(kStep, std::memory_order_relaxed) + kStep;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    std::array<std::byte, sizeof z> word;
    store_le(MutableByteSpan(word), 0, z);
    const std::size_t count = std::min(into.size(), word.size());
    std::memcpy(into.data(), word.data(), count);
    into = into.subspan(count);
  }
}

}  // namespace coppice::platform
