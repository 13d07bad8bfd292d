#include "capture/backup.h"

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "crypto/hash.h"
#include "file_taker.h"
#include "foundation/encoding.h"
#include "scanner.h"
#include "source_tree.h"
#include "state_file.h"
#include "tree_builder.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kWarningsMax = 1000;

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name[0] ? name : "localhost";
}

std::string user_name() {
  char buffer[4096];
  struct passwd entry, *found = nullptr;
  ::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found);
  return found ? found->pw_name : std::to_string(::geteuid());
}

// The state of the last run of the same sources, and the one that this run writes.
struct SourceState {
  std::string head_path;
  std::string directory;
  std::optional<crypto::Key> local_key;
  std::optional<StateHead> head;             // of the base; absent: no base
  std::unique_ptr<StateReader> reader;
  std::string new_body;
  std::optional<StateWriter> writer;
};

// Anything that is wrong with the state makes it no state.
Result<SourceState> open_state(const vault::Vault& vault, const std::string& lineage_name, const std::optional<vault::Snapshot>& base, bool force) {
  SourceState state;
  state.directory = vault.state_directory();
  if (state.directory.empty()) return state;
  state.local_key = TRY(load_local_key(state.directory, vault.entropy()));
  const std::string stem = "source-" + render_hex(crypto::Hmac(vault.keys().id_key->view()).mac(as_bytes(lineage_name))).substr(0, 32);
  state.head_path = platform::join_path(state.directory, stem);
  if (base && !force) {
    if (Result<StateHead> head = read_state_head(state.head_path, *state.local_key); head && head->base == base->commit_hash) {
      auto reader = StateReader::open(platform::join_path(state.directory, head->body), *state.local_key, head->stream_bytes);
      if (reader) {
        state.reader = std::move(*reader);
        state.head = std::move(*head);
      }
    }
  }
  std::array<std::byte, 8> tag;
  vault.entropy().fill(tag);
  state.new_body = stem + "." + render_hex(tag);
  state.writer.emplace(TRY(StateWriter::create(platform::join_path(state.directory, state.new_body), *state.local_key, vault.entropy())));
  return state;
}

void drop_new_state(SourceState& state) {
  if (state.writer) ::unlink(platform::join_path(state.directory, state.new_body).c_str());
  state.writer.reset();
}

// After the commit. A failure here costs the next run a full read, not a backup.
Result<> keep_state(SourceState& state, const vault::Vault& vault, const DirectoryBuild::Child& root, const format::Digest& commit, Timestamp started) {
  if (!state.local_key) return {};
  if (root.unchanged && state.head) {
    drop_new_state(state);
    state.head->base = commit;
    state.head->started = started;
    return write_state_head(state.head_path, *state.local_key, vault.entropy(), *state.head);
  }
  StateHead head{.body = state.new_body, .stream_bytes = TRY(state.writer->finish()), .root_record = root.record, .base = commit, .started = started};
  state.writer.reset();
  const std::string old_body = state.head ? state.head->body : "";
  TRY(write_state_head(state.head_path, *state.local_key, vault.entropy(), head));
  if (!old_body.empty()) ::unlink(platform::join_path(state.directory, old_body).c_str());
  return {};
}

class Sequencer {
 public:
  Sequencer(const vault::Vault& vault, const BackupOptions& options, BackupProgress& progress, const CancelToken& cancel, BackupReport& report)
      : vault_(vault), options_(options), progress_(progress), cancel_(cancel), report_(report),
        cutter_(crypto::hkdf_key(vault.keys().id_key->view(), {}, "coppice 1 cut").view()) {}

  // The walk; with a writer, everything is taken too.
  Result<> run(const Selection& selection, const SourceTree& sources, SourceState& state, vault::Writer* writer);
  Result<> run_stream(vault::Writer& writer, SourceState& state);
  const DirectoryBuild::Child& root() const { return tree_->root(); }

 private:
  struct Frame {
    ScanNodePtr node;
    ScanPtr scan;
    std::unique_ptr<DirectoryBuild> build;
    std::size_t next_child = 0, next_item = 0;
  };
  void warn(std::string path, std::string what) {
    ++report_.warnings_total;
    if (report_.warnings.size() < kWarningsMax) report_.warnings.push_back({std::move(path), std::move(what)});
  }
  void push(const ScanNodePtr& node, ScanPtr scan, DirectoryBuild::Child* slot);
  Result<> step(Frame& frame);
  Result<> take_item(Frame& frame, ScanItem& item);
  Result<> take_directory(Frame& frame, ScanItem& item);
  void enter_old_child(Frame& frame, const ScanNodePtr& child);
  Result<> settle(FileTaker& taker, vault::Writer& writer);
  void count(const format::Entry& entry, bool known);

