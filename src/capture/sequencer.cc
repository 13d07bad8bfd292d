#include "sequencer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "crypto/hash.h"
#include "foundation/check.h"
#include "foundation/size.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kWarningsKept = 20;
constexpr std::size_t kDryLinkedMax = 1u << 17;   // objects; beyond, each further name counts again
constexpr std::uint64_t kWaitingShare = 8;        // of the ceiling: what may wait to be encoded

constexpr std::size_t kOpenMin = 16, kOpenMax = 256;   // directories on the way down that stay open, and as many scanned ahead at most

std::size_t open_limit() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kOpenMin;
  return static_cast<std::size_t>(std::clamp<rlim_t>(limit.rlim_cur / 8, kOpenMin, kOpenMax));
}

}  // namespace

void Reporter::warn(std::string path, std::string what) {
  ++report_.warnings_total;
  BackupWarning warning{std::move(path), std::move(what)};
  if (options_.on_warning) options_.on_warning(warning);
  if (report_.warnings.size() < kWarningsKept) report_.warnings.push_back(std::move(warning));
}

void Reporter::notice(const std::string& what) const {
  if (options_.on_notice) options_.on_notice(what);
}

void Reporter::left_out(const ScanNode& node, Scan& scan) {
  for (std::size_t i = 0; i < kLeftOutReasons; ++i) report_.left_out[i] += std::exchange(scan.left_out[i], 0);
  for (const auto& [name, reason] : scan.left_out_names) options_.on_left_out(node.path() + (name.empty() ? "" : "/" + name), reason);
  scan.left_out_names.clear();
}

Sequencer::Sequencer(const vault::Vault& vault, const BackupOptions& options, BackupProgress& progress, const CancelToken& cancel, Reporter& reporter)
    : vault_(vault), options_(options), progress_(progress), cancel_(cancel), reporter_(reporter), report_(reporter.report()),
      cutter_(crypto::hkdf_key(vault.keys().id_key->view(), {}, "coppice 1 cut").view()), open_max_(open_limit()) {}

// Deepest first: a directory keeps the one above it alive, and a long chain let go at its top would unwind by recursion.
void Sequencer::drop_frames() {
  while (!frames_.empty()) frames_.pop_back();
}

// The directory on top was closed when the walk went deep. Walks down to it again and leaves those next above it open too; false when it
// is not where it was. Only names are looked up in it now, so a path descriptor does.
bool Sequencer::open_again() {
  std::shared_ptr<platform::Fd> at;
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    Frame& frame = frames_[i];
    std::shared_ptr<platform::Fd> next = frame.scan->fd;
    if (!next) {
      Result<platform::Fd> fd = platform::open_at(at ? at->get() : AT_FDCWD, i == 0 ? "/" : frame.node->name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW);
      struct statx now;
      if (!fd || ::statx(fd->get(), "", AT_EMPTY_PATH, kStatxMask, &now) != 0) return false;
      if (i > 0 && (now.stx_ino != frame.node->inode || device_of(now) != frame.node->device)) return false;
      next = std::make_shared<platform::Fd>(std::move(*fd));
      if (i + open_max_ / 2 >= frames_.size()) frame.scan->fd = next;
    }
    at = std::move(next);
  }
  return true;
}

// What a scan found beside its entries.
void Sequencer::take_stock(const ScanNodePtr& node, Scan& scan) {
  for (ScanProblem& problem : scan.problems) reporter_.warn(node->path() + "/" + problem.name, std::move(problem.what));
  scan.problems.clear();
  reporter_.left_out(*node, scan);
  look_at_space();
}

void Sequencer::look_at_space() {
  const std::uint64_t to_read = progress_.bytes_to_read.load(std::memory_order_relaxed);
  if (told_of_space_ || !options_.vault_free || to_read <= *options_.vault_free) return;
  told_of_space_ = true;
  reporter_.notice(fmt::format("the vault has {} free, and there is more than that to store (before compression)", render_size(*options_.vault_free)));
}

