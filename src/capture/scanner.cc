#include "scanner.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "foundation/check.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kBatchEntries = 4096;      // statx results kept at once for one directory
constexpr std::size_t kReadyMax = 64;            // directories scanned ahead
// A change within the clock's granularity of the read that stored it could leave the same times behind.
constexpr std::int64_t kSettledSeconds = 2;

bool same_time(const statx_timestamp& a, const Timestamp& b) { return a.tv_sec == b.seconds && a.tv_nsec == b.nanoseconds; }

std::uint32_t type_bits(format::EntryType type) {
  switch (type) {
    case format::EntryType::kFile: return S_IFREG;
    case format::EntryType::kDirectory: return S_IFDIR;
    case format::EntryType::kSymlink: return S_IFLNK;
    case format::EntryType::kCharDevice: return S_IFCHR;
    case format::EntryType::kBlockDevice: return S_IFBLK;
    case format::EntryType::kFifo: return S_IFIFO;
    case format::EntryType::kSocket: return S_IFSOCK;
  }
  return 0;
}

// Every name but "." and "..", in byte order.
Result<std::vector<std::string>> list_names(int fd) {
  thread_local std::vector<char> buffer(256u << 10);
  std::vector<std::string> names;
  for (;;) {
    const long n = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "listing the directory");
    }
    if (n == 0) break;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const struct dirent64*>(buffer.data() + at);
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      at += entry->d_reclen;
    }
  }
  std::ranges::sort(names);
  // A file system that lists a name twice would break the order of the tree.
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace

Result<const format::Entry*> OldEntries::next() {
  for (;;) {
    if (reader_) {
      if (TRY(reader_->next(entry_))) {
        child_record_ = 0;
        if (entry_.type == format::EntryType::kDirectory) {
          if (next_child_ >= record_->children.size()) return fail(ErrorKind::kCorrupt, "the source state lacks a child");
          child_record_ = record_->children[next_child_++];
        }
        return &entry_;
      }
      reader_.reset();
    }
    if (!record_ || next_leaf_ >= record_->leaves.size()) return static_cast<const format::Entry*>(nullptr);
    const DirectoryRecord::Leaf& leaf = record_->leaves[next_leaf_++];
    page_.resize(leaf.bytes);
    TRY(state_->read(leaf.offset, page_));
    reader_.emplace(TRY(format::LeafReader::open(page_)));
  }
}

std::string ScanNode::path() const {
  if (!parent) return "";
  return parent->path() + "/" + name;
}

Scanner::Scanner(ScanContext context, unsigned helpers) : context_(context) {
  for (unsigned i = 0; i < helpers; ++i) helpers_.emplace_back([this] { help(); });
}

Scanner::~Scanner() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  helpers_.clear();
}

void Scanner::push_children(const Scan& scan) {
  const std::size_t before = stack_.size();
  for (auto it = scan.items.rbegin(); it != scan.items.rend(); ++it)
    if (it->child) stack_.push_back(it->child);
  for (auto it = scan.children.rbegin(); it != scan.children.rend(); ++it) stack_.push_back(*it);
  if (!helpers_.empty() && stack_.size() > before) work_.notify_all();
}

void Scanner::help() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!stopping_ && (stack_.empty() || ready_ >= kReadyMax)) work_.wait(mutex_);
    if (stopping_) return;
    const ScanNodePtr node = std::move(stack_.back());
    stack_.pop_back();
    if (node->stage != ScanNode::Stage::kWaiting) continue;
    node->stage = ScanNode::Stage::kRunning;
    ++ready_;
    mutex_.unlock();
    ScanPtr scanned = scan(node);
    mutex_.lock();
    push_children(*scanned);
    node->scan = std::move(scanned);
    node->stage = ScanNode::Stage::kDone;
    done_.notify_all();
  }
}

