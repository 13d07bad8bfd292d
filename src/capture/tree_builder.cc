#include "tree_builder.h"

#include <algorithm>

#include "foundation/check.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kIndexPageEntriesMax = 1024;
constexpr std::size_t kElementsWaitingMax = 4096;

}  // namespace

Result<> TreeBuilder::finish(std::unique_ptr<DirectoryBuild> directory) {
  directory->finished_ = true;
  queue_.push_back(std::move(directory));
  return advance();
}

Result<> TreeBuilder::advance() {
  while (!queue_.empty()) {
    if (!TRY(encode(*queue_.front()))) return {};
    queue_.pop_front();
  }
  return {};
}

Result<> TreeBuilder::relieve(DirectoryBuild& d) {
  if (d.elements_.size() < kElementsWaitingMax) return {};
  TRY(advance());
  TRY(encode(d));
  return {};
}

// The state has this directory and nothing in or below it changed: its pages are in the vault, only their chunks must be told.
Result<bool> TreeBuilder::reuse(DirectoryBuild& d) {
  for (const format::ChunkRef& page : d.old_->pages) writer_.refer(page);
  Bytes page;
  for (const DirectoryRecord::Leaf& leaf : d.old_->leaves) {
    page.resize(leaf.bytes);
    TRY(old_state_->read(leaf.offset, page));
    const format::LeafReader reader = TRY(format::LeafReader::open(page));
    for (const format::ChunkRef& chunk : reader.chunks()) writer_.refer(chunk);
  }
  for (const ExtentReferences& file : d.old_->extents)
    for (const format::Birth& birth : file.births) writer_.refer({.id = {}, .birth = birth});
  DirectoryBuild::Child& out = d.slot_ ? *d.slot_ : root_;
  out.node = d.old_->node;
  out.record = d.old_record_;
  out.unchanged = true;
  out.done = true;
  return true;
}

Result<bool> TreeBuilder::encode(DirectoryBuild& d) {
  if (d.same_ && !d.started_) {
    for (const auto& child : d.children_)
      if (!child.done) return false;
    if (std::ranges::all_of(d.children_, [](const auto& c) { return c.unchanged; })) return reuse(d);
    d.elements_.push_back({.old_count = UINT64_MAX});
  }
  if (!d.started_) {
    d.started_ = true;
    d.old_entries_ = std::make_unique<OldEntries>(old_state_, d.old_.get());
    d.old_front_ = TRY(d.old_entries_->next());
    if (spare_leaves_.empty()) {
      d.leaf_ = std::make_unique<format::LeafBuilder>();
    } else {
      d.leaf_ = std::move(spare_leaves_.back());
      spare_leaves_.pop_back();
    }
  }
  while (!d.elements_.empty()) {
    DirectoryBuild::Element& element = d.elements_.front();
    if (element.old_count > 0) {
      while (element.old_count > 0 && d.old_front_) {
        if (!TRY(encode_old(d))) return false;
        --element.old_count;
      }
    } else if (element.old_by_name) {
      while (d.old_front_ && d.old_front_->name < element.entry.name) d.old_front_ = TRY(d.old_entries_->next());
      if (!d.old_front_ || d.old_front_->name != element.entry.name) return fail(ErrorKind::kCorrupt, "the source state changed while it was read");
      if (!TRY(encode_old(d))) return false;
    } else {
      format::Entry& entry = element.entry;
      if (!element.content.ready()) return false;
      if (entry.type == format::EntryType::kDirectory && d.next_child_ < d.children_.size() && d.children_[d.next_child_].name == entry.name) {
        const DirectoryBuild::Child& child = d.children_[d.next_child_];
        if (!child.done) return false;
        ++d.next_child_;
        entry.child = child.node;
        d.record_.children.push_back(child.record);
        if (child.unchanged && new_state_) d.record_.children.back() = TRY(copy_subtree(child.record));
      } else if (entry.type == format::EntryType::kDirectory) {
        d.record_.children.push_back(0);
      }
      for (const Part& part : element.content.parts) {
        format::Slice slice{.chunk = format::Slice::kHole, .offset = part.offset, .length = part.length};
        if (part.ticket) slice.chunk = d.leaf_->add_chunk(part.ticket->ref());
        entry.slices.push_back(slice);
      }
      entry.extents = std::move(element.content.extents);
      if (!entry.extents.empty()) {
        ExtentReferences references{.name = entry.name};
        for (const auto& [pack, set] : element.content.extent_references.packs())
          for (std::uint16_t o = 0; o < format::kPackBlocksMax; ++o)
            if (set[o >> 6] >> (o & 63) & 1) references.births.push_back({.pack = pack, .ordinal = o});
        for (const format::ChunkRef& page : entry.extents) references.births.push_back(page.birth);
        d.record_.extents.push_back(std::move(references));
      }
      TRY(add_entry(d, entry));
    }
    d.elements_.pop_front();
  }
  if (!d.finished_) return true;
  TRY(complete(d));
  return true;
}

