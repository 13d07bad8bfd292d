// Walking a snapshot's tree in path order, reading tree pages only.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "foundation/result.h"
#include "vault/reader.h"

namespace coppice::tasks {

enum class Descend { kNo, kYes };
using WalkVisitor = std::function<Result<Descend>(std::string_view path, const format::Entry& entry)>;

// What the open directories of one walk may hold together.
inline constexpr std::size_t kWalkBytesMax = 16u << 20;

// Every entry below `directory`, whose path is `path` ("/" for the root), names in byte order, a directory before what
// is in it. Each page is read once. Only when the directories open at one time hold more than `bytes_max` are the
// outermost closed, and opened again on the way back.
Result<> walk_tree(vault::ChunkReader& reader, const format::Entry& directory, const std::string& path,
                   const WalkVisitor& visit, std::size_t bytes_max = kWalkBytesMax);

}  // namespace coppice::tasks