ScanPtr Scanner::take(const ScanNodePtr& node) {
  MutexLock lock(mutex_);
  if (node->stage == ScanNode::Stage::kWaiting) {
    node->stage = ScanNode::Stage::kRunning;
    mutex_.unlock();
    ScanPtr scanned = scan(node);
    mutex_.lock();
    push_children(*scanned);
    return scanned;
  }
  while (node->stage != ScanNode::Stage::kDone) done_.wait(mutex_);
  --ready_;
  work_.notify_one();
  return std::move(node->scan);
}

bool Scanner::is_unchanged(const ScanItem& item, const format::Entry& old) const {
  const struct statx& st = item.status;
  if ((st.stx_mode & S_IFMT) != type_bits(old.type) || st.stx_ino != old.inode || item.marks != old.marks) return false;
  if (!same_time(st.stx_mtime, old.mtime) || !same_time(st.stx_ctime, old.ctime)) return false;
  if (old.type == format::EntryType::kFile && st.stx_size != old.size) return false;
  return st.stx_ctime.tv_sec + kSettledSeconds < context_.base_started.seconds;
}

void Scanner::look_at(const ScanNodePtr& node, Scan& scan, std::string name, const SourceTree* source) {
  ScanItem item{.name = std::move(name)};
  if (::statx(scan.fd->get(), item.name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kStatxMask, &item.status) != 0) {
    scan.problems.push_back({item.name, errno_error(errno, "cannot be looked at").message()});
    return;
  }
  const bool is_directory = S_ISDIR(item.status.stx_mode);
  bool enter = is_directory;
  if (source) {
    if (is_directory) item.marks = source->whole ? 0 : std::uint32_t{format::kMarkPartial};
  } else {
    if (context_.selection->has_path_rules() && context_.selection->excluded(scan.path + "/" + item.name, is_directory)) return;
    const Decision decision = context_.selection->decide(item.status, scan.device, scan.fd->get(), item.name.c_str());
    if (decision.take == Take::kNothing) return;
    item.marks = decision.marks;
    enter = enter && decision.take == Take::kAll;
  }
  if (!format::is_valid_name(item.name)) {
    scan.problems.push_back({item.name, "the name is longer than a name may be"});
    return;
  }
  std::uint64_t old_record = 0;
  while (scan.old_front && scan.old_front->name < item.name) {
    Result<const format::Entry*> next = scan.old_entries->next();
    scan.old_front = next ? *next : nullptr;
  }
  if (scan.old_front && scan.old_front->name == item.name) {
    item.known = true;
    item.unchanged = is_unchanged(item, *scan.old_front);
    old_record = scan.old_entries->child_record();
  }
  if (enter) {
    item.child = std::make_shared<ScanNode>();
    item.child->parent = node;
    item.child->name = item.name;
    item.child->parent_fd = scan.fd;
    item.child->only = source && !source->whole ? source : nullptr;
    item.child->old_record = old_record;
    item.child->inode = item.status.stx_ino;
  }
  if (context_.progress && S_ISREG(item.status.stx_mode)) {
    context_.progress->files_found.fetch_add(1, std::memory_order_relaxed);
    context_.progress->bytes_found.fetch_add(item.status.stx_size, std::memory_order_relaxed);
  }
  if (context_.read_ahead && !item.unchanged && S_ISREG(item.status.stx_mode))
    item.fetched = context_.read_ahead->fetch(scan.fd->get(), item.name.c_str(), item.status);
  scan.items.push_back(std::move(item));
}

void Scanner::scan_batch(const ScanNodePtr& node, Scan& scan, std::size_t end) {
  for (; scan.next_name < end; ++scan.next_name) {
    std::string& name = scan.names[scan.next_name];
    const SourceTree* source = nullptr;
    if (node->only) source = &node->only->children.at(name);
    look_at(node, scan, std::move(name), source);
  }
}

