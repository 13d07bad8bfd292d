// The name under which an object is made beside the one that it replaces.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace coppice::restore {

// The same name gives the same temporary: what a crash left is found, and replaced, by the next run.
struct TemporaryName {
  explicit TemporaryName(std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    *fmt::format_to_n(text, sizeof text - 1, ".coppice-{:016x}", hash).out = '\0';
  }
  char text[40];
};

}  // namespace coppice::restore
