// One file into one directory, whole or not at all, and never over another.
#pragma once

#include <string>
#include <string_view>

#include "foundation/bytes.h"
#include "foundation/result.h"
#include "storage/object_store.h"

namespace coppice::storage {

inline constexpr std::string_view kTemporaryPrefix = ".tmp-";
std::string new_temporary_name();

// The bytes are flushed when this returns a value; the directory entry is not: the caller flushes the directory.
// kConflict: `name` is taken. kUnsupported: this file system has no way to give a name only if it is free.
// Nothing is left behind on failure. With a pace every slice is flushed before the next, so that the disk, too, sees them apart.
Result<> publish_file(int dir_fd, const std::string& name, ByteSpan bytes, const Pace& pace = {});

// Removes a temporary whose writer is gone. Any failure means: not today.
void sweep_temporary(int dir_fd, const std::string& name);

}  // namespace coppice::storage
