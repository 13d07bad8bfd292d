#include "tree_builder.h"

#include <algorithm>

#include "foundation/check.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kIndexPageEntriesMax = 1024;
constexpr std::size_t kElementsWaitingMax = 4096;

constexpr std::size_t kDirectoryWeight = sizeof(DirectoryBuild) + sizeof(DirectoryBuild::Child) + 256;

std::size_t weight_of(const DirectoryBuild::Element& element) {
  constexpr std::size_t kTicketWeight = 96, kNodeWeight = 32;
  std::size_t weight = sizeof element + kNodeWeight + element.entry.name.size() + element.entry.target.size() +
                       element.content.parts.size() * (sizeof(Part) + kTicketWeight) + element.content.extents.size() * sizeof(format::ChunkRef);
  for (const format::Xattr& xattr : element.entry.xattrs) weight += sizeof xattr + xattr.name.size() + xattr.value.size();
  return weight;
}

}  // namespace

bool reduce_to_metadata(format::Entry& entry) {
  entry.marks |= format::kMarkUnreadable;
  entry.size = 0;
  entry.slices.clear();
  entry.extents.clear();
  entry.xattrs.clear();
  entry.target.clear();
  entry.links = 1;
  if (entry.owner.user.size() > format::kOwnerNameBytesMax) entry.owner.user.clear();
  if (entry.owner.group.size() > format::kOwnerNameBytesMax) entry.owner.group.clear();
  for (Timestamp* time : {&entry.mtime, &entry.atime, &entry.ctime}) time->nanoseconds = std::min(time->nanoseconds, 999'999'999u);
  entry.btime.reset();
  return format::check_entry(entry).has_value();
}

void TreeBuilder::add(DirectoryBuild& d, DirectoryBuild::Element element) {
  const std::size_t weight = weight_of(element);
  d.weight_ += weight;
  weight_ += weight;
  d.elements_.push_back(std::move(element));
}

void TreeBuilder::pop_element(DirectoryBuild& d) {
  // What the content moved on is weighed no more exactly; the directory's rest goes with it.
  const std::size_t weight = std::min(d.weight_, weight_of(d.elements_.front()));
  d.weight_ -= weight;
  weight_ -= weight;
  d.elements_.pop_front();
}

void TreeBuilder::pop_child(DirectoryBuild& d) {
  d.children_[d.next_child_++].reset();
  if (d.next_child_ < kElementsWaitingMax) return;
  d.children_.erase(d.children_.begin(), d.children_.begin() + static_cast<std::ptrdiff_t>(d.next_child_));
  d.next_child_ = 0;
}

Result<> TreeBuilder::finish(std::unique_ptr<DirectoryBuild> directory) {
  directory->finished_ = true;
  directory->weight_ += kDirectoryWeight;
  weight_ += kDirectoryWeight;
  queue_.push_back(std::move(directory));
  return advance();
}

Result<> TreeBuilder::advance() {
  while (!queue_.empty()) {
    if (!TRY(encode(*queue_.front()))) return {};
    weight_ -= queue_.front()->weight_;
    queue_.pop_front();
  }
  return {};
}

bool TreeBuilder::is_long(const DirectoryBuild& d) { return d.elements_.size() >= kElementsWaitingMax; }

Result<> TreeBuilder::relieve(DirectoryBuild& d) {
  if (d.has_elements()) TRY(encode(d));
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
  out.record = d.node_->old_record;
  out.unchanged = true;
  out.done = true;
  return true;
}

