#include "foundation/size.h"

#include <fmt/format.h>

#include <array>

namespace coppice {

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorKind::kInvalid, fmt::format("'{}' is no size: write 4096, 256K, 256M, 1G or the like", text));
  };
  std::uint64_t value = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (__builtin_mul_overflow(value, 10u, &value) ||
        __builtin_add_overflow(value, static_cast<unsigned>(text[at] - '0'), &value))
      return bad();
  }
  if (at == 0) return bad();
  std::string unit;
  for (const char c : text.substr(at)) unit.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
  if (unit.empty() || unit == "b") return value;
  const std::size_t power = std::string_view("kmgt").find(unit[0]);
  if (power == std::string_view::npos) return bad();
  const std::string_view rest = std::string_view(unit).substr(1);
  if (!rest.empty() && rest != "b" && rest != "ib") return bad();
  const std::uint64_t base = rest == "b" ? 1000 : 1024;
  for (std::size_t i = 0; i <= power; ++i) {
    if (__builtin_mul_overflow(value, base, &value)) return bad();
  }
  return value;
}

std::string render_size(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array units{"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  // 999.5 would be shown as 1000: the next unit's turn.
  for (; value >= 999.5 && unit + 1 < units.size(); ++unit) value /= 1000;
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

}  // namespace coppice
