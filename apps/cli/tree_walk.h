// Walking a snapshot's tree in path order, reading tree pages only.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "foundation/result.h"
#include "vault/reader.h"

namespace coppice::cli {

enum class Descend { kNo, kYes };
using WalkVisitor = std::function<Result<Descend>(std::string_view path, const format::Entry& entry)>;

// Every entry below `directory`, whose path is `path` ("/" for the root); a directory before what is in it. Memory
// grows with depth and with the number of subdirectories of the directories being walked, not with the tree.
Result<> walk_tree(vault::ChunkReader& reader, const format::Entry& directory, const std::string& path,
                   const WalkVisitor& visit);

// "drwxr-xr-x  root root      4.1 kB  2026-11-22 08:00:00  "
std::string render_long(const format::Entry& entry);

}  // namespace coppice::cli
