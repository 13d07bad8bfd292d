// The directories that a restore works in.
//
// A node lives while something in it is still to be done: each planned entry, each child directory, each open pin and
// the walk itself hold a reference. When the last one goes, the directory's own attributes are put on (its times would
// not survive earlier), its descriptor is closed, and the reference on its parent is dropped: so directories are
// finished from the bottom up, as early as can be.
//
// Safety: a directory is only ever opened by its name in its parent's descriptor, with O_NOFOLLOW, and a reopened one
// must still have the device and inode it had. Descriptors are a cache of bounded size over the nodes; paths of any
// depth work, because no path is used.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attributes.h"
#include "collector.h"
#include "foundation/mutex.h"
#include "metadata.h"
#include "platform/file.h"
#include "temporary.h"
#include "where.h"

namespace coppice::restore {

struct Directory {
  Directory* parent = nullptr;
  std::string name;              // of the root: the snapshot's path that the target stands for
  std::unique_ptr<Arena> arena;  // of the attributes' strings, when there are any
  Attributes attributes;
  std::uint32_t mount = 0;        // which mount of the snapshot it lies on; 0: that of the root
  bool wants_attributes = false;  // the snapshot tells them
  bool chosen = false;            // they are wanted even where the directory existed before; else it is only on the way
  // Set by make(), on the walking thread, before any other thread sees the node.
  bool made = false, failed = false;
  bool existed = false;       // was there before this run
  bool unfinished = false;    // existed: an earlier run made it, and was interrupted before it put the attributes on
  bool path_only = false;     // its list may not be read: held by an O_PATH descriptor, enough to pass through
  bool inherits_acl = false;  // has a default ACL that what is made in it would inherit
  bool inherits_flags = false;  // has flags, or a project id, that what is made in it would inherit
  bool differed = false;      // existed: its attributes are to be those of the snapshot, and were others
  mode_t mode_before = 0;     // existed: to put back what make() had to change
  bool mode_changed = false;
  unsigned guards_taken = 0;  // existed: flags that come back too
  bool guarded = false;       // existed, and immutable or append-only still
  dev_t device = 0;
  ino_t inode = 0;

  std::atomic<std::uint64_t> references{1};
  // Guarded by the tree's mutex.
  int fd = -1;
  std::uint32_t pins = 0;
  Directory *newer = nullptr, *older = nullptr;  // among those open and not pinned
};

// What a directory is made with until its own attributes are put on. Nobody gives a directory this mode by habit, so a
// later run knows by it that an earlier one was interrupted, and finishes it.
inline constexpr mode_t kUnfinishedMode = 01700;

class DirectoryTree;

// A directory that stays open, and alive, while this lives.
class DirectoryPin {
 public:
  DirectoryPin() = default;
  DirectoryPin(DirectoryPin&& other) noexcept
      : tree_(std::exchange(other.tree_, nullptr)),
        directory_(std::exchange(other.directory_, nullptr)),
        fd_(std::exchange(other.fd_, -1)) {}
  DirectoryPin& operator=(DirectoryPin&& other) noexcept {
    if (this != &other) {
      reset();
      tree_ = std::exchange(other.tree_, nullptr);
      directory_ = std::exchange(other.directory_, nullptr);
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~DirectoryPin() { reset(); }
  void reset();
  int fd() const { return fd_; }
  Directory* directory() const { return directory_; }

 private:
  friend class DirectoryTree;
  DirectoryPin(DirectoryTree* tree, Directory* directory, int fd) : tree_(tree), directory_(directory), fd_(fd) {}
  DirectoryTree* tree_ = nullptr;
  Directory* directory_ = nullptr;
  int fd_ = -1;
};

// Thread-safe but for add() and make(), which belong to the walking thread.
class DirectoryTree {
 public:
  // kLook: for a dry run. Nothing is changed; a directory that is missing counts as made, and `existed` tells.
  enum class Use { kChange, kLook };
  // `root`: the target, open. `prefix`: the snapshot's path that it stands for. `open_max`: descriptors kept.
  DirectoryTree(platform::Fd root, std::string prefix, std::size_t open_max, Use use, Metadata& metadata,
                Collector& collector, const TemporaryNames& temporaries);
  ~DirectoryTree();

  Directory* root() { return root_; }
  // Something will be made in the root: to be called once its attributes are known, before anything is.
  void use_root() {
    if (use_ == Use::kChange) return learn_existing(root_->fd, root_);
    root_->guarded = metadata_.stays_guarded(root_->fd);
    compare(root_->fd, root_);
  }
  void mark_root_unfinished() {
    // The mark is of who is to finish it.
    if (::fchown(root_->fd, ::geteuid(), static_cast<gid_t>(-1)) == 0) ::fchmod(root_->fd, kUnfinishedMode);
  }
  // A directory that is planned: nothing is on disk yet. The caller owns one reference.
  Directory* add(Directory* parent, std::string name);
  void set_attributes(Directory* directory, const format::Entry& entry);
  // Makes sure that it is there, its parents first. False when it cannot be; that was told then (once).
  bool make(Directory* directory);
  Result<DirectoryPin> pin(Directory* directory);
  // A descriptor on each file system that was worked on: as old as the work, so that syncfs tells of every write that was lost since.
  std::vector<platform::Fd> take_file_systems() { return std::move(file_systems_); }
  static void hold(Directory* directory) { directory->references.fetch_add(1, std::memory_order_relaxed); }
  void release(Directory* directory) {
    if (directory->references.fetch_sub(1, std::memory_order_acq_rel) == 1) finish(directory);
  }

 private:
  friend class DirectoryPin;
  bool make_one(Directory* directory);
  bool look_at(Directory* directory);
  bool tell(const Directory* directory, std::string what);
  void look_for_mount(const Directory* directory, int fd);
  void note_file_system(int fd);
  Result<platform::Fd> enter_existing(int parent_fd, Directory* directory);
  int make_new(int parent_fd, const Directory& directory);
  int make_instead(int parent_fd, const Directory& directory);
  void learn_existing(int fd, Directory* directory);
  void compare(int fd, Directory* directory) const;
  DirectoryPin pin_open(Directory* directory) REQUIRES(mutex_);
  DirectoryPin publish(Directory* directory, platform::Fd fd) EXCLUDES(mutex_);
  void unpin(Directory* directory);
  void close_some() REQUIRES(mutex_);
  void unlist(Directory* directory) REQUIRES(mutex_);
  void finish(Directory* directory);
  void finish_attributes(Directory* directory);
  static bool takes_attributes(const Directory& d) {
    return d.wants_attributes && (d.chosen || !d.existed || d.unfinished);
  }
  void open_parent_from(Directory* child, int child_fd);

  Metadata& metadata_;
  Collector& collector_;
  const TemporaryNames& temporaries_;
  const std::size_t open_max_;
  const Use use_;
  Directory* root_;
  std::uint32_t mounts_ = 0;   // met so far
  std::vector<platform::Fd> file_systems_;   // the root's, then others as they are met
  Mutex mutex_;
  std::size_t open_count_ GUARDED_BY(mutex_) = 0;
  Directory *newest_ GUARDED_BY(mutex_) = nullptr, *oldest_ GUARDED_BY(mutex_) = nullptr;
};

inline void DirectoryPin::reset() {
  if (!directory_) return;
  tree_->unpin(directory_);
  tree_->release(std::exchange(directory_, nullptr));
  fd_ = -1;
}

}  // namespace coppice::restore
