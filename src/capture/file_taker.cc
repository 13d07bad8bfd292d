#include "file_taker.h"

#include <unistd.h>

#include <algorithm>

namespace coppice::capture {
namespace {

constexpr std::size_t kLinkedWeightMax = 8u << 20;

// The conditions under which the file is to blame, not the run.
std::string told(const Error& error) { return error.message(); }

// What an error of opening or looking says of the name; nothing: the object is there and does not let itself be read.
std::optional<Taking> lost(const Error& error) {
  if (error.kind() == ErrorKind::kNotFound) return Taking::kGone;
  if (error.kind() == ErrorKind::kConflict) return Taking::kReplaced;
  return std::nullopt;
}

}  // namespace

void FileTaker::describe(const struct statx& status, int fd, int dir_fd, const std::string& name, format::Entry& entry, std::vector<std::string>& problems) {
  if (Result<> filled = fill_from_statx(status, names_, entry); !filled) problems.push_back(told(filled.error()));
  if (Result<> extended = fill_extended(fd, dir_fd, name.c_str(), memo_, entry, problems); !extended) problems.push_back(told(extended.error()));
}

Result<> FileTaker::flush_group() {
  if (group_.empty()) return {};
  // A group that ended early is copied: what waits shall hold little more memory than its own bytes.
  const bool sparse = group_.size() < group_.capacity() / 2;
  Bytes group = sparse ? to_bytes(group_) : std::exchange(group_, {});
  group_.clear();
  return writer_.put_data(vault::share(std::move(group)), std::exchange(group_ticket_, nullptr));
}

Result<> FileTaker::end_directory() {
  if (group_.size() >= vault::kGroupBytesMin) return flush_group();
  return {};
}

Result<Taking> FileTaker::take_file(int dir_fd, const ScanItem& item, format::Entry& entry, Content& content, std::vector<std::string>& problems) {
  if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
  if (item.fetched) read_ahead_.consumed(item.status);
  const std::pair key(device_of(item.status), std::uint64_t{item.status.stx_ino});
  const bool is_linked = item.status.stx_nlink > 1;
  if (is_linked) {
    if (const auto it = linked_.find(key); it != linked_.end()) {
      Linked& first = it->second;
      // The same object at the same version: its content is known.
      if (first.entry.size == item.status.stx_size && first.entry.ctime.seconds == item.status.stx_ctime.tv_sec &&
          first.entry.ctime.nanoseconds == item.status.stx_ctime.tv_nsec) {
        std::string name = std::move(entry.name);
        const std::uint32_t marks = entry.marks;
        entry = first.entry;
        entry.name = std::move(name);
        entry.marks = marks;   // what is mounted at this name, not at that one
        content = first.content;
        if (--first.left == 0) forget(it);
        return Taking::kTaken;
      }
    }
  }
  const std::size_t problems_before = problems.size();
  std::optional<Taking> taking;
  if (item.status.stx_size < vault::kSmallFileBytesMax && !is_sparse(item.status)) taking = TRY(take_small(dir_fd, item, entry, content, problems));
  if (!taking) taking = TRY(take_large(dir_fd, item, entry, content, problems));
  if (taking != Taking::kTaken) return *taking;
  if (is_linked && problems.size() == problems_before) remember(key, item, entry, content);
  return Taking::kTaken;
}

void FileTaker::remember(const Object& object, const ScanItem& item, const format::Entry& entry, const Content& content) {
  if (const auto known = linked_.find(object); known != linked_.end()) forget(known);
  std::size_t weight = sizeof(Linked) + 160 + content.parts.size() * (sizeof(Part) + sizeof(vault::ChunkTicket)) +
                       content.extents.size() * sizeof(format::ChunkRef) + content.extent_references.packs().size() * 96;
  for (const format::Xattr& xattr : entry.xattrs) weight += sizeof xattr + xattr.name.size() + xattr.value.size();
  if (weight > kLinkedWeightMax) return;
  linked_order_.push_back(object);
  linked_[object] = {.content = content, .entry = entry, .left = item.status.stx_nlink - 1, .weight = weight, .place = std::prev(linked_order_.end())};
  for (linked_weight_ += weight; linked_weight_ > kLinkedWeightMax;) forget(linked_.find(linked_order_.front()));
}

void FileTaker::forget(std::map<Object, Linked>::iterator which) {
  linked_weight_ -= which->second.weight;
  linked_order_.erase(which->second.place);
  linked_.erase(which);
}

Result<std::optional<Taking>> FileTaker::take_small(int dir_fd, const ScanItem& item, format::Entry& entry, Content& content, std::vector<std::string>& problems) {
  if (group_.size() + item.status.stx_size > vault::kGroupBytesMax) TRY(flush_group());
  if (group_.capacity() == 0) group_.reserve(vault::kGroupBytesMax + vault::kSmallFileBytesMax);
  const std::size_t at = group_.size();
  group_.resize(at + vault::kSmallFileBytesMax);
  const MutableByteSpan into = MutableByteSpan(group_).subspan(at);
  Result<SmallFile> file = read_small_file(dir_fd, item.name.c_str(), item.status, into, item.fetched ? Residence::kFetched : Residence::kAsFound);
  if (file) read_ahead_.saw(file->cold);
  if (file && file->changed && file->status.stx_size < vault::kSmallFileBytesMax) {
    const struct statx again = file->status;
    file = read_small_file(dir_fd, item.name.c_str(), again, into);
  }
  if (!file) {
    group_.resize(at);
    if (file.error().kind() == ErrorKind::kExhausted) return std::unexpected(std::move(file).error());
    if (const std::optional<Taking> why = lost(file.error())) return why;
    describe(item.status, -1, dir_fd, item.name, entry, problems);
    entry.size = 0;
    entry.marks |= format::kMarkUnreadable;
    problems.push_back(told(file.error()));
    return Taking::kTaken;
  }
  if (file->status.stx_size >= vault::kSmallFileBytesMax) {
    group_.resize(at);
    return std::nullopt;
  }
  describe(file->status, file->fd.get(), dir_fd, item.name, entry, problems);
  if (file->changed) {
    entry.marks |= format::kMarkChangedWhileRead;
    problems.push_back("changed while it was read; what was read last is stored");
  }
  entry.size = file->bytes;
  group_.resize(at + file->bytes);
  count_read(file->bytes);
  if (file->bytes == 0) return Taking::kTaken;
  if (!fingerprint_secret_.empty()) {
    content.fingerprint = crypto::xxh3_128(ByteSpan(group_).subspan(at), fingerprint_secret_);
    // The bytes that this name had before: they stay in the group of then, and the group in the making gets what is new. Not for an object
    // of several names, since not each of them may have a before.
    if (item.old_fingerprint == content.fingerprint && !file->changed && file->bytes == item.status.stx_size && item.status.stx_nlink == 1 &&
        file->status.stx_nlink == 1) {
      group_.resize(at);
      content.as_before = true;
      return Taking::kTaken;
    }
  }
  if (!group_ticket_) group_ticket_ = std::make_shared<vault::ChunkTicket>();
  content.parts.push_back({.ticket = group_ticket_, .offset = static_cast<std::uint32_t>(at), .length = file->bytes});
  if (group_.size() >= vault::kGroupBytesMax || cutter_.group_ends_after(ByteSpan(group_).subspan(at), group_.size())) TRY(flush_group());
  return Taking::kTaken;
}

// Takes chunks off the front of what is pending; what is too short to be decided stays, unless this is the end.
Result<> FileTaker::cut(bool end, Content& content) {
  for (ByteSpan rest = buffer_.pending(); !rest.empty(); rest = buffer_.pending()) {
    const std::size_t n = cutter_.first_chunk(rest, end, search_);
    if (n == 0) break;
    search_ = {};
    auto ticket = std::make_shared<vault::ChunkTicket>();
    content.parts.push_back({.ticket = ticket, .offset = 0, .length = n});
    TRY(writer_.put_data(buffer_.take(n), std::move(ticket)));
  }
  if (content.parts.size() > 2 * std::size_t{format::kExtentPageSlicesMax}) TRY(pack_extents(content, false));
  return {};
}

void FileTaker::count_read(std::size_t bytes) {
  bytes_read_ += bytes;
  progress_.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

Result<std::uint64_t> FileTaker::read_extents(FileReader& reader, Content& content) {
  buffer_.drop_pending();   // of a file that was given up
  search_ = {};
  for (;;) {
    const Extent extent = TRY(reader.next_extent());
    if (extent.length == 0) break;
    if (extent.hole) {
      TRY(cut(true, content));
      content.parts.push_back({.ticket = nullptr, .offset = 0, .length = extent.length});
      continue;
    }
    for (;;) {
      if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
      const std::size_t got = TRY(reader.read(buffer_.room()));
      if (got == 0) break;
      buffer_.filled(got);
      count_read(got);
      TRY(cut(false, content));
    }
    // Data that touch in the file are cut as one, whatever extents the file system has them in; a hole ends a chunk.
  }
  TRY(cut(true, content));
  return reader.position();
}

Result<Taking> FileTaker::take_large(int dir_fd, const ScanItem& item, format::Entry& entry, Content& content, std::vector<std::string>& problems) {
  // Small files before it keep their order in groups; this one does not disturb them.
  const auto give_up = [&](const Error& error) {
    describe(item.status, -1, dir_fd, item.name, entry, problems);
    entry.size = 0;
    entry.marks |= format::kMarkUnreadable;
    problems.push_back(told(error));
    content = {};
  };
  Result<FileReader> reader = FileReader::open(dir_fd, item.name.c_str(), item.status, item.fetched ? Residence::kFetched : Residence::kAsFound);
  if (!reader) {
    if (reader.error().kind() == ErrorKind::kExhausted) return std::unexpected(std::move(reader).error());
    if (const std::optional<Taking> why = lost(reader.error())) return *why;
    give_up(reader.error());
    return Taking::kTaken;
  }
  bool changed = false;
  std::uint64_t size = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt > 0) {
      content = {};
      if (Result<> rewound = reader->rewind(); !rewound) {
        give_up(rewound.error());
        return Taking::kTaken;
      }
    }
    Result<std::uint64_t> read = read_extents(*reader, content);
    if (!read) {
      if (cancel_.cancelled() || !writer_.status()) return std::unexpected(std::move(read).error());
      give_up(read.error());
      return Taking::kTaken;
    }
    size = *read;
    changed = reader->changed().value_or(true);
    if (!changed) break;
  }
  describe(reader->status(), reader->fd(), dir_fd, item.name, entry, problems);
  if (changed || size != entry.size) {
    entry.marks |= format::kMarkChangedWhileRead;
    problems.push_back("changed while it was read; what was read last is stored");
  }
  entry.size = size;
  if (!content.extents.empty() || content.parts.size() > format::kSlicesInlineMax) TRY(pack_extents(content, true));
  return Taking::kTaken;
}

