#include "directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <vector>

#include "foundation/check.h"

namespace coppice::restore {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

constexpr std::string_view kOnTheWay = " stands where the way leads: it is left alone";

std::string describe(int dir, const char* name) {
  char text[PATH_MAX];
  const ssize_t n = ::readlinkat(dir, name, text, sizeof text);
  return n < 0 ? "something that is no directory"
               : fmt::format("a symlink to {}", std::string_view(text, static_cast<std::size_t>(n)));
}

}  // namespace

std::string Where::path() const {
  std::vector<const std::string*> parts;
  for (const Directory* d = directory; d; d = d->parent) parts.push_back(&d->name);
  std::string path = *parts.back();
  for (std::size_t i = parts.size() - 1; i-- > 0;) path.append("/").append(*parts[i]);
  if (!name.empty()) path.append("/").append(name);
  return path.empty() ? "/" : path;
}

std::string Where::below(std::string_view target) const {
  const Directory* root = directory;
  while (root->parent) root = root->parent;
  std::string all = path();
  if (target.ends_with('/')) target.remove_suffix(1);
  all.replace(0, all == "/" ? 1 : root->name.size(), target);
  return all.empty() ? "/" : all;
}

DirectoryTree::DirectoryTree(platform::Fd root, std::string prefix, std::size_t open_max, Use use,
                             Metadata& metadata, Collector& collector, const TemporaryNames& temporaries)
    : metadata_(metadata), collector_(collector), temporaries_(temporaries), open_max_(open_max), use_(use), root_(new Directory) {
  root_->name = std::move(prefix);
  root_->made = true;
  root_->existed = true;
  struct stat st {};
  CHECK(::fstat(root.get(), &st) == 0);
  root_->device = st.st_dev;
  root_->inode = st.st_ino;
  root_->path_only = (::fcntl(root.get(), F_GETFL) & O_PATH) != 0;
  root_->fd = root.release();
  root_->pins = 1;  // for good
  if (use_ == Use::kChange && !root_->path_only) note_file_system(root_->fd);
}

DirectoryTree::~DirectoryTree() {
  CHECK(root_->references.load() == 1);  // everything else was released
  finish_attributes(root_);
  ::close(root_->fd);
  delete root_;
}

Directory* DirectoryTree::add(Directory* parent, std::string name) {
  auto* directory = new Directory;
  directory->parent = parent;
  directory->name = std::move(name);
  directory->mount = parent->mount;
  hold(parent);
  return directory;
}

void DirectoryTree::set_attributes(Directory* directory, const format::Entry& entry) {
  if (!entry.xattrs.empty()) directory->arena = std::make_unique<Arena>(1u << 10);
  Arena none(1);
  directory->attributes = copy_attributes(entry, directory->arena ? *directory->arena : none);
  directory->wants_attributes = true;
  if (entry.marks & format::kMarkMountPoint) directory->mount = ++mounts_;
}

bool DirectoryTree::make(Directory* directory) {
  if (directory->made) return true;
  std::vector<Directory*> missing;
  for (Directory* d = directory; !d->made; d = d->parent) missing.push_back(d);
  while (!missing.empty()) {
    Directory* d = missing.back();
    if (d->failed || d->parent->failed) {
      d->failed = true;
    } else {
      d->failed = !(use_ == Use::kLook ? look_at(d) : make_one(d));
      d->made = !d->failed;
    }
    if (d->failed) {
      directory->failed = true;
      return false;
    }
    missing.pop_back();
  }
  return true;
}

bool DirectoryTree::tell(const Directory* directory, std::string what) {
  collector_.fail(Where{directory, {}}.path(), std::move(what));
  return false;
}