void Sequencer::push(const ScanNodePtr& node, ScanPtr scan, DirectoryBuild::Child* slot) {
  take_stock(node, *scan);
  // What is as the state has it is counted without a look at each.
  report_.files += scan->files;
  report_.files_unchanged += scan->files;
  report_.directories += scan->directories;
  report_.others += scan->others;
  report_.bytes += scan->bytes;
  progress_.files.fetch_add(scan->files, std::memory_order_relaxed);
  progress_.bytes.fetch_add(scan->bytes, std::memory_order_relaxed);
  auto build = std::make_unique<DirectoryBuild>(node, scan->old, slot);
  if (scan->same)
    build->set_same();
  else if (scan->same_prefix > 0 && tree_)
    tree_->add(*build, {.old_count = scan->same_prefix});
  frames_.push_back({node, std::move(scan), std::move(build)});
  if (frames_.size() > open_max_) frames_[frames_.size() - 1 - open_max_].scan->fd.reset();
}

void Sequencer::count(const format::Entry& entry, const ScanItem& item) {
  // Read again only because it was so new before: the same version of it is no change.
  const bool same = item.unsettled && (entry.marks & (format::kMarkUnreadable | format::kMarkChangedWhileRead)) == 0 &&
                    entry.ctime.seconds == item.status.stx_ctime.tv_sec && entry.ctime.nanoseconds == item.status.stx_ctime.tv_nsec;
  switch (entry.type) {
    case format::EntryType::kFile:
      ++report_.files;
      report_.bytes += entry.size;
      ++(same ? report_.files_unchanged : item.known ? report_.files_changed : report_.files_new);
      if (same) ++report_.files_read_again;
      progress_.files.fetch_add(1, std::memory_order_relaxed);
      break;
    case format::EntryType::kDirectory: ++report_.directories; break;
    default: ++report_.others; break;
  }
}

// A dry run: what would be read, holes left out, an object of several names once.
void Sequencer::count_unread(const ScanItem& item) {
  if (item.status.stx_nlink > 1 && dry_linked_.size() < kDryLinkedMax &&
      !dry_linked_.emplace(device_of(item.status), item.status.stx_ino).second)
    return;
  report_.bytes_read += data_bytes(item.status);
}

Taking Sequencer::describe(Frame& frame, const ScanItem& item, int fd, format::Entry& entry, std::vector<std::string>& problems) {
  if (Result<> filled = fill_from_statx(item.status, names_, entry); !filled) problems.push_back(filled.error().message());
  if (!writer_) return Taking::kTaken;
  const Result<> extended = fill_extended(fd, frame.scan->fd->get(), item.name.c_str(), memo_, entry, problems);
  if (extended) return Taking::kTaken;
  if (extended.error().kind() == ErrorKind::kNotFound) return Taking::kGone;
  if (extended.error().kind() == ErrorKind::kConflict) return Taking::kReplaced;
  if (entry.type == format::EntryType::kSymlink) entry.marks |= format::kMarkUnreadable;
  problems.push_back(extended.error().message());
  return Taking::kTaken;
}

// Descriptors or memory are ours to lack: a snapshot that lacks files for it would blame the source.
void Sequencer::note_exhausted(const Error& error) {
  if (error.kind() == ErrorKind::kExhausted && !exhausted_) exhausted_ = error;
}

Taking Sequencer::take_directory(Frame& frame, ScanItem& item, Taken& taken, std::vector<std::string>& problems) {
  taken.child = item.child;
  taken.scan = item.child ? scanner_->take(item.child, frame.scan->fd) : nullptr;
  bool unreadable = false;
  if (taken.scan && taken.scan->error) {
    const Error& error = *taken.scan->error;
    note_exhausted(error);
    if (error.kind() == ErrorKind::kNotFound) return Taking::kGone;
    if (error.kind() == ErrorKind::kConflict) return Taking::kReplaced;
    problems.push_back(error.message());
    taken.scan.reset();
    unreadable = true;
  }
  if (item.unchanged && !unreadable) {
    ++report_.directories;
    taken.element = {.old_by_name = true, .entry = {.name = item.name}};
    return Taking::kTaken;
  }
  format::Entry& entry = taken.element.entry;
  entry = {.name = item.name, .marks = item.marks | (unreadable ? std::uint32_t{format::kMarkUnreadable} : 0u)};
  // A directory on the way to a source may be open for nothing but its path.
  const int fd = taken.scan && !taken.scan->path_only ? taken.scan->fd->get() : -1;
  const Taking described = describe(frame, item, fd, entry, problems);
  if (described == Taking::kTaken) count(entry, item);
  return described;
}

