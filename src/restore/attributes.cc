#include "attributes.h"

#include <sys/stat.h>

namespace coppice::restore {

mode_t type_bits(format::EntryType type) {
  using format::EntryType;
  switch (type) {
    case EntryType::kSymlink:
      return S_IFLNK;
    case EntryType::kCharDevice:
      return S_IFCHR;
    case EntryType::kBlockDevice:
      return S_IFBLK;
    case EntryType::kFifo:
      return S_IFIFO;
    case EntryType::kSocket:
      return S_IFSOCK;
    case EntryType::kFile:
      return S_IFREG;
    case EntryType::kDirectory:
      return S_IFDIR;
  }
  return 0;
}

Attributes copy_attributes(const format::Entry& entry, Arena& arena) {
  Attributes a;
  a.type = entry.type;
  a.mode = entry.mode & 07777;
  a.uid = entry.owner.uid;
  a.gid = entry.owner.gid;
  a.flags = entry.flags;
  a.project = entry.project;
  a.marks = entry.marks;
  a.mtime = entry.mtime;
  a.atime = entry.atime;
  a.size = entry.size;
  a.rdev = entry.rdev;
  if (entry.type == format::EntryType::kSymlink) a.target = arena.copy_text(entry.target);
  if (entry.xattrs.empty()) return a;
  std::size_t bytes = 0;
  for (const auto& x : entry.xattrs) bytes += x.name.size() + 1 + sizeof(std::uint32_t) + x.value.size();
  char* at = static_cast<char*>(arena.allocate(bytes, 1));
  a.xattrs = at;
  for (const auto& x : entry.xattrs) {
    // A name with a NUL inside cannot be meant; what stands before it is another name.
    if (x.name.empty() || x.name.find('\0') != std::string::npos) continue;
    std::memcpy(at, x.name.c_str(), x.name.size() + 1);
    at += x.name.size() + 1;
    const auto value_bytes = static_cast<std::uint32_t>(x.value.size());
    std::memcpy(at, &value_bytes, sizeof value_bytes);
    at += sizeof value_bytes;
    std::memcpy(at, x.value.data(), x.value.size());
    at += x.value.size();
    ++a.xattr_count;
  }
  return a;
}

}  // namespace coppice::restore
