#include "tasks/quantities.h"

#include <fmt/format.h>

#include <cmath>

namespace coppice::tasks {

std::string render_count(std::uint64_t n) {
  std::string digits = fmt::format("{}", n);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string render_count(std::uint64_t n, std::string_view what) { return fmt::format("{} {}{}", render_count(n), what, n == 1 ? "" : "s"); }

std::string render_seconds(double seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 0.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string render_remaining(double seconds) {
  if (!(seconds < 359'999'999)) return "a long time";
  const auto whole = static_cast<std::uint64_t>(std::ceil(seconds < 0 ? 0 : seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

MemoryShares share_memory(std::uint64_t ceiling_bytes) {
  MemoryShares shares;
  // Beside the writer: code and stacks, the scanner's directories, the trees being built, what the allocator keeps.
  constexpr std::uint64_t kBesideWriter = 64ull << 20;
  shares.writer = std::max(ceiling_bytes, kMemoryBytesMin) - kBesideWriter;
  shares.reader_cache = ceiling_bytes / 4;
  shares.stream = ceiling_bytes / 8 * 3;
  shares.restore_cache = ceiling_bytes / 8;
  shares.restore_plan = ceiling_bytes / 2;
  return shares;
}

}  // namespace coppice::tasks