  const vault::Vault& vault_;
  const BackupOptions& options_;
  BackupProgress& progress_;
  const CancelToken& cancel_;
  BackupReport& report_;
  const vault::Cutter cutter_;
  OwnerNames names_;
  FileSystemMemo memo_;
  ReadAhead read_ahead_;
  const Selection* selection_ = nullptr;
  bool has_state_ = false;
  vault::Writer* writer_ = nullptr;
  std::unique_ptr<Scanner> scanner_;
  std::unique_ptr<FileTaker> taker_;
  std::unique_ptr<TreeBuilder> tree_;
  std::vector<Frame> frames_;
};

void Sequencer::push(const ScanNodePtr& node, ScanPtr scan, DirectoryBuild::Child* slot) {
  for (ScanProblem& problem : scan->problems) warn(node->path() + "/" + problem.name, std::move(problem.what));
  scan->problems.clear();
  // What is as the state has it is counted without a look at each.
  report_.files += scan->files;
  report_.files_unchanged += scan->files;
  report_.directories += scan->directories;
  report_.others += scan->others;
  report_.bytes += scan->bytes;
  progress_.files.fetch_add(scan->files, std::memory_order_relaxed);
  progress_.bytes.fetch_add(scan->bytes, std::memory_order_relaxed);
  auto build = std::make_unique<DirectoryBuild>(scan->old, node->old_record, slot);
  if (scan->same)
    build->set_same();
  else if (scan->same_prefix > 0)
    build->add({.old_count = scan->same_prefix});
  frames_.push_back({node, std::move(scan), std::move(build)});
}

void Sequencer::count(const format::Entry& entry, bool known) {
  switch (entry.type) {
    case format::EntryType::kFile:
      ++report_.files;
      report_.bytes += entry.size;
      ++(known ? report_.files_changed : report_.files_new);
      progress_.files.fetch_add(1, std::memory_order_relaxed);
      break;
    case format::EntryType::kDirectory: ++report_.directories; break;
    default: ++report_.others; break;
  }
}

// A subdirectory of the same prefix: its own entry is the state's.
void Sequencer::enter_old_child(Frame& frame, const ScanNodePtr& child) {
  DirectoryBuild::Child* slot = frame.build->add_child(child->name);
  ScanPtr scan = scanner_->take(child);
  if (scan->error) {
    warn(child->path(), scan->error->message());
    slot->unreadable = true;
    slot->done = true;
    return;
  }
  push(child, std::move(scan), slot);   // `frame` may be gone
}

Result<> Sequencer::take_directory(Frame& frame, ScanItem& item) {
  ScanPtr scan = item.child ? scanner_->take(item.child) : nullptr;
  if (scan && scan->error) warn(item.child->path(), scan->error->message());
  const bool entered = scan && !scan->error;
  if (item.unchanged && (entered || !scan)) {
    ++report_.directories;
    frame.build->add({.old_by_name = true, .entry = {.name = item.name}});
  } else {
    format::Entry entry{.name = item.name, .marks = item.marks | (scan && scan->error ? std::uint32_t{format::kMarkUnreadable} : 0u)};
    std::vector<std::string> problems;
    if (Result<> filled = fill_from_statx(item.status, names_, entry); !filled) problems.push_back(filled.error().message());
    if (writer_)
      if (Result<> extended = fill_extended(entered ? scan->fd->get() : -1, frame.scan->fd->get(), item.name.c_str(), memo_, entry, problems); !extended)
        problems.push_back(extended.error().message());
    for (std::string& problem : problems) warn(frame.node->path() + "/" + item.name, std::move(problem));
    count(entry, item.known);
    frame.build->add({.entry = std::move(entry)});
  }
  if (entered) {
    DirectoryBuild::Child* slot = frame.build->add_child(item.name);
    push(item.child, std::move(scan), slot);   // `frame` may be gone
  }
  return {};
}

