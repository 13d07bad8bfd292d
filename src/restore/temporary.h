// The name under which an object is made beside the one that it replaces.
//
// The same name gives the same temporaries: what a crash left is found, and replaced, by the next run. But such a leftover may
// have been backed up, and then it is the snapshot's: who finds a temporary's name taken asks whether an entry is called so,
// and takes the next one. The walk sees to it that an entry of that kind is not made while others are (walker.cc).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "vault/reader.h"
#include "where.h"

namespace coppice::restore {

struct TemporaryName {
  explicit TemporaryName(std::string_view name, unsigned number = 0) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    const auto add = [&](unsigned char c) { hash = (hash ^ c) * 0x100000001b3u; };
    for (const char c : name) add(static_cast<unsigned char>(c));
    for (; number > 0; --number) add('/');
    *fmt::format_to_n(text, sizeof text - 1, "{}{:016x}", kPrefix, hash).out = '\0';
  }
  static bool could_be(std::string_view name) { return name.starts_with(kPrefix) && name.size() == kPrefix.size() + 16; }
  char text[40];

 private:
  static constexpr std::string_view kPrefix = ".coppice-";
};

// Which temporaries' names are those of entries. Thread-safe.
class TemporaryNames {
 public:
  TemporaryNames(vault::ChunkReader& reader, const format::SnapshotBody& body) : reader_(reader), body_(body) {}
  // The number of a temporary for `name` in this directory, `number` or the first behind it that is no entry's.
  std::uint8_t next(const Directory* directory, std::string_view name, std::uint8_t number = 0) const {
    constexpr std::uint8_t kNumbersMax = 16;   // a list that cannot be read does not tell
    for (; number < kNumbersMax; ++number) {
      const auto found = vault::find_entry(reader_, body_, Where{directory, TemporaryName(name, number).text}.path());
      if (!found && found.error().kind() == ErrorKind::kNotFound) break;
    }
    return number;
  }

 private:
  vault::ChunkReader& reader_;
  const format::SnapshotBody& body_;
};

}  // namespace coppice::restore
