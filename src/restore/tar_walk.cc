#include "tar_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace coppice::restore {
namespace {

constexpr std::size_t kTarChildrenPerBatch = 4096;
constexpr std::size_t kRegionsMax = 65536;

}  // namespace

Result<> TarWalk::push(StreamItem item) {
  if (!queue_.push(std::move(item))) return fail(ErrorKind::kCancelled, "stopped");
  return {};
}

void TarWalk::join(const std::string& name) {
  if (!path_.empty()) path_ += '/';
  path_ += name;
}

Result<> TarWalk::directory(const std::optional<format::Entry>& self, const std::optional<format::ChunkRef>& node) {
  if (self) TRY(push(StreamEntry{.path = ".", .entry = *self}));
  stack_.push_back({.node = node});
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    if (frame.first_pass || (frame.next == frame.children.size() && frame.more)) {
      TRY(read(frame));
      continue;
    }
    if (frame.next == frame.children.size()) {
      stack_.pop_back();
      path_.resize(stack_.empty() ? 0 : stack_.back().path_bytes);
      continue;
    }
    format::Entry child = std::move(frame.children[frame.next++]);
    join(child.name);
    const auto below = child.child;
    const std::uint32_t mount = child.marks & format::kMarkMountPoint ? ++mounts_ : frame.mount;
    TRY(push(StreamEntry{.path = path_, .entry = std::move(child)}));
    if (stack_.size() > format::kTreeDepthMax)
      return fail(ErrorKind::kCorrupt, "the tree is deeper than a snapshot may be");
    Frame next{.node = below, .path_bytes = path_.size(), .mount = mount};
    stack_.push_back(std::move(next));
  }
  return {};
}

Result<> TarWalk::read(Frame& frame) {
  const bool first = std::exchange(frame.first_pass, false);
  frame.more = false;
  frame.children.clear();
  frame.next = 0;
  if (!frame.node) return {};
  const std::string resume_after = frame.resume_after;
  vault::DirectoryCursor cursor(reader_, *frame.node);
  format::Entry e;
  std::optional<Error> bad;
  bool any = false;
  while (true) {
    const Result<bool> got = cursor.next(e);
    if (!got && !bad) bad = got.error();
    if (!got) continue;  // behind the page
    if (!*got) break;
    any = true;
    if (e.type != format::EntryType::kDirectory) {
      if (first) TRY(entry(e, cursor.chunks()));
    } else if (first || e.name > resume_after) {
      frame.more = frame.children.size() >= kTarChildrenPerBatch;
      if (frame.more && !first) break;
      if (frame.more) continue;  // the files behind it are wanted still
      frame.resume_after = e.name;
      frame.children.push_back(e);
    }
  }
  if (!bad || bad->message() == frame.told) return {};
  if (first && !any && stack_.size() == 1) return std::unexpected<Error>(std::move(*bad));
  frame.told = bad->message();
  return push(StreamProblem{path_, fmt::format("{}the list of this directory cannot be read from the vault: {}",
                                               any || !first ? "a part of " : "", frame.told)});
}

// The path of the first name of this inode, when this is a later one.
std::string TarWalk::link_target(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  if (!may_be_linked(entry)) return {};
  InodeKey key = inode_key(entry, chunks);
  if (!stack_.empty()) key.mount = stack_.back().mount;
  if (const auto it = links_.find(key); it != links_.end()) {
    if (!same_bytes(reader_, it->second.content, grouped_bytes(entry, chunks))) return {};
    std::string first = it->second.path;
    if (--it->second.left == 0) {
      links_bytes_ -= first.size() + sizeof(First);
      links_.erase(it);
    }
    return first;
  }
  // Past the bound a further inode's names are files of their own: larger, and right.
  if (links_bytes_ < kLinksBytesMax) {
    links_.emplace(key, First{path_, entry.links - 1, grouped_bytes(entry, chunks)});
    links_bytes_ += path_.size() + sizeof(First);
  }
  return {};
}

// Past the bound the rest of the file counts as data: larger, and right.
void TarWalk::find_regions(StreamEntry& item, const std::vector<format::ChunkRef>& chunks) {
  std::uint64_t at = 0;
  const auto found = vault::read_slices(
      reader_, item.entry, chunks, [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
        const std::uint64_t begin = std::exchange(at, at + slice.length);
        if (!ref) {
          item.sparse = true;
        } else if (!item.regions.empty() && (item.regions.size() >= kRegionsMax ||
                                             item.regions.back().at + item.regions.back().length == begin)) {
          item.regions.back().length = at - item.regions.back().at;
        } else {
          item.regions.push_back({begin, slice.length});
        }
        return {};
      });
  if (!found || at != item.entry.size) item.sparse = false;  // the content's own pass tells of it
  if (!item.sparse) item.regions = {};
}

Result<> TarWalk::entry(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  const std::size_t before = path_.size();
  join(entry.name);
  StreamEntry item{.path = path_, .link_to = link_target(entry, chunks), .entry = entry};
  path_.resize(before);
  const bool content = entry.type == format::EntryType::kFile && item.link_to.empty();
  const bool may_be_sparse =
      !entry.extents.empty() || std::any_of(entry.slices.begin(), entry.slices.end(), [](const format::Slice& slice) {
        return slice.chunk == format::Slice::kHole;
      });
  if (content && may_be_sparse) find_regions(item, chunks);
  item.entry.slices.clear();
  item.entry.extents.clear();
  const std::string path = item.path;
  TRY(push(std::move(item)));
  if (!content) return {};
  auto result = stream_content(reader_, prefetcher_, queue_, entry, chunks);
  if (!result && result.error().kind() != ErrorKind::kCancelled)
    return push(StreamProblem{path, result.error().message()});
  return result;
}

}  // namespace coppice::restore
