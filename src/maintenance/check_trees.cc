// Trees: many snapshots walked at once.
//
// Neighbouring snapshots share nearly all of their nodes. At every path the snapshots are grouped by the node that they
// have there; a node is opened once for its group, and every chunk that it names is looked up in the reference lists of
// all snapshots of the group together (a bit for each). So a thousand snapshots of a tree cost what their differences
// cost, and still each of them is checked whole. Nothing that was visited needs to be remembered for that; a small
// table that forgets saves walking the same node again where it hangs at several paths.
//
// The stack is on the heap: a hostile tree may be 65,536 levels deep. And it may hang a node twice below each of a thousand others, which
// makes 2^1000 paths of a thousand nodes: the walk counts its different nodes, and ends when it has entered many times as many.

#include <fmt/format.h>

#include <deque>

#include "check_internal.h"
#include "distinct_count.h"
#include "held_pages.h"

namespace coppice::maintenance {
namespace {

using format::ChunkRef;

// Directories collected from one before walking into them. Beyond that a directory is walked piecemeal, and loses its
// grouping, so that memory stays bounded.
constexpr std::size_t kChildrenMax = 8192, kChildrenMaxDeep = 32, kDeep = 64;
constexpr std::size_t kVisitedSlots = 1u << 16;

// A file system that is mounted at several places gives the same nodes again and again; but not like this.
constexpr std::uint64_t kEnteredPerNodeMax = 64, kEnteredAtLeast = 1u << 16;

struct Group {
  ChunkRef node;
  Mask mask;
};
struct Child {
  std::string name;
  Group group;
};

// One directory path on the way: the different nodes that the snapshots have there.
struct CheckFrame {
  std::size_t path_bytes = 0;
  std::vector<Group> groups;
  std::size_t group = 0;
  std::optional<vault::DirectoryCursor> cursor;         // of groups[group], when begun
  std::vector<std::optional<Findings::Id>> bad_chunks;  // of the open page's chunk table; empty: none is bad
  std::vector<Child> children;
  std::size_t child = 0;
};

class TreeWalk {
 public:
  TreeWalk(CheckRun& run, const Part& part, const TreeBatch& batch)
      : run_(run), part_(part), batch_(batch), any_bad_(run.findings.any_bad_block()), visited_(kVisitedSlots),
        held_(std::min(kHeldPageBytesMax, run.options.memory_bytes / 8)),
        nodes_(random_seed(run)) {}

  // False: given up.
  Result<bool> walk() {
    CheckFrame& root = frames_.emplace_back();
    for (unsigned i = 0; i < batch_.roots.size(); ++i) {
      if (!batch_.roots[i]) continue;
      auto it = std::ranges::find_if(root.groups, [&](const Group& group) { return group.node == *batch_.roots[i]; });
      if (it == root.groups.end()) it = root.groups.insert(it, Group{*batch_.roots[i], {}});
      it->mask.set(i);
    }
    while (!frames_.empty()) {
      CheckFrame& frame = frames_.back();
      path_.resize(frame.path_bytes);
      held_.come_back(frames_.size() - 1);
      if (frame.child < frame.children.size()) {
        descend(frame);
      } else if (frame.group < frame.groups.size()) {
        TRY(run_.go_on());
        if (enters_without_end()) return false;
        collect(frame);
      } else {
        frames_.pop_back();
      }
    }
    return true;
  }

 private:
  bool enters_without_end() {
    if (entered_ < entered_max_) return false;
    entered_max_ = std::max(kEnteredAtLeast, kEnteredPerNodeMax * nodes_.estimate());
    return entered_ >= entered_max_;
  }

  // Into the next child; all that bear its name go together.
  void descend(CheckFrame& frame) {
    const std::string& name = frame.children[frame.child].name;
    if (frames_.size() > format::kTreeDepthMax) {
      run_.damage(format::list_object(batch_.list_roots[0]), ErrorKind::kCorrupt,
                  "a tree is deeper than any tree may be");
      frame.child = frame.children.size();
      return;
    }
    path_ += '/';
    path_ += name;
    std::vector<Group> groups;
    std::size_t end = frame.child;
    while (end < frame.children.size() && frame.children[end].name == name)
      groups.push_back(frame.children[end++].group);
    frame.child = end;
    held_.go_below(frames_.size() - 1, frame.cursor ? frame.cursor->held_bytes() : 0,
                   [this](std::size_t depth) { frames_[depth].cursor->let_go(vault::DirectoryCursor::Resume::kNextEntry); });
    CheckFrame& below = frames_.emplace_back();  // a deque: `frame` stays where it is
    below.path_bytes = path_.size();
    below.groups = std::move(groups);
  }

