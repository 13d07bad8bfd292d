// What ties the names of one inode together.
//
// Device and inode numbers alone do not: a device's number may be another's after a restart, and an entry that did not
// change keeps the old one. So entries are names of one inode only when all else about them agrees too, their content
// above all. Large content is cut alike wherever it is read, so its chunks tell. A small file's bytes lie in a group
// with others, and one inode's may lie in two groups (when it was read for each name): those are compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "format/tree.h"
#include "vault/reader.h"

namespace coppice::restore {

struct InodeKey {
  std::uint64_t device = 0, inode = 0;
  std::uint64_t likeness = 0;  // a hash of the rest
  std::uint32_t mount = 0;     // names are tied within one mount: a bind mount shows them a second time
  bool operator==(const InodeKey&) const = default;
};

struct InodeKeyHash {
  std::size_t operator()(const InodeKey& k) const {
    return (k.inode * 0x9e3779b97f4a7c15u) ^ (k.device * 0xc2b2ae3d27d4eb4fu) ^ k.likeness;
  }
};

// Where a small file's bytes are. Length 0: nowhere, or the key tells the content.
struct GroupedBytes {
  format::ChunkRef chunk;
  std::uint32_t offset = 0, length = 0;
};

// `chunks`: the table that the entry's slices name.
InodeKey inode_key(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);
GroupedBytes grouped_bytes(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);
// Of two whose keys agree. Reads the vault only where the places differ; false when it cannot be read.
bool same_bytes(vault::ChunkReader& reader, const GroupedBytes& a, const GroupedBytes& b);

// Whether the entry may share its content with others: one whose content could not be read has none to give, and must
// not get one that may be older; what was mounted at a name of its own has no other there.
inline bool may_be_linked(const format::Entry& entry) {
  return entry.links > 1 && !(entry.marks & (format::kMarkUnreadable | format::kMarkMountPoint));
}

}  // namespace coppice::restore
