// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string_view>

#include "foundation/result.h"

namespace coppice {

// "4096", "256K", "256M", "1G", "2T" (times 1024), also "256MiB"; "256MB" counts in thousands. Case does not matter.
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace coppice