Result<> Sequencer::take_item(Frame& frame, ScanItem& item) {
  if (S_ISDIR(item.status.stx_mode)) return take_directory(frame, item);
  if (item.unchanged) {
    if (S_ISREG(item.status.stx_mode)) {
      ++report_.files;
      ++report_.files_unchanged;
      report_.bytes += item.status.stx_size;
      progress_.files.fetch_add(1, std::memory_order_relaxed);
      progress_.bytes.fetch_add(item.status.stx_size, std::memory_order_relaxed);
    } else {
      ++report_.others;
    }
    frame.build->add({.old_by_name = true, .entry = {.name = item.name}});
    return {};
  }
  format::Entry entry{.name = item.name, .marks = item.marks};
  Content content;
  std::vector<std::string> problems;
  if (S_ISREG(item.status.stx_mode) && writer_) {
    entry.type = format::EntryType::kFile;
    TRY(taker_->take_file(frame.scan->fd->get(), item, entry, content, problems));
  } else {
    if (Result<> filled = fill_from_statx(item.status, names_, entry); !filled) {
      warn(frame.node->path() + "/" + item.name, filled.error().message());
      return {};
    }
    if (writer_)
      if (Result<> extended = fill_extended(-1, frame.scan->fd->get(), item.name.c_str(), memo_, entry, problems); !extended)
        problems.push_back(extended.error().message());
  }
  for (std::string& problem : problems) warn(frame.node->path() + "/" + item.name, std::move(problem));
  if (!writer_ && entry.type == format::EntryType::kFile) report_.bytes_read += entry.size;   // a dry run: what would be read
  count(entry, item.known);
  frame.build->add({.entry = std::move(entry), .content = std::move(content)});
  return {};
}

// One move of the frame on top: down into a subdirectory, on to the next thing, or up.
Result<> Sequencer::step(Frame& frame) {
  Scan& scan = *frame.scan;
  if (frame.next_child < scan.children.size()) {
    const ScanNodePtr child = std::move(scan.children[frame.next_child++]);
    enter_old_child(frame, child);
    return {};
  }
  if (frame.next_item < scan.items.size()) {
    ScanItem& item = scan.items[frame.next_item++];
    if (!writer_) return take_item(frame, item);
    TRY(tree_->relieve(*frame.build));
    return take_item(frame, item);
  }
  if (!scan.same && scanner_->more(frame.node, scan)) {
    for (ScanProblem& problem : scan.problems) warn(frame.node->path() + "/" + problem.name, std::move(problem.what));
    scan.problems.clear();
    frame.next_item = 0;
    return {};
  }
  std::unique_ptr<DirectoryBuild> build = std::move(frame.build);
  frames_.pop_back();
  if (!writer_) return {};
  TRY(taker_->end_directory());
  return tree_->finish(std::move(build));
}

Result<> Sequencer::settle(FileTaker& taker, vault::Writer& writer) {
  TRY(taker.flush_group());
  TRY(writer.drain());
  TRY(tree_->advance());
  CHECK(tree_->idle());
  report_.bytes_read = taker.bytes_read();
  return {};
}

Result<> Sequencer::run(const Selection& selection, const SourceTree& sources, SourceState& state, vault::Writer* writer) {
  selection_ = &selection;
  writer_ = writer;
  ScanContext context{.selection = &selection, .state = state.reader.get(), .progress = &progress_, .read_ahead = writer ? &read_ahead_ : nullptr};
  if (state.head) context.base_started = state.head->started;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  scanner_ = std::make_unique<Scanner>(context, std::clamp(cores, 2u, 8u));
  if (writer) {
    taker_ = std::make_unique<FileTaker>(*writer, cutter_, names_, memo_, read_ahead_, progress_, cancel_);
    tree_ = std::make_unique<TreeBuilder>(*writer, state.reader.get(), state.writer ? &*state.writer : nullptr);
  }
  auto root = std::make_shared<ScanNode>();
  root->only = sources.whole ? nullptr : &sources;
  root->old_record = state.head ? state.head->root_record : 0;
  ScanPtr scan = scanner_->take(root);
  if (scan->error) return std::unexpected(scan->error->within("/"));
  push(root, std::move(scan), nullptr);
  while (!frames_.empty()) {
    if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
    TRY(step(frames_.back()));
  }
  progress_.scan_done = true;
  if (writer) TRY(settle(*taker_, *writer));
  return {};
}

Result<> Sequencer::run_stream(vault::Writer& writer, SourceState& state) {
  taker_ = std::make_unique<FileTaker>(writer, cutter_, names_, memo_, read_ahead_, progress_, cancel_);
  tree_ = std::make_unique<TreeBuilder>(writer, nullptr, state.writer ? &*state.writer : nullptr);
  const Timestamp now = vault_.clock().now();
  format::Entry entry{.name = options_.stdin_name, .type = format::EntryType::kFile, .mode = 0600,
                      .owner = {.uid = ::geteuid(), .gid = ::getegid(), .user = names_.user(::geteuid()), .group = names_.group(::getegid())},
                      .mtime = now, .atime = now, .ctime = now};
  Content content;
  TRY(taker_->take_stream(options_.stdin_fd, entry, content));
  auto build = std::make_unique<DirectoryBuild>(nullptr, 0, nullptr);
  count(entry, false);
  build->add({.entry = std::move(entry), .content = std::move(content)});
  TRY(tree_->finish(std::move(build)));
  progress_.scan_done = true;
  return settle(*taker_, writer);
}

