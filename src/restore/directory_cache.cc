// The bounded cache of descriptors over the directory nodes (directory.h).

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "directory.h"
#include "foundation/check.h"

namespace coppice::restore {
namespace {
constexpr std::size_t kKeepOpenOfChain = 8;  // of a chain that must be reopened, only the last are worth keeping
}

Result<DirectoryPin> DirectoryTree::pin(Directory* directory) {
  std::vector<Directory*> closed;  // from `directory` up to the first that is open
  DirectoryPin at;
  {
    MutexLock lock(mutex_);
    if (directory->fd >= 0) return pin_open(directory);
    Directory* d = directory;
    for (; d->fd < 0; d = d->parent) closed.push_back(d);
    at = pin_open(d);
  }
  platform::Fd passing;  // keeps a directory on the way open that is not worth publishing
  for (std::size_t i = closed.size(); i-- > 0;) {
    Directory* d = closed[i];
    const int parent_fd = passing ? passing.get() : at.fd();
    const int flags = (d->path_only ? O_PATH : O_RDONLY) | O_DIRECTORY | O_NOFOLLOW;
    auto fd = platform::open_at(parent_fd, d->name.c_str(), flags);
    if (!fd) return std::unexpected<Error>(std::move(fd).error().within("the directory cannot be entered again"));
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0) return fail_errno(errno, "fstat");
    if (st.st_dev != d->device || st.st_ino != d->inode)
      return fail(ErrorKind::kConflict, "another directory was put in its place during the restore");
    if (i < kKeepOpenOfChain) {
      at = publish(d, std::move(*fd));
      passing.reset();
    } else {
      passing = std::move(*fd);
    }
  }
  return at;
}

DirectoryPin DirectoryTree::pin_open(Directory* directory) {
  if (directory->pins++ == 0) unlist(directory);
  hold(directory);
  return DirectoryPin(this, directory, directory->fd);
}

// Another thread may have opened it meanwhile: then `fd` is closed again.
DirectoryPin DirectoryTree::publish(Directory* directory, platform::Fd fd) {
  MutexLock lock(mutex_);
  if (directory->fd < 0) {
    directory->fd = fd.release();
    ++open_count_;
    directory->pins = 1;
    hold(directory);
    close_some();
    return DirectoryPin(this, directory, directory->fd);
  }
  return pin_open(directory);
}

void DirectoryTree::unpin(Directory* directory) {
  MutexLock lock(mutex_);
  CHECK(directory->pins > 0);
  if (--directory->pins > 0) return;
  directory->older = newest_;
  directory->newer = nullptr;
  if (newest_) newest_->newer = directory;
  newest_ = directory;
  if (!oldest_) oldest_ = directory;
}

void DirectoryTree::close_some() {
  while (open_count_ > open_max_ && oldest_) {
    Directory* victim = oldest_;
    unlist(victim);
    ::close(victim->fd);
    victim->fd = -1;
    --open_count_;
  }
}

// Takes an unpinned open directory off the list.
void DirectoryTree::unlist(Directory* directory) {
  if (directory->newer)
    directory->newer->older = directory->older;
  else
    newest_ = directory->older;
  if (directory->older)
    directory->older->newer = directory->newer;
  else
    oldest_ = directory->newer;
  directory->newer = directory->older = nullptr;
}

}  // namespace coppice::restore