Result<bool> TreeBuilder::encode(DirectoryBuild& d) {
  if (d.same_ && !d.started_) {
    for (const auto& child : d.children_)
      if (!child->done) return false;
    if (std::ranges::all_of(d.children_, [](const auto& c) { return c->unchanged; })) return reuse(d);
    add(d, {.old_count = UINT64_MAX});
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
  while (d.has_elements()) {
    DirectoryBuild::Element& element = d.elements_.front();
    if (element.old_count > 0) {
      while (element.old_count > 0 && d.old_front_) {
        if (!TRY(encode_old(d))) return false;
        --element.old_count;
      }
    } else if (element.old_by_name) {
      TRY(find_old(d, element.entry.name));
      if (!TRY(encode_old(d))) return false;
    } else if (!TRY(encode_new(d, element))) {
      return false;
    }
    pop_element(d);
  }
  if (!d.finished_) return true;
  TRY(complete(d));
  return true;
}

Result<> TreeBuilder::find_old(DirectoryBuild& d, const std::string& name) {
  while (d.old_front_ && d.old_front_->name < name) d.old_front_ = TRY(d.old_entries_->next());
  if (!d.old_front_ || d.old_front_->name != name) return fail(ErrorKind::kCorrupt, "the source state changed while it was read");
  return {};
}

// The child at the front becomes the directory `entry`'s node.
Result<> TreeBuilder::take_child(DirectoryBuild& d, format::Entry& entry) {
  const DirectoryBuild::Child& child = *d.front_child();
  entry.child = child.node;
  if (child.unreadable) entry.marks |= format::kMarkUnreadable;
  d.record_.children.push_back(child.record);
  if (child.unchanged && new_state_) d.record_.children.back() = TRY(copy_subtree(child.record));
  return {};
}

Result<bool> TreeBuilder::encode_new(DirectoryBuild& d, DirectoryBuild::Element& element) {
  format::Entry& entry = element.entry;
  if (!element.content.ready()) return false;
  const DirectoryBuild::Child* child = d.front_child();
  const bool entered = child && child->name == entry.name;
  if (entered && !child->done) return false;
  if (entry.type == format::EntryType::kDirectory) {
    if (entered)
      TRY(take_child(d, entry));
    else
      d.record_.children.push_back(0);
  }
  for (const Part& part : element.content.parts)
    entry.slices.push_back({.chunk = part.ticket ? 0 : format::Slice::kHole, .offset = part.offset, .length = part.length});
  entry.extents = std::move(element.content.extents);
  if (element.content.as_before) {
    TRY(find_old(d, entry.name));
    entry.slices = d.old_front_->slices;
  }
  // Before a chunk of it enters the page: what a source reports is no reason to end the run.
  if (const Result<> kept = format::check_entry(entry); !kept) {
    const bool stands = reduce_to_metadata(entry);
    CHECK(stands);   // the scanner looks at names and types
    warn_((d.node_ ? d.node_->path() : "") + "/" + entry.name, kept.error().message() + "; only its metadata is stored");
  }
  if (element.content.as_before) {
    add_old_chunks(d, entry);
  } else {
    for (std::size_t i = 0; i < entry.slices.size(); ++i)
      if (element.content.parts[i].ticket) entry.slices[i].chunk = d.leaf_->add_chunk(element.content.parts[i].ticket->ref());
  }
  if (!entry.extents.empty()) {
    ExtentReferences references{.name = entry.name};
    for (const auto& [pack, set] : element.content.extent_references.packs())
      for (std::uint16_t o = 0; o < format::kPackBlocksMax; ++o)
        if (set[o >> 6] >> (o & 63) & 1) references.births.push_back({.pack = pack, .ordinal = o});
    for (const format::ChunkRef& page : entry.extents) references.births.push_back(page.birth);
    d.record_.extents.push_back(std::move(references));
  }
  TRY(add_entry(d, entry, element.content.fingerprint));
  if (entered) pop_child(d);
  return true;
}

// The old entry at the front, its subdirectory put in its new place.
Result<bool> TreeBuilder::encode_old(DirectoryBuild& d) {
  DirectoryBuild::Child* child = d.front_child();
  if (child && child->name == d.old_front_->name && d.old_front_->type == format::EntryType::kDirectory) {
    if (!child->done) return false;
    if (child->replacement) {
      if (!TRY(encode_new(d, *child->replacement))) return false;   // its child is this one
      d.old_front_ = TRY(d.old_entries_->next());
      return true;
    }
    if (!child->gone) {
      format::Entry entry = *d.old_front_;
      TRY(take_child(d, entry));
      TRY(add_old_entry(d, std::move(entry)));
    }
    pop_child(d);
  } else {
    format::Entry entry = *d.old_front_;
    if (entry.type == format::EntryType::kDirectory) {
      entry.child.reset();
      d.record_.children.push_back(0);
    }
    TRY(add_old_entry(d, std::move(entry)));
  }
  d.old_front_ = TRY(d.old_entries_->next());
  return true;
}

// The slices name chunks of the old entry's page; from here on, of the leaf in the making.
void TreeBuilder::add_old_chunks(DirectoryBuild& d, format::Entry& entry) {
  for (format::Slice& slice : entry.slices)
    if (slice.chunk != format::Slice::kHole) slice.chunk = d.leaf_->add_chunk(d.old_entries_->chunks()[slice.chunk]);
}

Result<> TreeBuilder::add_old_entry(DirectoryBuild& d, format::Entry entry) {
  add_old_chunks(d, entry);
  if (!entry.extents.empty()) {
    for (const format::ChunkRef& page : entry.extents) writer_.refer(page);
    for (const ExtentReferences& file : d.old_->extents) {
      if (file.name != entry.name) continue;
      for (const format::Birth& birth : file.births) writer_.refer({.id = {}, .birth = birth});
      d.record_.extents.push_back(file);
    }
  }
  return add_entry(d, entry, d.old_entries_->fingerprint());
}

Result<> TreeBuilder::add_entry(DirectoryBuild& d, format::Entry& entry, const crypto::Checksum& fingerprint) {
  if (d.leaf_->entries() == 0) d.leaf_first_name_ = entry.name;
  d.leaf_->add_entry(entry);
  append(d.fingerprints_, fingerprint);
  if (format::leaf_page_ends(d.leaf_->encoded_bytes(), entry.name)) TRY(end_leaf(d));
  return {};
}

Result<> TreeBuilder::end_leaf(DirectoryBuild& d) {
  for (const format::ChunkRef& chunk : d.leaf_->chunks()) writer_.refer(chunk);
  const Bytes page = d.leaf_->finish();
  const format::ChunkRef ref = TRY(writer_.put_tree(page));
  d.leaf_pages_.push_back({.first_name = std::move(d.leaf_first_name_), .page = ref});
  d.record_.pages.push_back(ref);
  if (new_state_) {
    d.record_.leaves.push_back({.offset = new_state_->append(page), .bytes = static_cast<std::uint32_t>(page.size()),
                                .entries = static_cast<std::uint32_t>(d.fingerprints_.size() / sizeof(crypto::Checksum))});
    new_state_->append(d.fingerprints_);
  }
  d.fingerprints_.clear();
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
      page.resize(leaf.bytes + leaf.entries * sizeof(crypto::Checksum));
      TRY(old_state_->read(leaf.offset, page));
      leaf.offset = new_state_->append(page);
    }
    done = write_directory_record(*new_state_, frame.record);
    stack.pop_back();
  }
  return done;
}

}  // namespace coppice::capture
