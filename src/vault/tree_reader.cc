// Walking trees. Every page was authenticated and its id recomputed before it comes here, so what is checked is that a
// writer with a valid key (and a bug, or bad intent) cannot lead a reader astray: order, bounds, kinds of pages, depth.

#include <fmt/format.h>

#include <algorithm>

#include "vault/reader.h"

namespace coppice::vault {
namespace {

using format::ChunkRef;

std::string name_page(const ChunkRef& ref) {
  return fmt::format("{} block {} chunk {}", format::pack_object(ref.birth.pack), ref.birth.ordinal, ref.index);
}

std::unexpected<Error> bad_page(const ChunkRef& page, std::string_view rule) {
  return fail(ErrorKind::kCorrupt, fmt::format("{}: {}", name_page(page), rule));
}

Result<ChunkReader::Chunk> read_page(ChunkReader& reader, const ChunkRef& page) {
  if (page.birth.pack.kind != format::PackKind::kTree)
    return bad_page(page, "a tree page is said to lie in a data pack");
  return reader.chunk(page);
}

// The slices of one page against its chunk table; adds their lengths to `total`.
Result<> give_slices(const std::vector<format::Slice>& slices, const std::vector<ChunkRef>& chunks,
                     const SliceVisitor& each, std::uint64_t& total) {
  for (const format::Slice& slice : slices) {
    const ChunkRef* ref = nullptr;
    if (slice.chunk != format::Slice::kHole) {
      if (slice.chunk >= chunks.size())
        return fail(ErrorKind::kCorrupt, "a slice names a chunk that its page does not have");
      ref = &chunks[slice.chunk];
      if (slice.offset > ref->length || slice.length > ref->length - slice.offset)
        return fail(ErrorKind::kCorrupt, "a slice reaches beyond the end of its chunk");
    }
    if (slice.length > UINT64_MAX - total) return fail(ErrorKind::kCorrupt, "the slices are longer than any file");
    total += slice.length;
    TRY(each(ref, slice));
  }
  return {};
}

}  // namespace

// ---- DirectoryCursor ----

DirectoryCursor::DirectoryCursor(ChunkReader& reader, const ChunkRef& node, PageWatcher watcher)
    : reader_(reader), watcher_(std::move(watcher)), node_(node), page_(node) {}

Result<> DirectoryCursor::open_page(const std::string* first_name) {
  const ChunkReader::Chunk chunk = TRY(read_page(reader_, page_));
  const format::PageKind kind = TRY(within(format::page_kind(chunk.bytes), name_page(page_)));
  if (kind == format::PageKind::kLeaf) {
    leaf_bytes_ = to_bytes(chunk.bytes);  // a copy: holding the block would hold megabytes for every level of a walk
    leaf_ = TRY(within(format::LeafReader::open(leaf_bytes_), name_page(page_)));
    any_in_leaf_ = false;
    expected_first_.reset();
    if (first_name) expected_first_ = *first_name;
    if (watcher_) watcher_(page_, leaf_->chunks());
    return {};
  }
  if (kind != format::PageKind::kIndex)
    return bad_page(page_, "a page of file extents stands where a directory should");
  if (levels_.size() >= format::kIndexPageDepthMax) return bad_page(page_, "index pages are nested too deep");
  Level level{.pages = TRY(within(format::decode_index_page_entries(chunk.bytes), name_page(page_)))};
  if (level.pages.empty()) return bad_page(page_, "an index page is empty");
  if (first_name && level.pages.front().first_name != *first_name)
    return bad_page(page_, "an index page does not begin with the name that the page above it says");
  for (std::size_t i = 1; i < level.pages.size(); ++i)
    if (level.pages[i].first_name <= level.pages[i - 1].first_name)
      return bad_page(page_, "the names of an index page do not ascend");
  if (watcher_) {
    std::vector<ChunkRef> below;
    below.reserve(level.pages.size());
    for (const format::IndexPageEntry& entry : level.pages) below.push_back(entry.page);
    watcher_(page_, below);
  }
  if (resume_at_) {   // the page that has the name, not all those before it
    const auto above = std::ranges::upper_bound(level.pages, *resume_at_, {}, &format::IndexPageEntry::first_name);
    level.next = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - level.pages.begin(), 1) - 1);
  }
  levels_.push_back(std::move(level));
  return {};
}

// Opens pages downwards until a leaf is open. False when there is none left.
Result<bool> DirectoryCursor::open_next_page() {
  while (!leaf_) {
    if (!begun_) {
      begun_ = true;
      TRY(open_page(nullptr));
      continue;
    }
    while (!levels_.empty() && levels_.back().next == levels_.back().pages.size()) levels_.pop_back();
    if (levels_.empty()) return false;
    const format::IndexPageEntry& below = levels_.back().pages[levels_.back().next++];
    page_ = below.page;
    const std::string first_name = below.first_name;  // open_page may move the level that holds it
    TRY(open_page(&first_name));
  }
  return true;
}

