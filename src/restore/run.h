// What the threads of one restore share.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "collector.h"
#include "directory.h"
#include "foundation/mutex.h"
#include "hard_links.h"
#include "metadata.h"
#include "platform/file.h"
#include "temporary.h"
#include "vault/reader.h"
#include "window.h"

namespace coppice::restore {

// What the walk is to plan again.
class AgainList {
 public:
  enum class Why {
    kWrong,   // it looked right, and its content is not (verify): it is replaced
    kAlone    // it cannot be linked to the first name of its inode: it becomes a file of its own
  };
  struct Item {
    Directory* directory;  // holds a reference
    std::string name;
    LinkTarget* link;  // holds a reference, or null
    Why why;
  };
  void add(Item item) {
    MutexLock lock(mutex_);
    items_.push_back(std::move(item));
  }
  std::vector<Item> take() {
    MutexLock lock(mutex_);
    return std::exchange(items_, {});
  }

 private:
  Mutex mutex_;
  std::vector<Item> items_ GUARDED_BY(mutex_);
};

// Links whose first name is under way still when their turn comes: it is larger than a window, or is planned again.
class LateLinks {
 public:
  struct Item {
    LinkRecord link;
    std::string name;  // outlives the window that the link came in
  };
  void add(const LinkRecord& link) {
    MutexLock lock(mutex_);
    items_.push_back({link, std::string(link.name, link.name_bytes)});
  }
  std::vector<Item> take() {
    MutexLock lock(mutex_);
    return std::exchange(items_, {});
  }
  bool empty() {
    MutexLock lock(mutex_);
    return items_.empty();
  }

 private:
  Mutex mutex_;
  std::vector<Item> items_ GUARDED_BY(mutex_);
};

struct Run {
  vault::ChunkReader& reader;
  const RestoreOptions& options;
  Collector& collector;
  Metadata& metadata;
  const TemporaryNames& temporaries;
  DirectoryTree& directories;
  HardLinks& links;
  AgainList& again;
  LateLinks& late_links;
  Mutex guards_lifted{};       // held while a file of several names is not immutable for a moment
  bool one_file;               // was named: what is there is compared, size and times are not believed
  std::uint32_t open_files_max;  // descriptors of files that are under way
  std::uint32_t pending_max;     // verify: of files that wait to be read back, per thread
  std::atomic<std::uint32_t> open_files{0};
  // Whether what is large is written past the page cache (RWF_DONTCACHE), until a file system says that it cannot. Kernels before the one
  // where this was tried are not asked: the first that knew the flag could drop a page that was written again meanwhile.
  std::atomic<bool> uncached = platform::kernel_is_at_least(6, 18);
};

}  // namespace coppice::restore