ScanPtr Scanner::scan(const ScanNodePtr& node) {
  auto scan = std::make_unique<Scan>();
  const int parent = node->parent_fd ? node->parent_fd->get() : AT_FDCWD;
  const char* name = node->parent_fd ? node->name.c_str() : "/";
  Result<platform::Fd> fd = platform::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
  if (!fd && fd.error().kind() == ErrorKind::kDenied)   // O_NOATIME is for the owner
    fd = platform::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd && node->only)   // the way to a source needs no list
    fd = platform::open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  node->parent_fd.reset();
  if (!fd) {
    scan->error = std::move(fd).error();
    return scan;
  }
  scan->fd = std::make_shared<platform::Fd>(std::move(*fd));
  struct statx self;
  if (::statx(scan->fd->get(), "", AT_EMPTY_PATH, kStatxMask, &self) != 0) {
    scan->error = errno_error(errno, "looking at the directory");
    return scan;
  }
  if (node->parent && self.stx_ino != node->inode) {
    scan->error = Error(ErrorKind::kConflict, "another directory took its place while it was looked at");
    return scan;
  }
  scan->device = device_of(self);
  if (context_.selection->has_path_rules()) scan->path = node->path();
  if (context_.state && node->old_record) {
    // A record that does not read is no record: what it said is found out anew.
    if (Result<DirectoryRecord> record = read_directory_record(*context_.state, node->old_record))
      scan->old = std::make_shared<const DirectoryRecord>(std::move(*record));
  }
  if (node->only) {
    for (const auto& [child, tree] : node->only->children) scan->names.push_back(child);
  } else {
    Result<std::vector<std::string>> names = list_names(scan->fd->get());
    if (!names) {
      scan->error = std::move(names).error();
      return scan;
    }
    scan->names = std::move(*names);
    if (std::ranges::binary_search(scan->names, kCacheTagName) && context_.selection->is_cache_directory(scan->fd->get()))
      scan->names = {std::string(kCacheTagName)};
  }
  scan->old_entries = std::make_unique<OldEntries>(context_.state, scan->old.get());
  Result<const format::Entry*> first = scan->old_entries->next();
  bool old_is_whole = first.has_value();
  scan->old_front = first ? *first : nullptr;

  // As long as batches are just what the state has, only their directories are remembered.
  OldEntries expected(context_.state, scan->old.get());
  bool same = scan->old != nullptr && old_is_whole;
  do {
    scan->items.clear();
    const std::size_t end = std::min(scan->names.size(), scan->next_name + kBatchEntries);
    scan_batch(node, *scan, end);
    if (!same) break;
    std::uint64_t bytes = 0, files = 0, directories = 0;
    for (const ScanItem& item : scan->items) {
      const Result<const format::Entry*> old = expected.next();
      if (!old || !*old || (*old)->name != item.name || !item.unchanged) {
        same = false;
        break;
      }
      if ((*old)->type == format::EntryType::kFile) {
        ++files;
        bytes += (*old)->size;
      } else if ((*old)->type == format::EntryType::kDirectory) {
        ++directories;
      }
    }
    if (!same) break;
    for (ScanItem& item : scan->items)
      if (item.child) scan->children.push_back(std::move(item.child));
    scan->same_prefix += scan->items.size();
    scan->files += files;
    scan->directories += directories;
    scan->others += scan->items.size() - files - directories;
    scan->bytes += bytes;
  } while (scan->next_name < scan->names.size());
  if (same) {
    const Result<const format::Entry*> end = expected.next();
    scan->same = end.has_value() && *end == nullptr && scan->problems.empty();
    scan->items.clear();
  }
  return scan;
}

bool Scanner::more(const ScanNodePtr& node, Scan& scan) {
  scan.items.clear();
  if (scan.next_name >= scan.names.size()) return false;
  scan_batch(node, scan, std::min(scan.names.size(), scan.next_name + kBatchEntries));
  MutexLock lock(mutex_);
  const std::size_t before = stack_.size();
  for (auto it = scan.items.rbegin(); it != scan.items.rend(); ++it)
    if (it->child) stack_.push_back(it->child);
  if (stack_.size() > before) work_.notify_all();
  return true;
}

}  // namespace coppice::capture
