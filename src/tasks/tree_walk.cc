#include "tasks/tree_walk.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "foundation/encoding.h"

namespace coppice::tasks {

namespace {
// A directory being read, and what its open pages take: the largest leaf and an index page of that size.
struct Reading {
  Reading(vault::ChunkReader& reader, const format::ChunkRef& node)
      : cursor(reader, node, [this](const format::ChunkRef& page, const std::vector<format::ChunkRef>& refers_to) {
          bytes = std::max(bytes, 2 * (page.length + refers_to.size() * sizeof(format::ChunkRef)));
        }) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  std::size_t bytes = 0;
  vault::DirectoryCursor cursor;
};

// One directory on the way down. Without `reading` it was closed to make room: it goes on behind the name after which
// it was left.
struct Level {
  format::ChunkRef node;
  std::size_t path_bytes = 0;  // of the directory's own path
  std::unique_ptr<Reading> reading;
  std::size_t held = 0;
};

class Walk {
 public:
  Walk(vault::ChunkReader& reader, const WalkVisitor& visit, std::size_t bytes_max)
      : reader_(reader), visit_(visit), bytes_max_(bytes_max) {}

  Result<> run(const format::ChunkRef& root, const std::string& base) {
    path_ = base == "/" ? "" : base;
    enter(root);
    while (!levels_.empty()) {
      Level& level = levels_.back();
      const std::size_t path_bytes = level.path_bytes;
      const auto more = one_entry(level);
      if (!more) {
        const std::string_view at = std::string_view(path_).substr(0, path_bytes);
        return std::unexpected(more.error().within(at.empty() ? "/" : render_printable(at)));
      }
      if (*more) continue;
      held_ -= level.held;
      levels_.pop_back();
      if (first_open_ > levels_.size()) first_open_ = levels_.size();
    }
    return {};
  }

 private:
  void enter(const format::ChunkRef& node) {
    levels_.push_back({.node = node, .path_bytes = path_.size(), .reading = std::make_unique<Reading>(reader_, node)});
  }

  // One entry of the innermost directory. False at its end.
  Result<bool> one_entry(Level& level) {
    if (!level.reading) TRY(reopen(level));
    if (!TRY(level.reading->cursor.next(entry_))) return false;
    weigh(level);
    path_.resize(level.path_bytes);
    path_.append("/").append(entry_.name);
    const Descend descend = TRY(visit_(path_, entry_));
    if (descend == Descend::kNo || entry_.type != format::EntryType::kDirectory || !entry_.child) return true;
    if (levels_.size() >= format::kTreeDepthMax)
      return fail(ErrorKind::kCorrupt, "the tree is deeper than a tree can be");
    enter(*entry_.child);
    make_room();
    return true;
  }

  void weigh(Level& level) {
    held_ = held_ - level.held + level.reading->bytes;
    level.held = level.reading->bytes;
  }

  // The outermost are closed first: the walk comes back to them last.
  void make_room() {
    for (; held_ > bytes_max_ && first_open_ + 1 < levels_.size(); ++first_open_) {
      Level& level = levels_[first_open_];
      level.reading.reset();
      held_ -= level.held;
      level.held = 0;
    }
  }

  // To behind the subdirectory that was gone into: the path, as it stands, leads through it.
  Result<> reopen(Level& level) {
    const std::size_t begin = level.path_bytes + 1;
    const std::string left_at = path_.substr(begin, path_.find('/', begin) - begin);
    level.reading = std::make_unique<Reading>(reader_, level.node);
    first_open_ = levels_.size() - 1;
    while (TRY(level.reading->cursor.next(entry_))) {
      if (entry_.name == left_at) return {};
    }
    return fail(ErrorKind::kCorrupt, "an entry that was there is gone");
  }

  vault::ChunkReader& reader_;
  const WalkVisitor& visit_;
  const std::size_t bytes_max_;
  std::vector<Level> levels_;
  std::size_t first_open_ = 0;  // levels before it are closed
  std::size_t held_ = 0;
  std::string path_;
  format::Entry entry_;
};
}  // namespace

Result<> walk_tree(vault::ChunkReader& reader, const format::Entry& directory, const std::string& path,
                   const WalkVisitor& visit, std::size_t bytes_max) {
  if (!directory.child) return {};
  return Walk(reader, visit, bytes_max).run(*directory.child, path);
}

}  // namespace coppice::tasks
