// The directories of a directory store, walked one component at a time from a descriptor of its root, so that no symbolic
// link planted inside leads out.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "foundation/mutex.h"
#include "platform/file.h"

namespace coppice::storage {

// "packs/0/3" and "1" of "packs/0/3/1".
struct SplitName {
  std::string_view parent, base;
};
SplitName split_name(std::string_view name);

// Opens one component as a directory: kNotFound when there is none, kDenied for a symbolic link, kInvalid for anything else.
Result<platform::Fd> open_directory_at(int dir_fd, const std::string& segment);

// Thread-safe. Paths are relative to the root, "" being the root itself.
class DirectoryTree {
 public:
  explicit DirectoryTree(platform::Fd root) : root_(std::move(root)) {}
  int root() const { return root_.get(); }
  Result<platform::Fd> open(std::string_view path) const;
  // Makes what is missing. On return every component is in stable storage; `sync` is how directories are flushed.
  using Sync = std::function<Result<>(int dir_fd)>;
  Result<platform::Fd> make(std::string_view path, const Sync& sync);

 private:
  bool is_known_durable(std::string_view path);
  void remember_durable(std::string_view path);

  const platform::Fd root_;
  Mutex mutex_;
  // Directories whose entry in their parent this process has flushed. That a directory exists does not say so: whoever made
  // it, in another thread or before a crash, may not have come to flushing it.
  std::set<std::string, std::less<>> durable_ GUARDED_BY(mutex_);
};

}  // namespace coppice::storage
