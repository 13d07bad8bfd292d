// POSIX ACLs as the kernel hands them out in extended attributes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace coppice::restore {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access",
                                  kDefaultAclName = "system.posix_acl_default";

// DO NOT CHANGE THESE ENUM VALUES
enum class AclTag : std::uint16_t {
  kUserObject = 1,
  kUser = 2,
  kGroupObject = 4,
  kGroup = 8,
  kMask = 16,
  kOther = 32,
};

struct AclEntry {
  AclTag tag = AclTag::kOther;
  std::uint32_t permissions = 0;  // as in a mode: r 4, w 2, x 1
  std::uint32_t id = 0;           // of kUser and kGroup
};

// Nothing for what is not such a list, of the version that there is.
std::optional<std::vector<AclEntry>> parse_posix_acl(std::string_view value);

}  // namespace coppice::restore