// Moves parts from the front into extent pages: full pages only, unless `all`.
Result<> FileTaker::pack_extents(Content& content, bool all) {
  while (content.parts.size() > format::kExtentPageSlicesMax || (all && !content.parts.empty())) {
    const std::size_t n = std::min<std::size_t>(content.parts.size(), format::kExtentPageSlicesMax);
    format::ExtentPage page;
    const auto ready = [&] { return std::all_of(content.parts.begin(), content.parts.begin() + static_cast<std::ptrdiff_t>(n),
                                                [](const Part& p) { return !p.ticket || p.ticket->ready(); }); };
    if (!ready()) TRY(writer_.drain());
    for (std::size_t i = 0; i < n; ++i) {
      const Part& part = content.parts[i];
      format::Slice slice{.chunk = format::Slice::kHole, .offset = part.offset, .length = part.length};
      if (part.ticket) {
        const format::ChunkRef& ref = part.ticket->ref();
        slice.chunk = static_cast<std::uint32_t>(page.chunks.size());
        page.chunks.push_back(ref);
        writer_.refer(ref);
        content.extent_references.add(ref.birth);
      }
      page.slices.push_back(slice);
    }
    content.parts.erase(content.parts.begin(), content.parts.begin() + static_cast<std::ptrdiff_t>(n));
    content.extents.push_back(TRY(writer_.put_tree(format::encode_extent_page(page))));
  }
  return {};
}

Result<> FileTaker::take_stream(int fd, format::Entry& entry, Content& content) {
  std::uint64_t size = 0;
  for (;;) {
    if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
    const MutableByteSpan room = buffer_.room();
    const ssize_t got = ::read(fd, room.data(), room.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "reading the standard input");
    size += static_cast<std::uint64_t>(got);
    buffer_.filled(static_cast<std::size_t>(got));
    count_read(static_cast<std::size_t>(got));
    TRY(cut(got == 0, content));
    if (got == 0) break;
  }
  entry.size = size;
  if (!content.extents.empty() || content.parts.size() > format::kSlicesInlineMax) TRY(pack_extents(content, true));
  return {};
}

}  // namespace coppice::capture
