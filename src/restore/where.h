// Where an entry is, kept as parts: its path is put together only for a message.
#pragma once

#include <string>
#include <string_view>

namespace coppice::restore {

struct Directory;

struct Where {
  const Directory* directory;
  std::string_view name;     // empty: the directory itself
  std::string path() const;  // as in the snapshot: "/etc/fstab"
  std::string below(std::string_view target) const;  // on this host, below what stands for the root
};

}  // namespace coppice::restore
