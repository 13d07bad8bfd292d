#include "walker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

namespace coppice::restore {
namespace {

constexpr std::size_t kChildrenPerBatch = 16384, kChildrenPerBatchTight = 64;
constexpr std::size_t kChildrenMax = 65536;  // in all frames: beyond it batches are small

}  // namespace

Walker::Walker(Run& run, Runner* runner, const format::SnapshotBody& body, const policy::PatternList& patterns,
               std::size_t window_bytes_max)
    : run_(run),
      runner_(runner),
      body_(body),
      patterns_(patterns),
      window_bytes_max_(window_bytes_max),
      window_(std::make_unique<Window>()),
      own_writer_(run) {}

Result<> Walker::walk(Base base, const std::optional<format::ChunkRef>& node) {
  path_ = std::move(base.path);
  stack_.push_back({.directory = base.directory, .node = node, .inside = base.inside, .path_bytes = path_.size()});
  tell_marks(base.directory, base.marks, base.inside);
  if (base.inside) {
    if (!patterns_.empty()) run_.collector.count_chosen();
    run_.directories.make(base.directory);
  }
  while (!stack_.empty() && !run_.collector.stopped()) {
    Frame& frame = stack_.back();
    if (frame.first_pass || (frame.next == frame.children.size() && frame.more)) {
      if (auto result = read(frame); !result) {
        leave_frames();
        return std::unexpected<Error>(std::move(result).error().within("the directory to restore"));
      }
      continue;
    }
    if (frame.next == frame.children.size()) {
      pin_.reset();
      run_.directories.release(frame.directory);
      stack_.pop_back();
      if (!stack_.empty()) path_.resize(stack_.back().path_bytes);
      continue;
    }
    const Pending child = frame.children[frame.next++];
    --pending_children_;
    if (child.inside && run_.directories.make(child.directory) && !runner_) tell_directory(child.directory);  // though it be empty
    if (stack_.size() > format::kTreeDepthMax) {
      run_.collector.fail(Where{child.directory, {}}.path(),
                          "deeper than a snapshot may be: its contents are left out");
      run_.directories.release(child.directory);
      continue;
    }
    if (!patterns_.empty()) path_.append("/").append(child.directory->name);
    Frame next{.directory = child.directory, .node = child.node, .inside = child.inside, .path_bytes = path_.size()};
    stack_.push_back(std::move(next));
    plan_again();
  }
  leave_frames();
  run_.collector.plan_complete();
  if (!runner_) return {};
  // Files that looked right and are not are known only when their window is done.
  bool more = true;
  while (more) {
    submit();
    runner_->finish();
    more = plan_again();
  }
  return {};
}

Result<> Walker::one(Base base, const vault::FoundEntry& found) {
  Directory* directory = base.directory;
  stack_.push_back({.directory = directory, .node = {}, .inside = base.inside, .path_bytes = base.path.size()});
  path_ = std::move(base.path);
  visit(stack_.back(), found.entry, found.chunks);
  stack_.pop_back();
  return walk({directory, {}, false}, std::nullopt);
}

void Walker::leave_frames() {
  pin_.reset();
  for (; !stack_.empty(); stack_.pop_back()) {
    Frame& frame = stack_.back();
    for (; frame.next < frame.children.size(); ++frame.next)
      run_.directories.release(frame.children[frame.next].directory);
    run_.directories.release(frame.directory);
  }
}

// One pass over a directory: its files the first time, and the next batch of its subdirectories. A page that cannot be
// read costs what is on it. An error: this is the base, and nothing of it can be read.
Result<> Walker::read(Frame& frame) {
  const bool first = std::exchange(frame.first_pass, false);
  frame.more = false;
  frame.children.clear();
  frame.next = 0;
  if (!frame.node || frame.directory->failed) return {};
  const std::string resume_after = frame.resume_after;
  const std::size_t batch = pending_children_ > kChildrenMax ? kChildrenPerBatchTight : kChildrenPerBatch;
  vault::DirectoryCursor cursor(run_.reader, *frame.node);
  format::Entry entry;
  std::optional<Error> bad;
  bool any = false;
  while (!run_.collector.stopped()) {
    const Result<bool> got = cursor.next(entry);
    if (!got && !bad) bad = got.error();
    if (!got) continue;  // behind the page
    if (!*got) break;
    any = true;
    if (entry.type != format::EntryType::kDirectory) {
      if (first) visit(frame, entry, cursor.chunks());
    } else if (first || entry.name > resume_after) {
      frame.more = frame.children.size() >= batch;
      if (frame.more && !first) break;
      if (!frame.more) visit_directory(frame, entry);  // else the files behind it are wanted still
    }
  }
  pin_.reset();
  if (!bad || bad->message() == frame.told) return {};
  if (first && !any && stack_.size() == 1) return std::unexpected<Error>(std::move(*bad));
  frame.told = bad->message();
  run_.collector.fail(Where{frame.directory, {}}.path(),
                      fmt::format("{}the list of this directory cannot be read from the vault: {}",
                                  any || !first ? "a part of " : "", frame.told));
  return {};
}

// Of a directory that is gone into, and of what it stands for when it was backed up.
void Walker::tell_marks(const Directory* directory, std::uint32_t marks, bool inside) {
  if (marks & format::kMarkUnreadable) {
    const std::string path = Where{directory, {}}.path();
    if (inside)
      run_.collector.fail(path, "its list could not be read when it was backed up: only the directory itself is restored");
    else
      run_.collector.warn(path, "its list could not be read when it was backed up: what would match in it is not in the snapshot");
  }
  if (inside && (marks & format::kMarkIncomplete)) run_.collector.warn(Where{directory, {}}.path(), kIncomplete);
}

void Walker::visit_directory(Frame& frame, const format::Entry& entry) {
  frame.resume_after = entry.name;
  if (!format::is_valid_name(entry.name)) {
    run_.collector.fail(Where{frame.directory, entry.name}.path(), "a name that no file can have: left out");
    return;
  }
  const bool inside = chosen(frame, entry);
  if (!inside && !patterns_.may_match_below(entry_path_)) return;
  Directory* child = run_.directories.add(frame.directory, entry.name);
  run_.directories.set_attributes(child, entry);
  child->chosen = inside && !(entry.marks & format::kMarkPartial);
  tell_marks(child, entry.marks, inside);
  if (inside) {
    run_.collector.count_chosen();
    if (!runner_) run_.collector.count_directory();
  }
  if (inside && runner_ && TemporaryName::could_be(entry.name)) {
    settle();
    run_.directories.make(child);
  }
  frame.children.push_back({child, entry.child, inside});
  ++pending_children_;
}

// Whether the patterns choose this entry; entry_path_ is its path then.
bool Walker::chosen(const Frame& frame, const format::Entry& entry) {
  if (patterns_.empty()) return true;
  entry_path_.assign(path_).append("/").append(entry.name);
  switch (patterns_.verdict(entry_path_, entry.type == format::EntryType::kDirectory)) {
    case policy::PatternList::Verdict::kMatch:
      return true;
    case policy::PatternList::Verdict::kNegated:
      return false;
    case policy::PatternList::Verdict::kNone:
      break;
  }
  return frame.inside;
}

void Walker::visit(Frame& frame, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  if (!format::is_valid_name(entry.name))
    return run_.collector.fail(Where{frame.directory, entry.name}.path(), "a name that no file can have: left out");
  if (!chosen(frame, entry)) return;
  run_.collector.count_chosen();
  if (!run_.directories.make(frame.directory)) return;  // told
  if (!runner_) return count_dry(frame.directory, entry, chunks);
  const bool alone = TemporaryName::could_be(entry.name);
  if (alone) settle();
  plan(frame.directory, entry, chunks, std::nullopt, nullptr);
  if (alone) settle();
}

void Walker::submit_when_due() {
  // Small windows only while the threads would wait otherwise: a large one meets more pieces of the same blocks.
  const bool full = window_->bytes() >= window_bytes_max_;
  if (full || (window_->entries() % 256 == 0 && window_->entries() >= 1024 && runner_->idle())) submit();
}

void Walker::submit() {
  if (!window_->empty()) window_ = runner_->submit(std::move(window_));
}

// Until all that is planned is in its place: what has a temporary's name is made when no temporary is there, and is there before
// the next one is made.
void Walker::settle() {
  submit();
  runner_->finish();
}

// Nothing of them was kept: their directories are read once more, each once, up to the last of them in it.
bool Walker::plan_again() {
  std::vector<AgainList::Item> items = run_.again.take();
  std::ranges::sort(items, {}, [](const AgainList::Item& item) { return std::pair(item.directory, std::string_view(item.name)); });
  const bool any = !items.empty();
  for (auto begin = items.begin(); begin != items.end();) {
    const auto end = std::find_if(begin, items.end(), [&](const auto& item) { return item.directory != begin->directory; });
    plan_again_in(*begin->directory, {begin, end});
    begin = end;
  }
  return any;
}

void Walker::plan_again_in(Directory& directory, std::span<AgainList::Item> items) {
  const auto done = [&](AgainList::Item& item) {
    if (item.link) run_.links.release(item.link);
    run_.directories.release(item.directory);
  };
  const auto plan_all = [&]() -> Result<> {
    const vault::FoundEntry found = TRY(vault::find_entry(run_.reader, body_, Where{&directory, {}}.path()));
    if (!found.entry.child) return fail(ErrorKind::kCorrupt, "it is no directory any more");
    vault::DirectoryCursor cursor(run_.reader, *found.entry.child);
    format::Entry entry;
    while (!items.empty() && !run_.collector.stopped() && TRY(cursor.next(entry))) {
      if (entry.name != items.front().name) continue;
      AgainList::Item& item = items.front();
      plan(item.directory, entry, cursor.chunks(), item.why, std::exchange(item.link, nullptr));   // the record's now
      done(item);
      items = items.subspan(1);
    }
    return {};
  };
  const Result<> planned = plan_all();
  for (AgainList::Item& item : items) {   // what was not reached
    if (!run_.collector.stopped()) run_.collector.fail(Where{item.directory, item.name}.path(), planned ? "it is not in the snapshot" : planned.error().message());
    if (item.link) item.link->state = LinkTarget::State::kFailed;
    done(item);
  }
}

}  // namespace coppice::restore
