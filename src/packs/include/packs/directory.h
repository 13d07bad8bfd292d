// What a stored pack says that it holds. Needs no key.
#pragma once

#include "format/pack.h"
#include "format/pack_list.h"
#include "storage/object_store.h"

namespace coppice::packs {

struct PackDirectory {
  format::PackName name;
  std::uint64_t bytes = 0;                 // of the whole object
  format::Digest hash{};                   // the pack hash, recomputed from the directory
  std::vector<format::PackEntry> entries;  // in storage order
};

// Reads the end of the pack (two requests: the size, then footer and directory in one range) and checks it against
// itself and against its name. The blocks are not read. kCorrupt names the object; kNotFound when there is none.
Result<PackDirectory> read_pack_directory(storage::ObjectStore& store, const format::PackName& name);
// The same, of the pack that a commit names; kCorrupt when another stands in its place.
Result<PackDirectory> read_pack_directory(storage::ObjectStore& store, const format::PackRecord& record);

}  // namespace coppice::packs
