// From one entry to the records and pieces of a window (walker.h).

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "walker.h"

namespace coppice::restore {

using format::EntryType;

namespace {

bool newer(const struct stat& st, const Timestamp& t) {
  return Timestamp{st.st_mtim.tv_sec, static_cast<std::uint32_t>(st.st_mtim.tv_nsec)} > t;
}

}  // namespace

// What stands under the entry's name decides what is to be done; nothing when it is to be left alone.
std::optional<Action> Walker::look(Directory* directory, const format::Entry& entry, LinkTarget* link,
                                   bool has_content) {
  if (!directory->existed) return Action::kCreate;
  if (pin_.directory() != directory) {
    auto pin = run_.directories.pin(directory);
    if (!pin) {
      run_.collector.fail(Where{directory, entry.name}.path(), pin.error().message());
      if (link) link->state = LinkTarget::State::kFailed;
      return std::nullopt;
    }
    pin_ = std::move(*pin);
  }
  struct stat st {};
  if (::fstatat(pin_.fd(), entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return Action::kCreate;  // or its creation tells why not
  const auto settle = [&] {
    if (!link) return;
    link->device = st.st_dev;
    link->inode = st.st_ino;
    link->state.store(LinkTarget::State::kThere, std::memory_order_release);
  };
  const auto leave = [&]() -> std::optional<Action> {
    settle();
    if (entry.type == EntryType::kFile)
      run_.collector.count_file(entry.size, 0, Collector::How::kAlready);
    else
      run_.collector.count_other();
    return std::nullopt;
  };
  if (!run_.options.overwrite_newer && !S_ISDIR(st.st_mode) && newer(st, entry.mtime)) return leave();
  if ((st.st_mode & S_IFMT) != type_bits(entry.type)) return Action::kReplace;

  // An object with other names belongs to others too: somebody may have put a name of a foreign file here so that we
  // change its owner.
  const bool owner_and_mode_right =
      owner_and_mode_are(st, entry.owner.uid, entry.owner.gid, entry.mode, run_.metadata.root());
  const bool foreign = st.st_nlink > 1 && (entry.links == 1 || !owner_and_mode_right);
  if (foreign && !(entry.marks & format::kMarkUnreadable)) return Action::kReplace;
  switch (entry.type) {
    case EntryType::kFile:
      if (entry.marks & format::kMarkUnreadable) return settle(), std::nullopt;  // an old content is better than none
      if (static_cast<std::uint64_t>(st.st_size) != entry.size || !same_time(st, entry.mtime)) return Action::kReplace;
      if ((run_.options.verify || run_.one_file) && has_content) return Action::kCheck;
      return Action::kRefresh;
    case EntryType::kSymlink: {
      char text[format::kTargetBytesMax + 1];
      const ssize_t n = ::readlinkat(pin_.fd(), entry.name.c_str(), text, sizeof text);
      if (n < 0 || std::string_view(text, static_cast<std::size_t>(n)) != entry.target) return Action::kReplace;
      return Action::kRefresh;
    }
    case EntryType::kCharDevice:
    case EntryType::kBlockDevice:
      return st.st_rdev == entry.rdev ? Action::kRefresh : Action::kReplace;
    case EntryType::kFifo:
      return Action::kRefresh;
    default:
      return Action::kReplace;  // a socket that somebody listens at no more
  }
}

void Walker::plan(Directory* directory, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks,
                  std::optional<AgainList::Why> again, LinkTarget* link) {
  if (may_be_linked(entry) && !again) {
    const HardLinks::Seen seen = run_.links.see(entry, chunks, directory);
    if (!seen.first) {
      DirectoryTree::hold(directory);
      window_->links.push_back({directory, window_->arena.copy_text(entry.name),
                                static_cast<std::uint32_t>(entry.name.size()), entry.type == EntryType::kFile,
                                seen.target});
      window_->count_entry();
      if (entry.type == EntryType::kFile) run_.collector.count_planned(0);
      submit_when_due();
      return;
    }
    link = seen.target;
  }
  if (entry.type == EntryType::kFile && !again) run_.collector.count_planned(entry.size);
  const bool content = entry.type == EntryType::kFile && (!entry.slices.empty() || !entry.extents.empty());
  const std::optional<Action> action = again == AgainList::Why::kWrong ? Action::kReplace : look(directory, entry, link, content);
  if (entry.type == EntryType::kFile && (entry.marks & format::kMarkUnreadable))
    run_.collector.fail(Where{directory, entry.name}.path(), without_content(action.has_value()));
  if (!action) {
    if (link) run_.links.release(link);
    return;
  }
  if (entry.marks & format::kMarkChangedWhileRead)
    run_.collector.warn(Where{directory, entry.name}.path(),
                        "it changed while it was backed up: its content may mix two states");
  if (entry.marks & format::kMarkIncomplete)
    run_.collector.warn(Where{directory, entry.name}.path(), kIncomplete);

  if (content && *action != Action::kRefresh) {
    if (!entry.extents.empty()) return plan_huge(directory, entry, chunks, *action, link);
    Record* record = window_->arena.create<Record>();
    fill_record(*record, directory, entry, *action, link, window_->arena);
    return plan_content(*record, entry, chunks);
  }
  Record* record = window_->arena.create<Record>();
  fill_record(*record, directory, entry, *action, link, window_->arena);
  if (*action != Action::kRefresh && (entry.marks & format::kMarkUnreadable)) record->attributes.size = 0;
  window_->nodes.push_back(record);
  window_->count_entry();
  submit_when_due();
}

void Walker::fill_record(Record& record, Directory* directory, const format::Entry& entry, Action action,
                         LinkTarget* link, Arena& arena) {
  DirectoryTree::hold(directory);
  record.directory = directory;
  record.name = arena.copy_text(entry.name);
  record.name_bytes = static_cast<std::uint32_t>(entry.name.size());
  record.action = action;
  record.attributes = copy_attributes(entry, arena);
  record.link = link;
}

// Adds one slice that starts at `at`. False when the snapshot contradicts itself.
bool Walker::add_slice(Record& record, std::uint64_t& at, const format::ChunkRef* ref, const format::Slice& slice,
                       Arena& arena) {
  if (slice.length > record.attributes.size - at) return false;
  if (!ref) {
    record.has_holes = true;
    if (record.action == Action::kCheck) record.holes = arena.create<Hole>(at, slice.length, record.holes);
  } else {
    if (slice.offset > ref->length || slice.length > ref->length - slice.offset) return false;
    if (slice.length > 0)
      window_->pieces.push_back(
          {&record, at, window_->add_chunk(*ref), slice.offset, static_cast<std::uint32_t>(slice.length)});
  }
  at += slice.length;
  return true;
}

void Walker::plan_content(Record& record, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  const std::size_t first = window_->pieces.size();
  std::uint64_t at = 0;
  bool sound = true;
  for (const format::Slice& slice : entry.slices) {
    const bool hole = slice.chunk == format::Slice::kHole;
    sound = sound && (hole || slice.chunk < chunks.size()) &&
            add_slice(record, at, hole ? nullptr : &chunks[slice.chunk], slice, window_->arena);
  }
  if (!sound || at != entry.size) {
    window_->pieces.resize(first);
    run_.collector.fail(record.where().path(), "the snapshot's list of its content does not add up");
    if (record.link) {
      record.link->state = LinkTarget::State::kFailed;
      run_.links.release(record.link);
    }
    run_.directories.release(record.directory);
    return;
  }
  const std::size_t count = window_->pieces.size() - first;
  if (count == 0) {
    // One hole, or nothing. A file that is compared needs no block for that.
    window_->nodes.push_back(&record);
  } else {
    const auto block_of = [&](std::size_t i) -> const format::Birth& {
      return window_->chunks[window_->pieces[i].chunk].birth;
    };
    for (std::size_t i = first + 1; i < window_->pieces.size() && !record.shared; ++i)
      if (block_of(i) != block_of(first)) record.shared = window_->arena.create<SharedFile>();
    if (record.shared) record.shared->pieces_left = count;
  }
  window_->count_entry();
  submit_when_due();
}

// A file whose list of slices has pages of its own may not fit a window: its record stands alone, and windows are
// submitted on the way.
void Walker::plan_huge(Directory* directory, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks,
                       Action action, LinkTarget* link) {
  auto* huge = new HugeFile{};
  Record& record = huge->record;
  fill_record(record, directory, entry, action, link, huge->arena);
  record.huge = huge;
  record.shared = &huge->shared;
  record.shared->pieces_left = 1;  // the plan's own
  std::uint64_t at = 0;
  // Whether it has holes must be known when it is created; a later window may bring the first. Its size is set early in
  // any case.
  record.has_holes = true;
  auto result = vault::read_slices(
      run_.reader, entry, chunks, [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
        if (run_.collector.stopped()) return coppice::fail(ErrorKind::kCancelled, "stopped");
        const std::size_t before = window_->pieces.size();
        if (!add_slice(record, at, ref, slice, huge->arena))
          return coppice::fail(ErrorKind::kCorrupt, "the snapshot's list of its content does not add up");
        record.shared->pieces_left.fetch_add(window_->pieces.size() - before, std::memory_order_relaxed);
        if (window_->bytes() >= window_bytes_max_) submit();
        return {};
      });
  if (result && at != entry.size)
    result = coppice::fail(ErrorKind::kCorrupt, "the snapshot's list of its content does not add up");
  if (!result && !record.failed.exchange(true) && !run_.collector.stopped())
    run_.collector.fail(record.where().path(), result.error().message());
  window_->count_entry();
  own_writer_.finish_pieces(record, 1);
  own_writer_.let_go();
  submit_when_due();
}

}  // namespace coppice::restore
