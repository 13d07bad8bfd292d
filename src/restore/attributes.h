// What an entry is besides its name and content, in a form that a plan record can keep without allocations of its own.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "arena.h"
#include "format/tree.h"

namespace coppice::restore {

struct Attributes {
  format::EntryType type = format::EntryType::kFile;
  std::uint32_t mode = 0, uid = 0, gid = 0, flags = 0, project = 0, marks = 0;
  Timestamp mtime, atime;
  std::uint64_t size = 0, rdev = 0;
  std::uint32_t xattr_count = 0;
  const char* xattrs = nullptr;  // packed: name NUL | u32 value bytes | value
  const char* target = nullptr;  // symlinks, NUL-terminated

  bool plain_file() const { return type == format::EntryType::kFile; }
  bool directory() const { return type == format::EntryType::kDirectory; }
};

// The bits of st_mode that tell the type.
mode_t type_bits(format::EntryType type);

// Strings go into `arena`, which must outlive the result.
Attributes copy_attributes(const format::Entry& entry, Arena& arena);

// Calls each(const char* name, std::string_view value).
template <class Each>
void for_each_xattr(const Attributes& attributes, Each&& each) {
  const char* at = attributes.xattrs;
  for (std::uint32_t i = 0; i < attributes.xattr_count; ++i) {
    const char* name = at;
    at += std::strlen(name) + 1;
    std::uint32_t bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    at += sizeof bytes;
    each(name, std::string_view(at, bytes));
    at += bytes;
  }
}

}  // namespace coppice::restore
