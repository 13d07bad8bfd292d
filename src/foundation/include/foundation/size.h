// Sizes as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "foundation/result.h"

namespace coppice {

// "4096", "256K", "256M", "1G", "2T" (times 1024), also "256MiB"; "256MB" counts in thousands. Case does not matter.
Result<std::uint64_t> parse_size(std::string_view text);

std::string render_size(std::uint64_t bytes);  // "1.32 GB", "46.1 MB", "532 B": three digits, units of 1000

}  // namespace coppice