Result<Taking> Sequencer::take_once(Frame& frame, ScanItem& item, Taken& taken, std::vector<std::string>& problems) {
  if (S_ISDIR(item.status.stx_mode)) return take_directory(frame, item, taken, problems);
  const bool is_file = S_ISREG(item.status.stx_mode);
  if (item.unchanged) {
    if (is_file) {
      ++report_.files;
      ++report_.files_unchanged;
      report_.bytes += item.status.stx_size;
      progress_.files.fetch_add(1, std::memory_order_relaxed);
      progress_.bytes.fetch_add(item.status.stx_size, std::memory_order_relaxed);
    } else {
      ++report_.others;
    }
    taken.element = {.old_by_name = true, .entry = {.name = item.name}};
    return Taking::kTaken;
  }
  format::Entry& entry = taken.element.entry;
  entry = {.name = item.name, .marks = item.marks};
  Taking taking;
  if (is_file && writer_) {
    entry.type = format::EntryType::kFile;
    taking = TRY(taker_->take_file(frame.scan->fd->get(), item, entry, taken.element.content, problems));
  } else {
    taking = describe(frame, item, -1, entry, problems);
  }
  if (taking != Taking::kTaken) return taking;
  if (is_file && !writer_) count_unread(item);
  count(entry, item);
  return taking;
}

// Nothing: it went away, or a rule leaves out what has its name now.
Result<std::optional<Sequencer::Taken>> Sequencer::take(Frame& frame, ScanItem& item) {
  for (bool again = false;; again = true) {
    Taken taken;
    std::vector<std::string> problems;
    const Taking taking = TRY(take_once(frame, item, taken, problems));
    if (taking == Taking::kTaken) {
      // What was not had whole is looked at again by the next run.
      std::uint32_t& marks = taken.element.entry.marks;
      if (!problems.empty() && (marks & (format::kMarkUnreadable | format::kMarkChangedWhileRead)) == 0) marks |= format::kMarkIncomplete;
      for (std::string& problem : problems) tell(frame, item.name, std::move(problem));
      return taken;
    }
    Look look = Look::kGone;
    if (taking == Taking::kReplaced) {
      if (again) {
        tell(frame, item.name, "replaced again and again while it was looked at; it is left out");
        return std::nullopt;
      }
      look = scanner_->look_again(frame.node, *frame.scan, item);
    }
    if (look == Look::kThere) continue;
    if (look == Look::kGone) tell(frame, item.name, "it went away before it was read");
    take_stock(frame.node, *frame.scan);
    return std::nullopt;
  }
}

Result<> Sequencer::take_item(Frame& frame, ScanItem& item) {
  std::optional<Taken> taken = TRY(take(frame, item));
  if (!taken) return {};
  if (tree_) tree_->add(*frame.build, std::move(taken->element));
  if (taken->scan) push(taken->child, std::move(taken->scan), frame.build->add_child(item.name));   // `frame` may be gone
  return {};
}

