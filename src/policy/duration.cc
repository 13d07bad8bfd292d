#include <fmt/format.h>

#include "foundation/encoding.h"
#include "policy/plan.h"

namespace coppice::policy {

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kSecondsMax = 200ull * 365 * 86400;
  const auto bad = [&] {
    return fail(ErrorKind::kInvalid, fmt::format("'{}' is no duration: write \"90s\", \"10m\", \"36h\", \"7d\", \"4w\" or \"1y\"",
                                                 render_printable(text.substr(0, 100))));
  };
  std::uint64_t total = 0;
  std::size_t at = 0;
  const auto skip_blanks = [&] {
    while (at < text.size() && text[at] == ' ') ++at;
  };
  for (skip_blanks(); at < text.size(); skip_blanks()) {
    std::uint64_t value = 0;
    const std::size_t start = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      value = value * 10 + static_cast<unsigned>(text[at] - '0');
      if (value > kSecondsMax) return bad();
    }
    if (at == start) return bad();
    skip_blanks();
    std::size_t end = at;
    while (end < text.size() && text[end] >= 'a' && text[end] <= 'z') ++end;
    const std::string_view unit = text.substr(at, end - at);
    at = end;
    const std::uint64_t seconds = unit == "s"                      ? 1
                                  : unit == "m" || unit == "min"   ? 60
                                  : unit == "h"                    ? 3600
                                  : unit == "d"                    ? 86400
                                  : unit == "w"                    ? 7 * 86400
                                  : unit == "y"                    ? 365 * 86400
                                                                   : 0;
    if (seconds == 0 || value > kSecondsMax / seconds) return bad();
    total += value * seconds;
    if (total > kSecondsMax) return bad();
  }
  if (total == 0) return bad();
  return std::chrono::seconds(total);
}

}  // namespace coppice::policy
