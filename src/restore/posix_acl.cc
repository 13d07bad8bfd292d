#include "posix_acl.h"

#include <cstring>

namespace coppice::restore {

std::optional<std::vector<AclEntry>> parse_posix_acl(std::string_view value) {
  // u32 version (2) | entries of u16 tag, u16 permissions, u32 id; little-endian everywhere
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t n = 0;
    for (std::size_t i = bytes; i-- > 0;) n = n << 8 | static_cast<unsigned char>(value[at + i]);
    return n;
  };
  constexpr std::size_t kHeadBytes = 4, kEntryBytes = 8;
  if (value.size() < kHeadBytes || (value.size() - kHeadBytes) % kEntryBytes != 0 || number(0, 4) != 2) return {};
  std::vector<AclEntry> entries;
  for (std::size_t at = kHeadBytes; at < value.size(); at += kEntryBytes) {
    const auto tag = static_cast<AclTag>(number(at, 2));
    switch (tag) {
      case AclTag::kUserObject:
      case AclTag::kUser:
      case AclTag::kGroupObject:
      case AclTag::kGroup:
      case AclTag::kMask:
      case AclTag::kOther:
        break;
      default:
        return {};
    }
    entries.push_back({.tag = tag, .permissions = number(at + 2, 2) & 7, .id = number(at + 4, 4)});
  }
  return entries;
}

}  // namespace coppice::restore