// The old entry at the front, its subdirectory put in its new place.
Result<bool> TreeBuilder::encode_old(DirectoryBuild& d) {
  format::Entry entry = *d.old_front_;
  if (entry.type == format::EntryType::kDirectory) {
    if (d.next_child_ < d.children_.size() && d.children_[d.next_child_].name == entry.name) {
      const DirectoryBuild::Child& child = d.children_[d.next_child_];
      if (!child.done) return false;
      ++d.next_child_;
      entry.child = child.node;
      if (child.unreadable) entry.marks |= format::kMarkUnreadable;
      d.record_.children.push_back(child.record);
      if (child.unchanged && new_state_) d.record_.children.back() = TRY(copy_subtree(child.record));
    } else {
      entry.child.reset();
      d.record_.children.push_back(0);
    }
  }
  TRY(add_old_entry(d, std::move(entry), d.old_entries_->chunks()));
  d.old_front_ = TRY(d.old_entries_->next());
  return true;
}

Result<> TreeBuilder::add_old_entry(DirectoryBuild& d, format::Entry entry, const std::vector<format::ChunkRef>& chunks) {
  for (format::Slice& slice : entry.slices)
    if (slice.chunk != format::Slice::kHole) slice.chunk = d.leaf_->add_chunk(chunks[slice.chunk]);
  if (!entry.extents.empty()) {
    for (const format::ChunkRef& page : entry.extents) writer_.refer(page);
    for (const ExtentReferences& file : d.old_->extents) {
      if (file.name != entry.name) continue;
      for (const format::Birth& birth : file.births) writer_.refer({.id = {}, .birth = birth});
      d.record_.extents.push_back(file);
    }
  }
  return add_entry(d, entry);
}

Result<> TreeBuilder::add_entry(DirectoryBuild& d, format::Entry& entry) {
  TRY(within(format::check_entry(entry), entry.name));
  if (d.leaf_->entries() == 0) d.leaf_first_name_ = entry.name;
  d.leaf_->add_entry(entry);
  if (format::leaf_page_ends(d.leaf_->encoded_bytes(), entry.name)) TRY(end_leaf(d));
  return {};
}

Result<> TreeBuilder::end_leaf(DirectoryBuild& d) {
  for (const format::ChunkRef& chunk : d.leaf_->chunks()) writer_.refer(chunk);
  const Bytes page = d.leaf_->finish();
  const format::ChunkRef ref = TRY(writer_.put_tree(page));
  d.leaf_pages_.push_back({.first_name = std::move(d.leaf_first_name_), .page = ref});
  d.record_.pages.push_back(ref);
  if (new_state_) d.record_.leaves.push_back({.offset = new_state_->append(page), .bytes = static_cast<std::uint32_t>(page.size())});
  return {};
}

Result<> TreeBuilder::complete(DirectoryBuild& d) {
  if (d.leaf_->entries() > 0) TRY(end_leaf(d));
  spare_leaves_.push_back(std::move(d.leaf_));
  // Index pages above the leaves, until one page is left: the node.
  std::vector<format::IndexPageEntry> level = std::move(d.leaf_pages_);
  while (level.size() > 1) {
    std::vector<format::IndexPageEntry> above;
    for (std::size_t at = 0; at < level.size(); at += kIndexPageEntriesMax) {
      const std::vector<format::IndexPageEntry> part(level.begin() + static_cast<std::ptrdiff_t>(at),
                                                     level.begin() + static_cast<std::ptrdiff_t>(std::min(level.size(), at + kIndexPageEntriesMax)));
      const format::ChunkRef ref = TRY(writer_.put_tree(format::encode_index_page(part)));
      d.record_.pages.push_back(ref);
      above.push_back({.first_name = part.front().first_name, .page = ref});
    }
    level = std::move(above);
  }
  DirectoryBuild::Child& out = d.slot_ ? *d.slot_ : root_;
  if (!level.empty()) out.node = d.record_.node = level.front().page;
  if (new_state_) out.record = write_directory_record(*new_state_, d.record_);
  // The same node at the same place below an unchanged record: the parent may still be reused as it is.
  out.unchanged = false;
  out.done = true;
  return {};
}

// A subtree that the new state needs and only the old one has: its records and pages are copied, children first.
Result<std::uint64_t> TreeBuilder::copy_subtree(std::uint64_t old_record) {
  struct Frame {
    DirectoryRecord record;
    std::size_t next = 0;
  };
  if (old_record == 0) return std::uint64_t{0};
  std::vector<Frame> stack;
  stack.push_back({TRY(read_directory_record(*old_state_, old_record))});
  std::uint64_t done = 0;
  Bytes page;
  while (!stack.empty()) {
    if (stack.size() > format::kTreeDepthMax) return fail(ErrorKind::kCorrupt, "the source state is deeper than a tree can be");
    Frame& frame = stack.back();
    if (frame.next > 0 && frame.next <= frame.record.children.size() && done) frame.record.children[frame.next - 1] = std::exchange(done, 0);
    while (frame.next < frame.record.children.size() && frame.record.children[frame.next] == 0) ++frame.next;
    if (frame.next < frame.record.children.size()) {
      DirectoryRecord child = TRY(read_directory_record(*old_state_, frame.record.children[frame.next++]));
      stack.push_back({std::move(child)});
      continue;
    }
    for (DirectoryRecord::Leaf& leaf : frame.record.leaves) {
      page.resize(leaf.bytes);
      TRY(old_state_->read(leaf.offset, page));
      leaf.offset = new_state_->append(page);
    }
    done = write_directory_record(*new_state_, frame.record);
    stack.pop_back();
  }
  return done;
}

}  // namespace coppice::capture