// A descriptor for every level of the deepest path, and some scanned ahead.
void allow_many_descriptors() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace

Result<BackupReport> run_backup(const vault::Vault& vault, const BackupOptions& options, BackupProgress& progress, const CancelToken& cancel) {
  const std::uint64_t began = vault.clock().monotonic_ns();
  const Timestamp started = vault.clock().now();
  allow_many_descriptors();
  const bool stream = !options.stdin_name.empty();
  if (stream ? !options.sources.empty() : options.sources.empty()) return fail(ErrorKind::kInvalid, "nothing to back up: name a file or directory");
  if (stream && !format::is_valid_name(options.stdin_name)) return fail(ErrorKind::kInvalid, "the name for the standard input must be a plain file name");
  std::vector<std::string> sources = stream ? std::vector<std::string>{options.stdin_name} : TRY(absolute_sources(options.sources));
  std::ranges::sort(sources);
  sources.erase(std::ranges::unique(sources).begin(), sources.end());
  const std::string host = options.host.empty() ? host_name() : options.host;

  SelectionOptions selecting{.excludes = options.excludes, .exclude_files = options.exclude_files, .one_file_system = options.one_file_system,
                             .skip_cache_directories = options.exclude_caches, .skip_nodump = options.honour_nodump, .never = options.never};
  const Selection selection = TRY(Selection::create(selecting, stream ? std::vector<std::string>{} : sources));
  const SourceTree tree = make_source_tree(stream ? std::vector<std::string>{} : sources);

  std::string lineage = host;
  for (const std::string& source : sources) (lineage += '\0') += source;
  BackupReport report;
  Sequencer sequencer(vault, options, progress, cancel, report);
  if (options.dry_run) {
    SourceState state = TRY(open_state(vault, lineage, TRY(vault::newest_of_lineage(vault, lineage)), options.force));
    drop_new_state(state);
    TRY(sequencer.run(selection, tree, state, nullptr));
    report.duration_ms = (vault.clock().monotonic_ns() - began) / 1'000'000;
    return report;
  }

  std::unique_ptr<vault::Writer> writer = TRY(vault::Writer::begin(vault, lineage, options.writer));
  for (std::string& notice : writer->notices())
    if (++report.warnings_total; report.warnings.size() < kWarningsMax) report.warnings.push_back({"", std::move(notice)});
  SourceState state = TRY(open_state(vault, lineage, writer->previous(), options.force));
  const Result<> ran = stream ? sequencer.run_stream(*writer, state) : sequencer.run(selection, tree, state, writer.get());
  if (!ran) {
    drop_new_state(state);
    // What is in memory is worth keeping, unless storing is what failed.
    if (writer->status()) (void)writer->suspend();
    return std::unexpected(ran.error());
  }

  format::SnapshotBody body{.host = host, .sources = sources, .tags = options.tags, .excludes = options.excludes, .user = user_name(),
                            .program = options.program, .started = started, .finished = vault.clock().now(), .root = sequencer.root().node,
                            .files = report.files, .directories = report.directories, .others = report.others, .bytes = report.bytes,
                            .files_new = report.files_new, .files_changed = report.files_changed, .warnings = report.warnings_total};
  std::ranges::sort(body.tags);
  body.tags.erase(std::ranges::unique(body.tags).begin(), body.tags.end());
  body.duration_ms = (vault.clock().monotonic_ns() - began) / 1'000'000;
  Result<vault::Snapshot> snapshot = writer->commit(std::move(body));
  if (!snapshot) {
    drop_new_state(state);
    return std::unexpected(std::move(snapshot).error());
  }
  report.snapshot = std::move(*snapshot);
  report.committed = true;
  report.added_plain = report.snapshot.body->added_plain;
  report.added_stored = report.snapshot.body->added_stored;
  report.adopted = writer->stats().bytes_adopted;
  if (Result<> kept = keep_state(state, vault, sequencer.root(), report.snapshot.commit_hash, started); !kept)
    if (++report.warnings_total; report.warnings.size() < kWarningsMax)
      report.warnings.push_back({"", "the source state could not be kept, so the next backup reads everything again: " + kept.error().message()});
  report.duration_ms = (vault.clock().monotonic_ns() - began) / 1'000'000;
  return report;
}

}  // namespace coppice::capture
