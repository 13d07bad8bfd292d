#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "directory_tree_internal.h"

namespace coppice::storage {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr std::size_t kDurableRemembered = 4096;  // forgetting costs an fsync, nothing else

// Calls step(segment, path up to and with it) for each component.
template <class Step>
Result<> for_each_segment(std::string_view path, Step step) {
  for (std::size_t start = 0; start < path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    TRY(step(std::string(path.substr(start, end - start)), path.substr(0, end)));
    start = end + 1;
  }
  return {};
}

// Not dup: that would share the position, and two lists of the root would each see half of it.
Result<platform::Fd> open_again(int dir_fd) { return platform::open_at(dir_fd, ".", O_RDONLY | O_DIRECTORY); }

Result<platform::Fd> make_or_open_at(int dir_fd, const std::string& segment) {
  Result<platform::Fd> found = open_directory_at(dir_fd, segment);
  if (found || found.error().kind() != ErrorKind::kNotFound) return found;
  if (mkdirat(dir_fd, segment.c_str(), kDirectoryMode) != 0 && errno != EEXIST) return fail_errno(errno, segment);
  return open_directory_at(dir_fd, segment);
}

}  // namespace

SplitName split_name(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

Result<platform::Fd> open_directory_at(int dir_fd, const std::string& segment) {
  Result<platform::Fd> opened = platform::open_at(dir_fd, segment.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (opened) return opened;
  // ENOTDIR and ELOOP do not tell a link from a file; a look at it does.
  struct stat status {};
  if (fstatat(dir_fd, segment.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    if (S_ISLNK(status.st_mode)) return fail(ErrorKind::kDenied, fmt::format("{}: a symbolic link, not followed", segment));
    if (!S_ISDIR(status.st_mode)) return fail(ErrorKind::kInvalid, fmt::format("{}: not a directory", segment));
  }
  return opened;
}

Result<platform::Fd> DirectoryTree::open(std::string_view path) const {
  platform::Fd current = TRY(open_again(root_.get()));
  TRY(for_each_segment(path, [&](const std::string& segment, std::string_view) -> Result<> {
    current = TRY(open_directory_at(current.get(), segment));
    return {};
  }));
  return current;
}

Result<platform::Fd> DirectoryTree::make(std::string_view path, const Sync& sync) {
  platform::Fd current = TRY(open_again(root_.get()));
  TRY(for_each_segment(path, [&](const std::string& segment, std::string_view so_far) -> Result<> {
    platform::Fd next = TRY(make_or_open_at(current.get(), segment));
    if (!is_known_durable(so_far)) {
      TRY(sync(current.get()));
      remember_durable(so_far);
    }
    current = std::move(next);
    return {};
  }));
  return current;
}

bool DirectoryTree::is_known_durable(std::string_view path) {
  MutexLock lock(mutex_);
  return durable_.contains(path);
}

void DirectoryTree::remember_durable(std::string_view path) {
  MutexLock lock(mutex_);
  if (durable_.size() >= kDurableRemembered) durable_.clear();
  durable_.emplace(path);
}

}  // namespace coppice::storage
