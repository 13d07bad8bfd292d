// Two trees walked side by side. The stack is on the heap: trees may be deeper than a thread's stack.

#include "maintenance/diff.h"

#include <deque>
#include <optional>
#include <utility>

#include "held_pages.h"
#include "vault/cutter.h"

namespace coppice::maintenance {
namespace {

using format::ChunkRef;
using format::Entry;

// One side of a directory: the entry under the cursor, if there is one.
struct Side {
  std::optional<vault::DirectoryCursor> cursor;
  Entry entry;
  bool have = false;

  Result<> open(vault::ChunkReader& reader, const std::optional<ChunkRef>& node) {
    if (!node) return {};
    cursor.emplace(reader, *node);
    return advance();
  }
  Result<> advance() {
    have = TRY(cursor->next(entry));
    return {};
  }
  std::uint64_t held_bytes() const { return have ? cursor->held_bytes() + entry.slices.size() * sizeof(format::Slice) : 0; }
  void let_go() {
    if (!have) return;
    cursor->let_go(vault::DirectoryCursor::Resume::kSameEntry);
    entry = {};
    gone = true;
  }
  Result<> come_back() {
    if (!std::exchange(gone, false)) return {};
    return advance();
  }
  bool gone = false;   // the entry and its page were let go
};

struct DiffFrame {
  std::size_t path_bytes = 0;
  Side before, after;
};

bool same_metadata(const Entry& a, const Entry& b) {
  return a.mode == b.mode && a.owner == b.owner && a.flags == b.flags && a.project == b.project && a.marks == b.marks &&
         a.xattrs == b.xattrs;
}

bool same_slices(const Side& a, const Side& b) {
  if (a.entry.slices.size() != b.entry.slices.size() || a.entry.extents.size() != b.entry.extents.size()) return false;
  for (std::size_t i = 0; i < a.entry.extents.size(); ++i)
    if (a.entry.extents[i].id != b.entry.extents[i].id) return false;
  // Slices name chunks by their number in their own page's table.
  const auto& chunks_a = a.cursor->chunks();
  const auto& chunks_b = b.cursor->chunks();
  for (std::size_t i = 0; i < a.entry.slices.size(); ++i) {
    const format::Slice &x = a.entry.slices[i], &y = b.entry.slices[i];
    const bool hole_x = x.chunk == format::Slice::kHole, hole_y = y.chunk == format::Slice::kHole;
    if (hole_x != hole_y || x.length != y.length) return false;
    if (hole_x) continue;
    if (x.offset != y.offset || x.chunk >= chunks_a.size() || y.chunk >= chunks_b.size() ||
        chunks_a[x.chunk].id != chunks_b[y.chunk].id)
      return false;
  }
  return true;
}

Result<Bytes> read_small(vault::ChunkReader& reader, const Side& side) {
  Bytes content;
  TRY(vault::read_slices(reader, side.entry, side.cursor->chunks(), [&](const ChunkRef* ref, const format::Slice& slice) -> Result<> {
    if (content.size() + slice.length > vault::kSmallFileBytesMax) return fail(ErrorKind::kCorrupt, "its content is longer than it says");
    if (!ref) return content.resize(content.size() + slice.length), Result<>{};
    const vault::ChunkReader::Chunk chunk = TRY(reader.chunk(*ref));
    if (slice.offset > chunk.bytes.size() || slice.length > chunk.bytes.size() - slice.offset) return fail(ErrorKind::kCorrupt, "its content lies past the end of a chunk");
    const ByteSpan part = chunk.bytes.subspan(slice.offset, slice.length);
    content.insert(content.end(), part.begin(), part.end());
    return {};
  }));
  return content;
}

// What cannot be read is no reason to end: it counts as other bytes.
bool same_content(vault::ChunkReader& reader, const Side& a, const Side& b) {
  const Entry &x = a.entry, &y = b.entry;
  if (x.size != y.size || x.target != y.target || x.rdev != y.rdev) return false;
  if (x.type != format::EntryType::kFile || (x.mtime == y.mtime && x.ctime == y.ctime) || same_slices(a, b)) return true;
  // Small files share chunks with their neighbours: one that was only read again can lie in another chunk.
  if (x.size >= vault::kSmallFileBytesMax) return false;
  const Result<Bytes> before = read_small(reader, a), after = read_small(reader, b);
  return before && after && *before == *after;
}

class Differ {
 public:
  Differ(vault::ChunkReader& reader, const ChangeVisitor& each, const CancelToken& cancel, std::uint64_t page_bytes)
      : reader_(reader), each_(each), cancel_(cancel), held_(page_bytes) {}