void DirectoryTree::note_file_system(int fd) {
  constexpr std::size_t kFileSystemsMax = 64;   // descriptors; who works on more of them at once syncs them himself
  if (file_systems_.size() < kFileSystemsMax) file_systems_.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

// `fd`: the directory as it is here; -1: it will be made.
void DirectoryTree::look_for_mount(const Directory* directory, int fd) {
  if (!(directory->attributes.marks & format::kMarkMountPoint)) return;
  struct statx now {};
  if (fd >= 0 && ::statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &now) == 0) {
    const bool told = (now.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;   // not by kernels before 5.8
    const bool other = makedev(now.stx_dev_major, now.stx_dev_minor) != directory->parent->device;
    if (told ? (now.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 : other) return;
  }
  collector_.note_mount_point(Where{directory, {}}.path());
}

// As make_one() would find it.
bool DirectoryTree::look_at(Directory* directory) {
  if (!directory->parent->existed) return look_for_mount(directory, -1), true;
  auto parent = pin(directory->parent);
  if (!parent) return tell(directory, parent.error().message());
  const char* name = directory->name.c_str();
  platform::Fd fd(::openat(parent->fd(), name, kOpenDirectory));
  if (!fd && errno == EACCES) {
    directory->path_only = true;
    fd = platform::Fd(::openat(parent->fd(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) {
    if (errno != ENOENT && !directory->chosen) return tell(directory, describe(parent->fd(), name).append(kOnTheWay));
    look_for_mount(directory, -1);
    return true;
  }
  look_for_mount(directory, fd.get());
  directory->existed = true;
  directory->device = st.st_dev;
  directory->inode = st.st_ino;
  directory->guarded = metadata_.stays_guarded(fd.get());
  compare(fd.get(), directory);
  publish(directory, std::move(fd));
  return true;
}

bool DirectoryTree::make_one(Directory* directory) {
  const auto told = [&](std::string what) { return tell(directory, std::move(what)); };
  auto parent = pin(directory->parent);
  if (!parent) return told(parent.error().message());
  const char* name = directory->name.c_str();
  int made = make_new(parent->fd(), *directory);
  platform::Fd fd;
  if (made != 0 && errno == EEXIST) {
    auto existing = enter_existing(parent->fd(), directory);
    if (existing) {
      fd = std::move(*existing);
      directory->existed = true;
    } else if (existing.error().kind() == ErrorKind::kConflict) {
      // What was not asked for is not touched: a symlink on the way may be how this host is laid out.
      if (!directory->chosen) return told(describe(parent->fd(), name).append(kOnTheWay));
      made = make_instead(parent->fd(), *directory);
      if (made != 0 && errno == EPERM && metadata_.is_guarded_at(parent->fd(), name))
        return collector_.fail_immutable(Where{directory, {}}, "what is in the way is "), false;
      if (made != 0) return told(fmt::format("cannot replace what is in the way: {}", std::strerror(errno)));
    } else {
      return told(existing.error().message());
    }
  }
  if (!fd) {
    if (made != 0) {
      const int error = errno;
      if (error == ENOSPC || error == EDQUOT) collector_.stop_full(Where{directory, {}}, error);
      if (error == EPERM && directory->parent->guarded) return collector_.fail_immutable(Where{directory, {}}, "its directory is "), false;
      return told(fmt::format("cannot make the directory: {}", std::strerror(error)));
    }
    auto opened = platform::open_at(parent->fd(), name, kOpenDirectory);
    if (!opened) return told("the directory just made cannot be opened: " + opened.error().message());
    fd = std::move(*opened);
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return told(fmt::format("fstat: {}", std::strerror(errno)));
  directory->device = st.st_dev;
  directory->inode = st.st_ino;
  if (directory->device != directory->parent->device && !directory->path_only) note_file_system(fd.get());
  look_for_mount(directory, fd.get());
  if (directory->existed) {
    learn_existing(fd.get(), directory);
  } else {
    if (directory->attributes.marks & format::kMarkSubvolume) ::fchmod(fd.get(), kUnfinishedMode);
    if (directory->parent->inherits_acl) {
      ::fremovexattr(fd.get(), "system.posix_acl_default");
      ::fremovexattr(fd.get(), "system.posix_acl_access");
      ::fchmod(fd.get(), kUnfinishedMode);
    }
    if (directory->parent->inherits_flags) metadata_.take_off_inherited_flags(fd.get());
    metadata_.apply_early_flags(fd.get(), directory->attributes);
  }
  publish(directory, std::move(fd));
  return true;
}

int DirectoryTree::make_new(int parent_fd, const Directory& directory) {
  const char* name = directory.name.c_str();
  const bool subvolume = (directory.attributes.marks & format::kMarkSubvolume) != 0;
  if (subvolume) {
    btrfs_ioctl_vol_args request{};
    std::strncpy(request.name, name, sizeof request.name - 1);
    if (::ioctl(parent_fd, BTRFS_IOC_SUBVOL_CREATE, &request) == 0) return 0;
    if (errno == EEXIST) return -1;
  }
  const int made = ::mkdirat(parent_fd, name, kUnfinishedMode);
  if (made == 0 && subvolume)
    collector_.note_once("subvolume", Where{&directory, {}}.path(),
                         "btrfs subvolumes become plain directories here (said once)");
  return made;
}

// Puts an empty directory in the place of something that is none. What stands there goes when the directory is sure.
int DirectoryTree::make_instead(int parent_fd, const Directory& directory) {
  const std::string& name = directory.name;
  TemporaryName temporary(name);
  int made = ::mkdirat(parent_fd, temporary.text, kUnfinishedMode);
  if (made != 0 && errno == EEXIST) {
    temporary = TemporaryName(name, temporaries_.next(directory.parent, name));
    if (::unlinkat(parent_fd, temporary.text, 0) != 0) ::unlinkat(parent_fd, temporary.text, AT_REMOVEDIR);   // of an earlier run
    made = ::mkdirat(parent_fd, temporary.text, kUnfinishedMode);
  }
  if (made != 0) return made;
  const auto remove = [&] { return ::unlinkat(parent_fd, name.c_str(), 0) == 0; };
  if ((remove() || (metadata_.take_off_guards_at(parent_fd, name.c_str()) && remove())) &&
      ::renameat(parent_fd, temporary.text, parent_fd, name.c_str()) == 0)
    return 0;
  const int error = errno;
  ::unlinkat(parent_fd, temporary.text, AT_REMOVEDIR);
  errno = error;
  return -1;
}

// kConflict when something else than a directory has the name.
Result<platform::Fd> DirectoryTree::enter_existing(int parent_fd, Directory* directory) {
  const char* name = directory->name.c_str();
  int fd = ::openat(parent_fd, name, kOpenDirectory);
  if (fd < 0 &&
      errno == EACCES) {  // ours, without permissions for ourselves: they come back when the directory is finished
    platform::Fd path(::openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (path && ::fstat(path.get(), &st) == 0 && st.st_uid == metadata_.euid() &&
        ::chmod(ProcPath(path.get()).text, (st.st_mode & 07777) | 0700) == 0) {
      directory->mode_before = st.st_mode & 07777;
      directory->mode_changed = true;
      fd = ::openat(parent_fd, name, kOpenDirectory);
    } else if (path) {
      directory->path_only = true;
      return path;
    } else {
      errno = EACCES;
    }
  }
  if (fd >= 0) return platform::Fd(fd);
  const int error = errno;
  if (error == ENOTDIR || error == ELOOP) return fail(ErrorKind::kConflict, "not a directory");
  return fail(ErrorKind::kUnavailable,
              fmt::format("cannot open the directory that is there: {}", std::strerror(error)));
}

void DirectoryTree::learn_existing(int fd, Directory* directory) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return;
  directory->unfinished = st.st_uid == metadata_.euid() && (st.st_mode & 07777) == kUnfinishedMode;
  if (!directory->mode_changed) directory->mode_before = st.st_mode & 07777;
  compare(fd, directory);
  if (!metadata_.root() && st.st_uid == metadata_.euid() && (st.st_mode & 0700) != 0700 &&
      ::fchmod(fd, (st.st_mode & 07777) | 0700) == 0)
    directory->mode_changed = true;
  directory->inherits_acl = (directory->path_only
                                 ? ::getxattr(ProcPath(fd).text, "system.posix_acl_default", nullptr, 0)
                                 : ::fgetxattr(fd, "system.posix_acl_default", nullptr, 0)) > 0;
  directory->inherits_flags = metadata_.flags_of(fd) != 0;
  if (directory->inherits_flags) {
    directory->guards_taken = metadata_.take_off_guards(fd);
    directory->guarded = metadata_.is_guarded(fd);
  }
}

// Before anything in it changes its times.
void DirectoryTree::compare(int fd, Directory* directory) const {
  struct stat st {};
  if (!directory->existed || directory->unfinished || !takes_attributes(*directory) || ::fstat(fd, &st) != 0) return;
  if (directory->mode_changed) st.st_mode = (st.st_mode & S_IFMT) | directory->mode_before;
  const HandleKind kind = directory->path_only ? HandleKind::kPath : HandleKind::kOpen;
  directory->differed = !metadata_.is_right(fd, kind, st, directory->attributes);
}

// ---- the end of a directory ----

void DirectoryTree::finish(Directory* directory) {
  while (directory && directory != root_) {
    if (directory->made) finish_attributes(directory);
    {
      MutexLock lock(mutex_);
      CHECK(directory->pins == 0);
      if (directory->fd >= 0) {
        unlist(directory);
        ::close(directory->fd);
        --open_count_;
      }
    }
    Directory* parent = directory->parent;
    delete directory;
    directory = parent->references.fetch_sub(1, std::memory_order_acq_rel) == 1 ? parent : nullptr;
  }
}

void DirectoryTree::finish_attributes(Directory* directory) {
  if (use_ == Use::kLook) {
    if (directory->differed && directory->guarded)
      collector_.fail_immutable({directory, {}}, "it is ");
    else if (directory->differed)
      collector_.count_metadata_set();
    return;
  }
  const bool put_back = directory->existed && (directory->mode_changed || directory->guards_taken);
  if (!takes_attributes(*directory) && !put_back) return;
  directory->references.store(2, std::memory_order_relaxed);  // the pin's own must not be the last again
  auto pin = this->pin(directory);
  if (!pin) {
    collector_.fail(Where{directory, {}}.path(), "cannot be finished: " + pin.error().message());
    directory->references.store(0, std::memory_order_relaxed);
    return;
  }
  const int fd = pin->fd();
  // Afterwards the way up may be barred for us; and where a deep chain is finished, no directory must be found from the
  // top again.
  if (directory->parent) open_parent_from(directory, fd);
  if (!takes_attributes(*directory)) {
    if (directory->mode_changed) ::fchmod(fd, directory->mode_before);
    if (directory->guards_taken) metadata_.put_on_guards(fd, directory->guards_taken);
  } else {
    struct stat st {};
    const Where where{directory, {}};
    const HandleKind kind = directory->path_only ? HandleKind::kPath : HandleKind::kOpen;
    bool right = ::fstat(fd, &st) == 0;
    const bool wrong = right && !(directory->existed && metadata_.is_right(fd, kind, st, directory->attributes));
    const bool set = wrong && !directory->guarded && directory->differed;
    if (wrong && directory->guarded) {
      collector_.fail_immutable(where, "it is ");
      right = true;   // told
    } else if (wrong) {
      right = metadata_.apply(
          fd, kind, st, directory->attributes,
          {.inherited_acl = directory->parent && directory->parent->inherits_acl && !directory->existed,
           .existed = directory->existed},
          where);
      if (collector_.stopped() && directory->guards_taken) metadata_.put_on_guards(fd, directory->guards_taken);
      if (kind == HandleKind::kOpen && !collector_.stopped())   // the next run, which goes on, has to get in
        right = metadata_.apply_flags(fd, directory->attributes, directory->existed, where) && right;
    }
    if (!right)
      collector_.count_failed();
    else
      collector_.count_directory();
    if (right && set) collector_.count_metadata_set();
  }
  pin->reset();
  directory->references.store(0, std::memory_order_relaxed);
}

void DirectoryTree::open_parent_from(Directory* child, int child_fd) {
  Directory* parent = child->parent;
  {
    MutexLock lock(mutex_);
    if (parent->fd >= 0) return;
  }
  platform::Fd fd(::openat(child_fd, "..", kOpenDirectory));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_dev != parent->device || st.st_ino != parent->inode)
    return;  // moved: found from above, or not
  publish(parent, std::move(fd));
}

}  // namespace coppice::restore