// A subdirectory of the same prefix: its own entry is the state's.
Result<> Sequencer::enter_old_child(Frame& frame, const ScanNodePtr& child) {
  DirectoryBuild::Child* slot = frame.build->add_child(child->name);
  ScanPtr scan = scanner_->take(child, frame.scan->fd);
  if (!scan->error) {
    push(child, std::move(scan), slot);   // `frame` may be gone
    return {};
  }
  slot->done = true;
  note_exhausted(*scan->error);
  if (scan->error->kind() == ErrorKind::kNotFound) {
    tell(frame, child->name, "it went away before it was read");
    slot->gone = true;
    --report_.directories;
  } else if (scan->error->kind() != ErrorKind::kConflict) {
    tell(frame, child->name, scan->error->message());
    slot->unreadable = true;
  } else {
    --report_.directories;
    slot->gone = true;
    ScanItem item{.name = child->name};
    item.known = true;
    const Look look = scanner_->look_again(frame.node, *frame.scan, item);
    if (look == Look::kGone) tell(frame, child->name, "it went away before it was read");
    if (look != Look::kThere) return {};
    std::optional<Taken> taken = TRY(take(frame, item));
    if (!taken) return {};
    slot->gone = false;
    slot->replacement = std::make_unique<DirectoryBuild::Element>(std::move(taken->element));
    slot->done = !taken->scan;
    if (taken->scan) push(taken->child, std::move(taken->scan), slot);
  }
  return {};
}

// One move of the frame on top: down into a subdirectory, on to the next thing, or up.
Result<> Sequencer::step(Frame& frame) {
  Scan& scan = *frame.scan;
  const bool is_over = frame.next_child >= scan.children.size() && frame.next_item >= scan.items.size() && (scan.same || scan.names_done);
  if (!scan.fd && !is_over && !open_again()) {
    reporter_.warn(frame.node->path(), "it was moved away while it was read; the rest of it is left out");
    frame.next_child = scan.children.size();
    frame.next_item = scan.items.size();
    scan.names_done = true;
  }
  if (tree_) TRY(relieve(frame));
  if (frame.next_child < scan.children.size()) {
    const ScanNodePtr child = std::move(scan.children[frame.next_child++]);
    return enter_old_child(frame, child);
  }
  if (frame.next_item < scan.items.size()) return take_item(frame, scan.items[frame.next_item++]);
  if (!scan.same && scanner_->more(frame.node, scan)) {
    take_stock(frame.node, scan);
    frame.next_item = 0;
    return {};
  }
  std::unique_ptr<DirectoryBuild> build = std::move(frame.build);
  frames_.pop_back();
  if (!writer_) return {};
  TRY(taker_->end_directory());
  TRY(tree_->finish(std::move(build)));
  return {};
}

// What waits to be encoded stays within its share of the memory. A directory waits for the chunks of its files, which may stand in a group
// that is still open: when too much waits, the group is closed and waited for.
Result<> Sequencer::relieve(Frame& frame) {
  if (TreeBuilder::is_long(*frame.build)) {
    TRY(tree_->advance());
    TRY(tree_->relieve(*frame.build));
  }
  if (tree_->weight() < relieve_at_) return {};
  TRY(taker_->flush_group());
  TRY(writer_->drain());
  TRY(tree_->advance());
  for (const Frame& each : frames_) TRY(tree_->relieve(*each.build));
  relieve_at_ = tree_->weight() + options_.memory_bytes / kWaitingShare;
  return {};
}

Result<> Sequencer::settle() {
  TRY(taker_->flush_group());
  TRY(writer_->drain());
  TRY(tree_->advance());
  CHECK(tree_->idle());
  report_.bytes_read = taker_->bytes_read();
  return {};
}

void Sequencer::fill_root_entry(const Scan& scan, bool whole) {
  format::Entry entry{.marks = whole ? 0u : std::uint32_t{format::kMarkPartial}};
  std::vector<std::string> problems;
  struct statx status;
  if (::statx(scan.fd->get(), "", AT_EMPTY_PATH, kStatxMask, &status) != 0) return;
  if (!fill_from_statx(status, names_, entry)) return;
  if (Result<> extended = fill_extended(scan.path_only ? -1 : scan.fd->get(), scan.fd->get(), ".", memo_, entry, problems); !extended)
    problems.push_back(extended.error().message());
  for (std::string& problem : problems) reporter_.warn("/", std::move(problem));
  if (!format::check_entry(entry) && !reduce_to_metadata(entry)) return;
  root_entry_ = std::move(entry);
}