Result<bool> DirectoryCursor::next_in_leaf(format::Entry& entry) {
  if (!TRY(within(leaf_->next(entry), name_page(page_)))) {
    if (!any_in_leaf_ && (expected_first_ || !levels_.empty()))
      return bad_page(page_, "a page of a huge directory is empty");
    return false;
  }
  if (expected_first_) {
    if (entry.name != *expected_first_)
      return bad_page(page_, "a page does not begin with the name that its index says");
    expected_first_.reset();
  }
  if (!any_in_leaf_ && any_name_ && entry.name <= last_name_)
    return bad_page(page_, "names do not ascend from page to page");
  any_in_leaf_ = any_name_ = true;
  last_name_ = entry.name;
  return true;
}

Result<bool> DirectoryCursor::next(format::Entry& entry) {
  while (TRY(open_next_page())) {
    Result<bool> found = next_in_leaf(entry);
    if (found && *found) {
      if (resume_at_ && (entry.name < *resume_at_ || (skip_resumed_ && entry.name == *resume_at_))) continue;
      resume_at_.reset();
      return true;
    }
    leaf_.reset();
    if (!found) return found;
  }
  return false;
}

std::uint64_t DirectoryCursor::held_bytes() const {
  std::uint64_t bytes = 0;
  if (leaf_) bytes += leaf_bytes_.size() + leaf_->chunks().size() * sizeof(ChunkRef);
  for (const Level& level : levels_) bytes += level.pages.size() * (sizeof(format::IndexPageEntry) + 32);   // and a name
  return bytes;
}

void DirectoryCursor::let_go(Resume resume) {
  if (any_name_) {
    resume_at_ = std::move(last_name_);
    skip_resumed_ = resume == Resume::kNextEntry;
  }
  leaf_.reset();
  Bytes().swap(leaf_bytes_);
  std::vector<Level>().swap(levels_);
  expected_first_.reset();
  any_name_ = any_in_leaf_ = begun_ = false;
  page_ = node_;
}

// ---- functions ----

Result<> read_directory(ChunkReader& reader, const ChunkRef& node, const EntryVisitor& each) {
  DirectoryCursor cursor(reader, node);
  format::Entry entry;
  while (TRY(cursor.next(entry))) TRY(each(entry, cursor.chunks()));
  return {};
}

Result<> read_slices(ChunkReader& reader, const format::Entry& entry, const std::vector<ChunkRef>& chunks,
                     const SliceVisitor& each) {
  std::uint64_t total = 0;
  if (entry.extents.empty()) {
    TRY(give_slices(entry.slices, chunks, each, total));
  } else {
    for (const ChunkRef& ref : entry.extents) {
      format::ExtentPage page;
      {
        const ChunkReader::Chunk chunk = TRY(read_page(reader, ref));
        page = TRY(within(format::decode_extent_page(chunk.bytes), name_page(ref)));
      }
      TRY(give_slices(page.slices, page.chunks, each, total));
    }
  }
  if (total != entry.size && !(entry.marks & format::kMarkUnreadable))
    return fail(ErrorKind::kCorrupt,
                fmt::format("the slices of the file are {} bytes together, the file is {}", total, entry.size));
  return {};
}

namespace {

// The entry called `name` in the directory `node`, reading only the pages that may hold it.
Result<std::optional<FoundEntry>> find_in_directory(ChunkReader& reader, ChunkRef node, std::string_view name) {
  for (std::uint32_t depth = 0; depth <= format::kIndexPageDepthMax; ++depth) {
    const ChunkReader::Chunk chunk = TRY(read_page(reader, node));
    const format::PageKind kind = TRY(within(format::page_kind(chunk.bytes), name_page(node)));
    if (kind == format::PageKind::kIndex) {
      const auto pages = TRY(within(format::decode_index_page_entries(chunk.bytes), name_page(node)));
      const auto above = std::ranges::upper_bound(
          pages, name, {}, [](const format::IndexPageEntry& entry) { return std::string_view(entry.first_name); });
      if (above == pages.begin()) return std::nullopt;
      node = std::prev(above)->page;
      continue;
    }
    if (kind != format::PageKind::kLeaf)
      return bad_page(node, "a page of file extents stands where a directory should");
    format::LeafReader leaf = TRY(within(format::LeafReader::open(chunk.bytes), name_page(node)));
    FoundEntry found;
    while (TRY(within(leaf.next(found.entry), name_page(node)))) {
      if (found.entry.name == name) {
        found.chunks = leaf.chunks();
        return found;
      }
      if (found.entry.name > name) break;
    }
    return std::nullopt;
  }
  return bad_page(node, "index pages are nested too deep");
}

}  // namespace

Result<FoundEntry> find_entry(ChunkReader& reader, const format::SnapshotBody& body, std::string_view path) {
  FoundEntry found;
  found.entry.type = format::EntryType::kDirectory;
  found.entry.mode = 0755;
  found.entry.child = body.root;
  std::string walked;
  while (true) {
    const std::size_t begin = path.find_first_not_of('/');
    if (begin == std::string_view::npos) return found;
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    path = path.substr(end);
    if (found.entry.type != format::EntryType::kDirectory)
      return fail(ErrorKind::kNotFound, fmt::format("{} is no directory in this snapshot", walked));
    walked += '/';
    walked += name;
    std::optional<FoundEntry> next;
    if (found.entry.child) next = TRY(find_in_directory(reader, *found.entry.child, name));
    if (!next) return fail(ErrorKind::kNotFound, fmt::format("{} is not in this snapshot", walked));
    found = std::move(*next);
  }
}

}  // namespace coppice::vault
