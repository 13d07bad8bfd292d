// Objects as files below one directory, durable as design point 16 says: unique temporary in the target directory, write,
// fsync, link(temporary, name), unlink temporary, fsync of the directory and of new parents. Where hard links are not to be
// had, renameat2(RENAME_NOREPLACE); where that is missing too, create_directory_store and put refuse (kUnsupported; such a
// place can still be read). A failed fsync means not stored: after a failed fsync of a directory, when it is not known what
// survives, every later call on this store is kUnavailable until it is opened anew.
// Files are 0400 in directories 0700. Temporaries (".tmp-...") are invisible; those left by a crash are swept by the next
// list that passes them and may: their writer's flock(2) is gone. No symbolic link below the directory is followed (kDenied).
#pragma once

#include <memory>
#include <string_view>

#include "storage/object_store.h"

namespace coppice::storage {

// What a put says when nothing can be written there (kDenied).
inline constexpr std::string_view kReadOnly = "is on a file system that is mounted read-only", kNotOurs = "cannot be written by this user";

// `create` makes the directory (kConflict when it exists and is not empty). `open` requires it (kNotFound).
Result<std::unique_ptr<ObjectStore>> create_directory_store(const std::string& path);
// Whether there is room for one: as `create` fails, before anything is made.
Result<> check_vacant(const std::string& path);
Result<std::unique_ptr<ObjectStore>> open_directory_store(const std::string& path);

}  // namespace coppice::storage
