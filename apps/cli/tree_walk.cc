#include "cli.h"

#include "tree_walk.h"

#include "foundation/encoding.h"
#include "foundation/time.h"

namespace coppice::cli {

namespace {
// A page is valid only while it is being visited, and a directory's entries come before what is below its first
// subdirectory is read: so a directory is gone through in runs, each ending with the next subdirectory to go into.
// Entries after it are met again, by skipping.
//
// Reading a page anew costs a look into the block cache; keeping all subdirectories of a huge directory would cost
// memory without bound.
struct Level {
  format::ChunkRef node;
  std::uint64_t done = 0;      // entries already visited
  std::size_t path_bytes = 0;  // of the directory's own path
};

// Ends a visit early; never seen outside.
constexpr std::string_view kPause = "pause";
}  // namespace

Result<> walk_tree(vault::ChunkReader& reader, const format::Entry& directory, const std::string& base,
                   const WalkVisitor& visit) {
  if (!directory.child) return {};
  std::string path = base == "/" ? "" : base;
  std::vector<Level> levels{{*directory.child, 0, path.size()}};
  while (!levels.empty()) {
    Level& level = levels.back();
    path.resize(level.path_bytes);
    std::uint64_t at = 0;
    std::optional<format::ChunkRef> below;
    auto read = vault::read_directory(
        reader, level.node, [&](const format::Entry& entry, const std::vector<format::ChunkRef>&) -> Result<> {
          if (at++ < level.done) return {};
          ++level.done;
          path.resize(level.path_bytes);
          path.append("/").append(entry.name);
          const Descend descend = TRY(visit(path, entry));
          if (descend == Descend::kYes && entry.type == format::EntryType::kDirectory && entry.child) {
            below = *entry.child;
            return fail(ErrorKind::kCancelled, std::string(kPause));
          }
          return {};
        });
    if (below) {
      if (levels.size() >= format::kTreeDepthMax)
        return fail(ErrorKind::kCorrupt, "the tree is deeper than a tree can be");
      levels.push_back({*below, 0, path.size()});
    } else if (!read) {
      return within(std::move(read), level.path_bytes == 0 ? "/" : render_printable(path.substr(0, level.path_bytes)));
    } else {
      levels.pop_back();
    }
  }
  return {};
}

std::string render_long(const format::Entry& entry) {
  constexpr std::string_view kTypes = "?-dlcbps";
  const auto bit = [&](std::uint32_t mask, char letter) { return (entry.mode & mask) != 0 ? letter : '-'; };
  std::string mode(1, kTypes[static_cast<std::size_t>(entry.type)]);
  for (int shift = 6; shift >= 0; shift -= 3) {
    mode.push_back(bit(4u << shift, 'r'));
    mode.push_back(bit(2u << shift, 'w'));
    const std::uint32_t special = shift == 6 ? 04000u : shift == 3 ? 02000u : 01000u;
    const char letter = shift == 0 ? 't' : 's';
    const bool execute = (entry.mode & (1u << shift)) != 0;
    if ((entry.mode & special) != 0)
      mode.push_back(execute ? letter : static_cast<char>(letter - 'a' + 'A'));
    else
      mode.push_back(execute ? 'x' : '-');
  }
  const auto owner = [](const std::string& name, std::uint32_t id) {
    return name.empty() ? fmt::format("{}", id) : shown(name);
  };
  std::string size = "-";
  if (entry.type == format::EntryType::kFile) size = tasks::render_size(entry.size);
  return fmt::format("{}  {:<8} {:<8} {:>8}  {}  ", mode, owner(entry.owner.user, entry.owner.uid),
                     owner(entry.owner.group, entry.owner.gid), size, render_local(entry.mtime));
}

}  // namespace coppice::cli