Result<> Sequencer::walk(const SourceTree& sources, SourceState& state) {
  read_ahead_.emplace();
  ScanContext context{.selection = selection_, .state = state.old(), .progress = &progress_, .read_ahead = writer_ ? &*read_ahead_ : nullptr, .name_left_out = options_.dry_run && options_.on_left_out, .tell_unmounted = options_.tell_unmounted};
  if (state.head()) context.base_started = state.head()->started;
  context.spill_directory = vault_.state_directory();
  context.ahead_max = std::min<std::size_t>(64, open_max_);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  scanner_ = std::make_unique<Scanner>(context, std::clamp(cores, 2u, 8u));
  if (writer_) {
    taker_ = std::make_unique<FileTaker>(*writer_, cutter_, names_, memo_, *read_ahead_, state.fingerprint_secret(), progress_, cancel_);
    tree_ = std::make_unique<TreeBuilder>(*writer_, state.old(), state.fresh(), [this](std::string path, std::string what) { reporter_.warn(std::move(path), std::move(what)); });
    relieve_at_ = options_.memory_bytes / kWaitingShare;
  }
  auto root = std::make_shared<ScanNode>();
  root->tree = &sources;
  root->whole = sources.whole;
  root->included = !selection_->has_includes();
  root->old_record = state.head() ? state.head()->root_record : 0;
  ScanPtr scan = scanner_->take(root, nullptr);
  if (scan->error) return std::unexpected(scan->error->within("/"));
  if (writer_) fill_root_entry(*scan, sources.whole);
  push(root, std::move(scan), nullptr);
  while (!frames_.empty()) {
    if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
    TRY(step(frames_.back()));
    if (exhausted_) return std::unexpected(*exhausted_);
  }
  progress_.scan_done = true;
  if (writer_) TRY(settle());
  return {};
}

Result<> Sequencer::run(const Selection& selection, const SourceTree& sources, SourceState& state, vault::Writer* writer) {
  selection_ = &selection;
  writer_ = writer;
  const BackupReport before = report_;
  for (;;) {
    Result<> walked = walk(sources, state);
    // What is no error of the writer's is the state's, as long as there is one: a source is never to blame.
    if (walked || exhausted_ || !state.old() || cancel_.cancelled() || (writer && !writer->status())) return walked;
    reporter_.notice("the source state cannot be used, so everything is read: " + walked.error().message());
    drop_frames();
    tree_.reset();
    taker_.reset();
    scanner_.reset();
    state.forget_old();
    report_ = before;
    dry_linked_.clear();
    for (auto* counter : {&progress_.files, &progress_.bytes, &progress_.files_found, &progress_.bytes_found, &progress_.bytes_to_read}) counter->store(0);
    progress_.scan_done = false;
  }
}

Result<> Sequencer::run_stream(vault::Writer& writer, SourceState& state) {
  writer_ = &writer;
  read_ahead_.emplace();
  taker_ = std::make_unique<FileTaker>(writer, cutter_, names_, memo_, *read_ahead_, state.fingerprint_secret(), progress_, cancel_);
  tree_ = std::make_unique<TreeBuilder>(writer, nullptr, state.fresh(), [this](std::string path, std::string what) { reporter_.warn(std::move(path), std::move(what)); });
  const Timestamp now = vault_.clock().now();
  format::Entry entry{.name = options_.stdin_name, .type = format::EntryType::kFile, .mode = 0600,
                      .owner = {.uid = ::geteuid(), .gid = ::getegid(), .user = names_.user(::geteuid()), .group = names_.group(::getegid())},
                      .mtime = now, .atime = now, .ctime = now};
  Content content;
  TRY(taker_->take_stream(options_.stdin_fd, entry, content));
  auto build = std::make_unique<DirectoryBuild>(nullptr, nullptr, nullptr);
  count(entry, {});
  tree_->add(*build, {.entry = std::move(entry), .content = std::move(content)});
  TRY(tree_->finish(std::move(build)));
  progress_.scan_done = true;
  return settle();
}

}  // namespace coppice::capture