  // Reads on in the directory until all its nodes are read or enough children are there.
  void collect(CheckFrame& frame) {
    frame.children.clear();
    frame.child = 0;
    const std::size_t children_max = frames_.size() < kDeep ? kChildrenMax : kChildrenMaxDeep;
    while (frame.group < frame.groups.size() && frame.children.size() < children_max) {
      const Group& group = frame.groups[frame.group];
      if (!frame.cursor) {
        if (was_visited(group)) {
          ++frame.group;
          continue;
        }
        ++entered_;
        nodes_.add(group.node.id.bytes);
        frame.bad_chunks.clear();
        look_up(group.node, group.mask);
        frame.cursor.emplace(*run_.reader, group.node,
                             [this, &frame](const ChunkRef& page, const std::vector<ChunkRef>& refers_to) {
                               see_page(frame, page, refers_to);
                             });
      }
      const Result<bool> more = frame.cursor->next(entry_);
      if (!more) {
        bad_page(frame.cursor->page(), more.error(), group.mask);
      } else if (*more) {
        see_entry(frame, group.mask);
      } else {
        frame.cursor.reset();
        ++frame.group;
      }
    }
    merge_children(frame);
  }

  static void merge_children(CheckFrame& frame) {
    if (frame.groups.size() == 1) return;  // in order already, each name once
    std::ranges::sort(frame.children, [](const Child& a, const Child& b) {
      return std::tie(a.name, a.group.node) < std::tie(b.name, b.group.node);
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < frame.children.size(); ++i) {
      if (kept > 0 && frame.children[kept - 1].name == frame.children[i].name &&
          frame.children[kept - 1].group.node == frame.children[i].group.node) {
        frame.children[kept - 1].group.mask |= frame.children[i].group.mask;
        continue;
      }
      if (kept != i) frame.children[kept] = std::move(frame.children[i]);
      ++kept;
    }
    frame.children.resize(kept);
  }

  void see_page(CheckFrame& frame, const ChunkRef& page, const std::vector<ChunkRef>& refers_to) {
    run_.progress.tree_pages += 1;
    if (part_.index == 0) run_.report.tree_pages += 1;
    frame.bad_chunks.clear();
    const Mask& mask = frame.groups[frame.group].mask;
    for (std::size_t i = 0; i < refers_to.size(); ++i) {
      const auto bad = judge(page, refers_to[i], mask);
      if (!bad) continue;
      frame.bad_chunks.resize(refers_to.size());
      frame.bad_chunks[i] = bad;
    }
  }

  void see_entry(CheckFrame& frame, const Mask& mask) {
    if (part_.index == 0) run_.report.tree_entries += 1;
    if (entry_.type == format::EntryType::kDirectory) {
      if (entry_.child) frame.children.push_back({entry_.name, {*entry_.child, mask}});
      return;
    }
    if (!frame.bad_chunks.empty()) {
      const auto told = told_;
      for (const format::Slice& slice : entry_.slices)
        if (slice.chunk < frame.bad_chunks.size() && frame.bad_chunks[slice.chunk])
          tell_file(*frame.bad_chunks[slice.chunk], mask);
      if (told != told_) last_told_.reset();
    }
    if (!entry_.extents.empty()) see_extents(mask);
  }

  // The pages that hold a huge file's slices.
  void see_extents(const Mask& mask) {
    std::uint64_t bytes = 0;
    bool whole = true;
    for (const ChunkRef& ref : entry_.extents) {
      look_up(ref, mask);
      const auto read = [&]() -> Result<> {
        const auto chunk = TRY(run_.reader->chunk(ref));
        const format::ExtentPage page = TRY(format::decode_extent_page(chunk.bytes));
        for (const ChunkRef& data : page.chunks)
          if (const auto bad = judge(ref, data, mask)) tell_file(*bad, mask);
        for (const format::Slice& slice : page.slices) bytes += slice.length;
        return {};
      };
      if (const Result<> done = read(); !done) {
        whole = false;
        if (const auto finding = run_.findings.add_block(ref.birth, done.error())) tell_file(*finding, mask);
        any_bad_ = true;
      }
    }
    last_told_.reset();
    if (whole && bytes != entry_.size)
      if (const auto finding = run_.findings.add_block(
              entry_.extents.front().birth,
              Error(ErrorKind::kCorrupt,
                    fmt::format("the slices of a file are {} bytes together, the file is {}", bytes, entry_.size))))
        tell_file(*finding, mask);
  }

  // Checks that the lists of all snapshots in `mask` name the chunk's block. The finding that makes it unreadable, if
  // there is one.
  std::optional<Findings::Id> look_up(const ChunkRef& ref, const Mask& mask) {
    if (part_.covers(ref.birth.pack)) {
      if (!(memo_birth_ == ref.birth)) {
        memo_birth_ = ref.birth;
        memo_mask_ = batch_.lists.find(ref.birth);
        memo_mask_ |= batch_.incomplete;
      }
      if (!memo_mask_.contains(mask)) [[unlikely]]
        not_listed(ref.birth, mask - memo_mask_);
    }
    if (!any_bad_) return std::nullopt;
    return run_.findings.of(ref.birth);
  }

  // The finding about a chunk that `page` names: by the lists and packs, then by what its block held.
  std::optional<Findings::Id> judge(const ChunkRef& page, const ChunkRef& ref, const Mask& mask) {
    if (const auto bad = look_up(ref, mask)) return bad;
    return compare(page, ref, mask);
  }

  // What `page` says of a chunk against what its block held when it was read. The finding when it is something else.
  std::optional<Findings::Id> compare(const ChunkRef& page, const ChunkRef& ref, const Mask& mask) {
    if (!part_.covers(ref.birth.pack)) return std::nullopt;
    const PackTable::Row* pack = batch_.table.find(ref.birth.pack);
    if (!pack || !pack->seen || batch_.seen.contains(ref)) return std::nullopt;
    any_bad_ = true;
    if (const auto known = run_.findings.of(ref.birth)) return known;   // the block is bad, or not there
    const auto finding = run_.findings.add_block(
        page.birth, Error(ErrorKind::kCorrupt, fmt::format("a page of a tree says that chunk {} of {} block {} is one that is not there", ref.index,
                                                           format::pack_object(ref.birth.pack), ref.birth.ordinal)));
    if (finding) touch_snapshots(*finding, mask);
    return finding;
  }

  void not_listed(const format::Birth& birth, const Mask& missing) {
    missing.each([&](unsigned bit) {
      const auto finding = run_.damage(format::list_object(batch_.list_roots[bit]), ErrorKind::kCorrupt,
                                       fmt::format("the reference list of {} does not name {} block {}, which its tree "
                                                   "uses: reclaim would take it for garbage",
                                                   format::snapshot_object(batch_.notes[bit].session),
                                                   format::pack_object(birth.pack), birth.ordinal));
      if (!finding) return;
      run_.findings.touch_snapshot(*finding, batch_.notes[bit].session);
      run_.findings.touch_file(*finding, path_ + "/");
    });
  }

  void touch_snapshots(Findings::Id finding, const Mask& mask) {
    mask.each([&](unsigned bit) { run_.findings.touch_snapshot(finding, batch_.notes[bit].session); });
  }

  // The file in entry_; once for each finding, however many of its slices are hit.
  void tell_file(Findings::Id finding, const Mask& mask) {
    if (last_told_ == finding) return;
    last_told_ = finding;
    ++told_;
    run_.findings.touch_file(finding, path_ + "/" + entry_.name);
    touch_snapshots(finding, mask);
  }

  void bad_page(const ChunkRef& page, const Error& error, const Mask& mask) {
    any_bad_ = true;
    const auto finding = run_.findings.add_block(page.birth, error);
    if (!finding) return;
    run_.findings.touch_file(*finding, path_ + "/");
    touch_snapshots(*finding, mask);
  }

  // True when this node was walked before for all these snapshots. Not asked once there is damage: then every path
  // counts.
  bool was_visited(const Group& group) {
    if (any_bad_) return false;
    Visited& slot = visited_[load_le<std::uint32_t>(group.node.id.bytes) % kVisitedSlots];
    if (slot.node == group.node) {
      if (slot.mask.contains(group.mask)) return true;
      slot.mask |= group.mask;
    } else {
      slot = {group.node, group.mask};
    }
    return false;
  }

  struct Visited {
    ChunkRef node;
    Mask mask;
  };

  CheckRun& run_;
  const Part& part_;
  const TreeBatch& batch_;
  bool any_bad_;
  std::vector<Visited> visited_;
  HeldPages held_;
  DistinctCount nodes_;
  std::uint64_t entered_ = 0, entered_max_ = kEnteredAtLeast;
  std::deque<CheckFrame> frames_;
  std::string path_;
  format::Entry entry_;
  std::optional<format::Birth> memo_birth_;
  Mask memo_mask_;
  std::optional<Findings::Id> last_told_;
  std::uint64_t told_ = 0;
};

}  // namespace

Result<bool> check_trees(CheckRun& run, const Part& part, const TreeBatch& batch) {
  return TreeWalk(run, part, batch).walk();
}

}  // namespace coppice::maintenance