  Result<> walk(const std::optional<ChunkRef>& before, const std::optional<ChunkRef>& after) {
    TRY(enter(before, after));
    while (!frames_.empty()) {
      if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
      DiffFrame& frame = frames_.back();
      path_.resize(frame.path_bytes);
      held_.come_back(frames_.size() - 1);
      TRY(frame.before.come_back());
      TRY(frame.after.come_back());
      if (!frame.before.have && !frame.after.have) {
        frames_.pop_back();
        continue;
      }
      TRY(step(frame));
    }
    return {};
  }

 private:
  Result<> enter(const std::optional<ChunkRef>& before, const std::optional<ChunkRef>& after) {
    if (before == after || (before && after && before->id == after->id)) return {};
    if (frames_.size() > format::kTreeDepthMax)
      return fail(ErrorKind::kCorrupt, "the tree is deeper than any tree may be");
    if (!frames_.empty())
      held_.go_below(frames_.size() - 1, frames_.back().before.held_bytes() + frames_.back().after.held_bytes(), [this](std::size_t depth) {
        frames_[depth].before.let_go();
        frames_[depth].after.let_go();
      });
    DiffFrame& frame = frames_.emplace_back();
    frame.path_bytes = path_.size();
    TRY(frame.before.open(reader_, before));
    return frame.after.open(reader_, after);
  }

  // Handles the lowest name of both sides, and goes on. The children are entered last: entering makes a new top of the
  // stack.
  Result<> step(DiffFrame& frame) {
    Side &before = frame.before, &after = frame.after;
    const bool in_before = before.have && (!after.have || before.entry.name <= after.entry.name);
    const bool in_after = after.have && (!before.have || after.entry.name <= before.entry.name);
    const std::string& name = in_before ? before.entry.name : after.entry.name;
    if (!name.empty()) {
      path_ += '/';
      path_ += name;
    }
    std::optional<ChunkRef> below_before, below_after;
    if (in_before) below_before = before.entry.child;
    if (in_after) below_after = after.entry.child;
    if (in_before && in_after)
      TRY(tell_pair(before, after));
    else
      TRY(each_({.path = path_,
                 .kind = in_before ? ChangeKind::kRemoved : ChangeKind::kAdded,
                 .before = in_before ? &before.entry : nullptr,
                 .after = in_after ? &after.entry : nullptr}));
    if (in_before) TRY(before.advance());
    if (in_after) TRY(after.advance());
    return enter(below_before, below_after);
  }

  Result<> tell_pair(const Side& before, const Side& after) {
    Change change{.path = path_, .before = &before.entry, .after = &after.entry};
    change.type = before.entry.type != after.entry.type;
    if (!change.type) {
      change.content = !same_content(reader_, before, after);
      change.metadata = !same_metadata(before.entry, after.entry);
      change.times = before.entry.mtime != after.entry.mtime;
    }
    if (!change.type && !change.content && !change.metadata && !change.times) return {};
    return each_(change);
  }

  vault::ChunkReader& reader_;
  const ChangeVisitor& each_;
  const CancelToken& cancel_;
  std::deque<DiffFrame> frames_;
  HeldPages held_;
  std::string path_;
};

}  // namespace

Result<> diff_snapshots(vault::ChunkReader& reader, const format::SnapshotBody& before,
                        const format::SnapshotBody& after, const ChangeVisitor& each, const CancelToken& cancel,
                        std::uint64_t page_bytes) {
  return Differ(reader, each, cancel, page_bytes).walk(before.root, after.root);
}

}  // namespace coppice::maintenance
