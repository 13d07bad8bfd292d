#include "scanner.h"

#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "foundation/check.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kBatchEntries = 4096;      // statx results kept at once for one directory
constexpr std::size_t kReadyWeightMax = 16u << 20;   // memory of what is scanned ahead
constexpr std::size_t kSameChildrenMax = 1u << 16;   // subdirectories of one directory that are remembered before any is entered
// A change within the clock's granularity of the read that stored it could leave the same times behind.
constexpr std::int64_t kSettledSeconds = 2;

bool same_time(const statx_timestamp& a, const Timestamp& b) { return a.tv_sec == b.seconds && a.tv_nsec == b.nanoseconds; }

// Of a read-only image, which another one can take the place of with the same times: whoever makes it may set them (to make it the same
// each time), and nothing tells the two apart.
bool has_fixed_times(int fd) {
  constexpr std::uint32_t kCramfs = 0x28cd3d45, kErofs = 0xe0f5e1e2, kIso9660 = 0x9660, kRomfs = 0x7275, kSquashfs = 0x73717368;
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return false;
  const auto type = static_cast<std::uint32_t>(status.f_type);
  return type == kCramfs || type == kErofs || type == kIso9660 || type == kRomfs || type == kSquashfs;
}

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

}  // namespace

Result<const format::Entry*> OldEntries::next() {
  for (;;) {
    if (reader_) {
      if (TRY(reader_->next(entry_))) {
        child_record_ = 0;
        fingerprint_ = {};
        if (next_fingerprint_ + fingerprint_.size() <= page_.size())
          std::copy_n(page_.begin() + static_cast<std::ptrdiff_t>(next_fingerprint_), fingerprint_.size(), fingerprint_.begin());
        next_fingerprint_ += fingerprint_.size();
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
    page_.resize(leaf.bytes + leaf.entries * sizeof(crypto::Checksum));
    TRY(state_->read(leaf.offset, page_));
    next_fingerprint_ = leaf.bytes;
    reader_.emplace(TRY(format::LeafReader::open(ByteSpan(page_).first(leaf.bytes))));
  }
}

std::string ScanNode::path() const {
  std::size_t bytes = 0;
  for (const ScanNode* at = this; at->parent; at = at->parent.get()) bytes += 1 + at->name.size();
  std::string path(bytes, '/');
  for (const ScanNode* at = this; at->parent; at = at->parent.get()) {
    bytes -= at->name.size();
    path.replace(bytes--, at->name.size(), at->name);
  }
  return path;
}

std::size_t Scan::weight() const {
  constexpr std::size_t kNodeWeight = sizeof(ScanNode) + 64;
  return sizeof *this + items.size() * (sizeof(ScanItem) + 32 + kNodeWeight / 4) + children.size() * kNodeWeight + (names ? names->memory_bytes() : 0);
}

Scanner::Scanner(ScanContext context, unsigned helpers) : context_(std::move(context)) {
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
    while (!stopping_ && (stack_.empty() || ready_ >= context_.ahead_max || ready_weight_ >= kReadyWeightMax)) work_.wait(mutex_);
    if (stopping_) return;
    const ScanNodePtr node = std::move(stack_.back());
    stack_.pop_back();
    if (node->stage != ScanNode::Stage::kWaiting) continue;
    const std::shared_ptr<platform::Fd> parent = node->parent_fd.lock();
    if (!parent) continue;   // the sequencer, which opens it again, scans it itself
    node->stage = ScanNode::Stage::kRunning;
    ++ready_;
    mutex_.unlock();
    ScanPtr scanned = scan(node, parent.get());
    const std::size_t weight = scanned->weight();
    mutex_.lock();
    ready_weight_ += weight;
    node->weight = weight;
    push_children(*scanned);
    node->scan = std::move(scanned);
    node->stage = ScanNode::Stage::kDone;
    done_.notify_all();
  }
}

ScanPtr Scanner::take(const ScanNodePtr& node, const std::shared_ptr<platform::Fd>& parent) {
  MutexLock lock(mutex_);
  if (node->stage == ScanNode::Stage::kWaiting) {
    node->stage = ScanNode::Stage::kRunning;
    mutex_.unlock();
    ScanPtr scanned = scan(node, parent.get());
    mutex_.lock();
    push_children(*scanned);
    return scanned;
  }
  while (node->stage != ScanNode::Stage::kDone) done_.wait(mutex_);
  --ready_;
  ready_weight_ -= node->weight;
  work_.notify_one();
  return std::move(node->scan);
}

void Scanner::compare(const Scan& scan, ScanItem& item, const format::Entry& old, const crypto::Checksum& fingerprint) const {
  const struct statx& st = item.status;
  item.known = true;
  if (S_ISREG(st.stx_mode) && old.type == format::EntryType::kFile && st.stx_size == old.size && fingerprint != crypto::Checksum{})
    item.old_fingerprint = fingerprint;
  if ((st.stx_mode & S_IFMT) != type_bits(old.type) || st.stx_ino != old.inode || item.marks != old.marks) return;
  // Names of one object are tied by its device's number: a boot may give it another.
  if (old.links > 1 && device_of(st) != old.device) return;
  if (!same_time(st.stx_mtime, old.mtime) || !same_time(st.stx_ctime, old.ctime)) return;
  if (old.type == format::EntryType::kFile && st.stx_size != old.size) return;
  if (scan.fixed_times) return;
  item.unchanged = st.stx_ctime.tv_sec + kSettledSeconds < context_.base_started.seconds;
  item.unsettled = !item.unchanged;
}

void Scanner::leave_out(Scan& scan, const std::string& name, LeftOut reason) {
  ++scan.left_out[static_cast<std::size_t>(reason)];
  if (context_.name_left_out) scan.left_out_names.emplace_back(name, reason);
}

// Everything about the name but what the state says of it.
Look Scanner::look(const ScanNodePtr& node, Scan& scan, ScanItem& item) {
  item.marks = 0;
  item.child.reset();
  if (::statx(scan.fd->get(), item.name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kStatxMask, &item.status) != 0) {
    if (errno == ENOENT) return Look::kGone;
    scan.problems.push_back({item.name, errno_error(errno, "cannot be looked at").message()});
    return Look::kLeftOut;
  }
  if (!format::is_valid_name(item.name)) {
    scan.problems.push_back({item.name, "the name is longer than a name may be"});
    return Look::kLeftOut;
  }
  const Selection& selection = *context_.selection;
  const bool is_directory = S_ISDIR(item.status.stx_mode);
  const SourceTree* named = nullptr;   // the sources at and below the name
  if (node->tree)
    if (const auto found = node->tree->children.find(item.name); found != node->tree->children.end()) named = &found->second;
  bool enter = is_directory, whole = true, included = node->included;
  std::string path;
  if (selection.has_path_rules()) {
    path = scan.path + "/" + item.name;
    included = included || selection.included(path, is_directory);
  }
  if (named && named->whole) {
    item.marks = selection.decide(item.status, scan.device, scan.fd->get(), item.name.c_str()).marks;   // a source is taken whatever the rules say
  } else if (!node->whole) {
    whole = false;
  } else {
    Decision decision;
    if (selection.has_path_rules() && selection.excluded(path, is_directory)) decision = {.take = Take::kNothing, .reason = LeftOut::kPattern};
    const bool on_the_way = !included && is_directory && selection.may_include_below(path);
    if (decision.take == Take::kAll && !included && !on_the_way) decision = {.take = Take::kNothing, .reason = LeftOut::kNotIncluded};
    if (decision.take == Take::kAll) decision = selection.decide(item.status, scan.device, scan.fd->get(), item.name.c_str());
    item.marks = decision.marks;
    if (decision.take != Take::kAll) {
      if (named) {
        whole = false;   // only what is named in it
      } else {
        leave_out(scan, item.name, decision.reason);
        if (decision.take == Take::kNothing) return Look::kLeftOut;
        enter = false;
      }
    } else if (on_the_way) {
      item.marks |= format::kMarkPartial;
    }
  }
  if (!is_directory) return Look::kThere;
  if (!whole) item.marks |= format::kMarkPartial;
  if (!enter) return Look::kThere;
  item.child = std::make_shared<ScanNode>();
  item.child->parent = node;
  item.child->name = item.name;
  item.child->parent_fd = scan.fd;
  item.child->tree = named;
  item.child->whole = whole;
  item.child->included = included;
  item.child->device = device_of(item.status);
  item.child->inode = item.status.stx_ino;
  return Look::kThere;
}

Look Scanner::look_again(const ScanNodePtr& node, Scan& scan, ScanItem& item) {
  item.unchanged = item.unsettled = false;
  item.old_fingerprint.reset();
  if (context_.selection->has_path_rules()) scan.path = node->path();
  return look(node, scan, item);
}

void Scanner::look_at(const ScanNodePtr& node, Scan& scan, std::string_view name) {
  ScanItem item{.name = std::string(name)};
  const Look found = look(node, scan, item);
  if (found == Look::kGone) scan.problems.push_back({item.name, "it went away before it could be looked at"});
  if (found != Look::kThere) return;
  while (scan.old_front && scan.old_front->name < item.name) {
    Result<const format::Entry*> next = scan.old_entries->next();
    scan.old_front = next ? *next : nullptr;
  }
  if (scan.old_front && scan.old_front->name == item.name) {
    compare(scan, item, *scan.old_front, scan.old_entries->fingerprint());
    if (item.child) item.child->old_record = scan.old_entries->child_record();
    if (context_.tell_unmounted && item.child && (scan.old_front->marks & ~item.marks & format::kMarkMountPoint))
      scan.problems.push_back({item.name, "a file system was mounted here at the last backup, and none is now"});
  }
  if (context_.progress && S_ISREG(item.status.stx_mode)) {
    context_.progress->files_found.fetch_add(1, std::memory_order_relaxed);
    context_.progress->bytes_found.fetch_add(item.status.stx_size, std::memory_order_relaxed);
    if (!item.unchanged) context_.progress->bytes_to_read.fetch_add(data_bytes(item.status), std::memory_order_relaxed);
  }
  if (context_.read_ahead && !item.unchanged && S_ISREG(item.status.stx_mode))
    item.fetched = context_.read_ahead->fetch(scan.fd->get(), item.name.c_str(), item.status);
  scan.items.push_back(std::move(item));
}

// The next names into scan.items.
void Scanner::scan_batch(const ScanNodePtr& node, Scan& scan) {
  for (std::size_t n = 0; n < kBatchEntries; ++n) {
    const Result<std::optional<std::string_view>> name = scan.names->next();
    if (!name) scan.problems.push_back({"", "its list could not be read to its end: " + name.error().message()});
    if (!name || !*name) {
      scan.names.reset();
      scan.names_done = true;
      return;
    }
    look_at(node, scan, **name);
  }
}

// Why a directory that was seen cannot be opened now: it may have gone, or something else may have its name.
Error why_closed(int parent, const ScanNode& node, Error error) {
  struct statx now;
  if (!node.parent || ::statx(parent, node.name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kStatxMask, &now) != 0) return error;
  if (S_ISDIR(now.stx_mode) && now.stx_ino == node.inode) return error;
  return Error(ErrorKind::kConflict, "replaced by another object");
}

ScanPtr Scanner::scan(const ScanNodePtr& node, const platform::Fd* parent_fd) {
  auto scan = std::make_unique<Scan>();
  const int parent = parent_fd ? parent_fd->get() : AT_FDCWD;
  const char* name = parent_fd ? node->name.c_str() : "/";
  Result<platform::Fd> fd = platform::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
  if (!fd && fd.error().kind() == ErrorKind::kDenied)   // O_NOATIME is for the owner
    fd = platform::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd && !node->whole) {   // the way to a source needs no list
    fd = platform::open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    scan->path_only = true;
  }
  if (!fd) {
    scan->error = why_closed(parent, *node, std::move(fd).error());
    return scan;
  }
  scan->fd = std::make_shared<platform::Fd>(std::move(*fd));
  struct statx self;
  if (::statx(scan->fd->get(), "", AT_EMPTY_PATH, kStatxMask, &self) != 0) {
    scan->error = errno_error(errno, "looking at the directory");
    return scan;
  }
  if (node->parent && (self.stx_ino != node->inode || device_of(self) != node->device)) {
    scan->error = Error(ErrorKind::kConflict, "another directory took its place while it was looked at");
    return scan;
  }
  scan->device = device_of(self);
  scan->fixed_times = has_fixed_times(scan->fd->get());
  if (context_.selection->has_path_rules()) scan->path = node->path();
  if (context_.state && node->old_record) {
    // A record that does not read is no record: what it said is found out anew.
    if (Result<DirectoryRecord> record = read_directory_record(*context_.state, node->old_record))
      scan->old = std::make_shared<const DirectoryRecord>(std::move(*record));
  }
  std::vector<std::string> named;   // sources in it
  if (node->tree)
    for (const auto& [child, tree] : node->tree->children) named.push_back(child);
  if (!node->whole) {
    scan->names = NameList::of(named);
  } else {
    Result<NameList> names = NameList::read(scan->fd->get(), context_.spill_directory);
    if (!names) {
      scan->error = std::move(names).error();
      return scan;
    }
    scan->names = std::move(*names);
    if (!node->is_source() && scan->names->holds_cache_tag() && context_.selection->is_cache_directory(scan->fd->get())) {
      leave_out(*scan, "", LeftOut::kCacheDirectory);
      named.emplace_back(kCacheTagName);
      scan->names = NameList::of(named);
    }
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
    scan_batch(node, *scan);
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
  } while (!scan->names_done && scan->children.size() < kSameChildrenMax);
  if (same) {
    const Result<const format::Entry*> end = expected.next();
    scan->same = scan->names_done && end.has_value() && *end == nullptr && scan->problems.empty();
    scan->items.clear();
  }
  scan->path = {};   // deep trees have long ones
  return scan;
}

bool Scanner::more(const ScanNodePtr& node, Scan& scan) {
  scan.items.clear();
  if (scan.names_done) return false;
  if (context_.selection->has_path_rules()) scan.path = node->path();
  scan_batch(node, scan);
  scan.path = {};
  MutexLock lock(mutex_);
  const std::size_t before = stack_.size();
  for (auto it = scan.items.rbegin(); it != scan.items.rend(); ++it)
    if (it->child) stack_.push_back(it->child);
  if (stack_.size() > before) work_.notify_all();
  return true;
}

}  // namespace coppice::capture
