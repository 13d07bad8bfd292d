// Builds a leaf page in one pass: entries are encoded as they come, chunks and owners gather in their tables, and finish() puts the
// three together.

#include <algorithm>

#include "leaf_internal.h"

namespace coppice::format {
namespace {

// Numbers by hash, open addressing. clear() costs nothing, whatever the size: a builder that has once seen a huge directory
// must not pay for that at every small one.
class NumberTable {
 public:
  // The number for which `is_it` holds among those inserted under `hash`, or -1.
  template <class F>
  std::int64_t find(std::uint64_t hash, F&& is_it) const {
    if (cells_.empty()) return -1;
    for (std::size_t i = hash & mask(); cells_[i].round == round_; i = (i + 1) & mask())
      if (cells_[i].hash == static_cast<std::uint32_t>(hash >> 32) && is_it(cells_[i].number)) return cells_[i].number;
    return -1;
  }
  void insert(std::uint64_t hash, std::uint32_t number) {
    if ((used_ + 1) * 2 > cells_.size()) grow();
    put({round_, static_cast<std::uint32_t>(hash >> 32), number, hash});
    ++used_;
  }
  void clear() {
    used_ = 0;
    if (++round_ == 0) {   // after 2^32 pages the rounds begin again, with cells of no round
      std::ranges::fill(cells_, Cell{});
      round_ = 1;
    }
  }

 private:
  struct Cell {
    std::uint32_t round = 0, hash = 0, number = 0;
    std::uint64_t full_hash = 0;
  };
  std::size_t mask() const { return cells_.size() - 1; }
  void put(const Cell& cell) {
    std::size_t i = cell.full_hash & mask();
    while (cells_[i].round == round_) i = (i + 1) & mask();
    cells_[i] = cell;
  }
  void grow() {
    std::vector<Cell> old(std::max<std::size_t>(64, cells_.size() * 2));
    old.swap(cells_);
    for (const Cell& cell : old)
      if (cell.round == round_) put(cell);
  }
  std::vector<Cell> cells_;
  std::size_t used_ = 0;
  std::uint32_t round_ = 1;
};

std::uint64_t hash_chunk(const ChunkRef& ref) { return load_le<std::uint64_t>(ref.id.bytes) * 0x9E3779B97F4A7C15; }
std::uint64_t hash_owner(const Owner& owner) {
  const std::uint64_t h = (std::uint64_t{owner.uid} << 32 | owner.gid) * 0x9E3779B97F4A7C15;
  return h ^ h >> 29;
}

std::size_t xattrs_bytes(const std::vector<Xattr>& xattrs) {
  std::size_t bytes = 0;
  for (const Xattr& xattr : xattrs) bytes += xattr.name.size() + xattr.value.size();
  return bytes;
}

// No entry takes more than this.
std::size_t entry_bytes_max(const Entry& entry) {
  constexpr std::size_t kFixed = 5 + 2 + kNameBytesMax + 3 * 5 + 2 * 10 + (10 + 4) * 4 + 4 * 5 + 10 + 3 + kChunkRefBytesMax + 5;
  std::size_t bytes = kFixed + kSliceBytesMax * entry.slices.size() + kChunkRefBytesMax * entry.extents.size() + entry.target.size();
  for (const Xattr& xattr : entry.xattrs) bytes += xattr.name.size() + xattr.value.size() + 10;
  return bytes;
}

void put_time(RawWriter& w, Timestamp t, std::int64_t base) {
  w.varint(zigzag_difference(static_cast<std::uint64_t>(t.seconds), static_cast<std::uint64_t>(base)));
  w.u32(t.nanoseconds);
}

}  // namespace

struct LeafBuilder::State {
  Bytes entries, chunk_table, owner_table;   // encoded so far
  std::uint64_t count = 0;
  std::vector<ChunkRef> chunks;
  std::vector<Owner> owners;
  NumberTable chunk_numbers, owner_numbers;
  std::uint32_t last_chunk = 0;   // the one that was asked for last
  std::string previous_name;
  std::vector<Xattr> previous_xattrs;
  LeafContext context;

  std::uint32_t owner_number(const Owner& owner) {
    const std::uint64_t hash = hash_owner(owner);
    const std::int64_t found = owner_numbers.find(hash, [&](std::uint32_t n) { return owners[n] == owner; });
    if (found >= 0) return static_cast<std::uint32_t>(found);
    CHECK(owners.size() < kLeafOwnersMax);
    const auto number = static_cast<std::uint32_t>(owners.size());
    owners.push_back(owner);
    owner_numbers.insert(hash, number);
    Writer w(owner_table);
    w.varint(owner.uid);
    w.varint(owner.gid);
    w.text(owner.user);
    w.text(owner.group);
    return number;
  }

  std::uint32_t content_of(const Entry& entry) const {
    if (entry.type == EntryType::kDirectory) return entry.child ? kContentOne : kContentNone;
    if (!entry.extents.empty() || entry.slices.size() > 1) return kContentList;
    if (entry.slices.empty()) return kContentNone;
    const Slice& slice = entry.slices[0];
    const bool next = slice.chunk != Slice::kHole && slice.chunk == context.chunk && slice.offset == context.chunk_end;
    return next ? kContentNext : kContentOne;
  }

  void put_content(RawWriter& w, const Entry& entry, std::uint32_t content) {
    if (entry.type == EntryType::kDirectory) {
      if (entry.child) put_chunk_ref(w, *entry.child);
      return;
    }
    w.varint(entry.size);
    if (content == kContentNext) {
      context.chunk_end += static_cast<std::uint32_t>(entry.size);
    } else if (content == kContentOne) {
      put_slice(w, context, entry.slices[0], chunks, false);
    } else if (content == kContentList && entry.extents.empty()) {
      w.varint(std::uint64_t{entry.slices.size()} << 1);
      for (const Slice& slice : entry.slices) put_slice(w, context, slice, chunks, true);
    } else if (content == kContentList) {
      w.varint(std::uint64_t{entry.extents.size()} << 1 | 1);
      for (const ChunkRef& page : entry.extents) put_chunk_ref(w, page);
    }
  }
};

LeafBuilder::LeafBuilder() : state_(std::make_unique<State>()) {}
LeafBuilder::~LeafBuilder() = default;
LeafBuilder::LeafBuilder(LeafBuilder&&) noexcept = default;

std::uint32_t LeafBuilder::add_chunk(const ChunkRef& ref) {
  State& s = *state_;
  if (!s.chunks.empty() && s.chunks[s.last_chunk] == ref) return s.last_chunk;
  const std::uint64_t hash = hash_chunk(ref);
  const std::int64_t found = s.chunk_numbers.find(hash, [&](std::uint32_t n) { return s.chunks[n] == ref; });
  if (found >= 0) return s.last_chunk = static_cast<std::uint32_t>(found);
  s.last_chunk = static_cast<std::uint32_t>(s.chunks.size());
  s.chunks.push_back(ref);
  s.chunk_numbers.insert(hash, s.last_chunk);
  Writer w(s.chunk_table);
  encode_chunk_ref(w, ref);
  return s.last_chunk;
}

void LeafBuilder::add_entry(const Entry& entry) {
  State& s = *state_;
  LeafContext& c = s.context;
  CHECK(entry_breach(entry) == nullptr);
  for (const Slice& slice : entry.slices)
    CHECK(slice.chunk == Slice::kHole || (slice.chunk < s.chunks.size() && slice.offset <= s.chunks[slice.chunk].length &&
                                          slice.length <= s.chunks[slice.chunk].length - slice.offset));
  CHECK(s.count == 0 || s.previous_name < entry.name);

  const auto type = static_cast<std::uint32_t>(entry.type);
  std::uint32_t head = type;
  if (entry.mode != c.modes[type]) head |= kHeadMode;
  const bool owner_given = c.owner >= s.owners.size() || !(s.owners[c.owner] == entry.owner);
  if (owner_given) head |= kHeadOwner;
  if (entry.atime != entry.mtime) head |= kHeadAtime;
  if (entry.ctime != entry.mtime) head |= kHeadCtime;
  const std::uint32_t content = s.content_of(entry);
  head |= content << kHeadContentShift;
  std::uint32_t btime = kBtimeNone;
  if (entry.btime) btime = *entry.btime == entry.ctime ? kBtimeIsCtime : *entry.btime == entry.mtime ? kBtimeIsMtime : kBtimeGiven;
  head |= btime << kHeadBtimeShift;
  if (entry.mtime.nanoseconds != 0) head |= kHeadMtimeNanoseconds;
  std::uint32_t attributes = kXattrsNone;
  if (!entry.xattrs.empty())
    attributes = xattrs_bytes(entry.xattrs) <= kXattrsRepeatBytesMax && entry.xattrs == s.previous_xattrs ? kXattrsRepeated : kXattrsGiven;
  head |= attributes << kHeadXattrsShift;
  if (entry.device != c.device) head |= kHeadDevice;
  if (entry.links != 1) head |= kHeadLinks;
  if (entry.flags != 0) head |= kHeadFlags;
  if (entry.project != 0) head |= kHeadProject;
  if (entry.marks != 0) head |= kHeadMarks;

  const std::size_t begin = s.entries.size();
  s.entries.resize(begin + entry_bytes_max(entry));
  RawWriter w(s.entries.data() + begin);
  w.varint(head);
  const std::string& name = entry.name;
  const std::size_t shared = static_cast<std::size_t>(
      std::mismatch(name.begin(), name.end(), s.previous_name.begin(), s.previous_name.end()).first - name.begin());
  w.u8(static_cast<std::uint8_t>(shared));
  w.u8(static_cast<std::uint8_t>(name.size() - shared));
  w.bytes(as_bytes(std::string_view(name).substr(shared)));
  if (head & kHeadMode) w.varint(entry.mode);
  if (owner_given) w.varint(c.owner = s.owner_number(entry.owner));
  if (head & kHeadDevice) w.varint(entry.device);
  w.varint(zigzag_difference(entry.inode, c.inode));
  w.varint(zigzag_difference(static_cast<std::uint64_t>(entry.mtime.seconds), static_cast<std::uint64_t>(c.mtime)));
  if (head & kHeadMtimeNanoseconds) w.u32(entry.mtime.nanoseconds);
  if (head & kHeadAtime) put_time(w, entry.atime, c.atime);
  if (head & kHeadCtime) put_time(w, entry.ctime, c.ctime);
  if (btime == kBtimeGiven) put_time(w, *entry.btime, entry.ctime.seconds);
  if (head & kHeadLinks) w.varint(entry.links);
  if (head & kHeadFlags) w.varint(entry.flags);
  if (head & kHeadProject) w.varint(entry.project);
  if (head & kHeadMarks) w.varint(entry.marks);
  c.modes[type] = entry.mode;
  c.device = entry.device;
  c.inode = entry.inode;
  c.mtime = entry.mtime.seconds;
  c.atime = entry.atime.seconds;
  c.ctime = entry.ctime.seconds;
  if (entry.type == EntryType::kFile || entry.type == EntryType::kDirectory)
    s.put_content(w, entry, content);
  else if (entry.type == EntryType::kSymlink)
    w.sized(as_bytes(entry.target));
  else if (entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice)
    w.varint(entry.rdev);
  if (attributes == kXattrsGiven) {
    w.varint(entry.xattrs.size());
    for (const Xattr& xattr : entry.xattrs) {
      w.sized(as_bytes(xattr.name));
      w.sized(as_bytes(xattr.value));
    }
    s.previous_xattrs = entry.xattrs;
  }
  s.entries.resize(static_cast<std::size_t>(w.at() - s.entries.data()));
  s.previous_name = name;
  ++s.count;
}

std::size_t LeafBuilder::encoded_bytes() const {
  return 2 + 3 * 3 + state_->chunk_table.size() + state_->owner_table.size() + state_->entries.size();
}

std::size_t LeafBuilder::entries() const { return state_->count; }

const std::vector<ChunkRef>& LeafBuilder::chunks() const { return state_->chunks; }

Bytes LeafBuilder::finish() {
  State& s = *state_;
  Bytes page;
  page.reserve(encoded_bytes() + 16);
  Writer w(page);
  w.u8(1);
  w.u8(0);
  w.varint(s.chunks.size());
  w.bytes(s.chunk_table);
  w.varint(s.owners.size());
  w.bytes(s.owner_table);
  w.varint(s.count);
  w.bytes(s.entries);
  s.entries.clear();
  s.chunk_table.clear();
  s.owner_table.clear();
  s.count = 0;
  s.chunks.clear();
  s.owners.clear();
  s.chunk_numbers.clear();
  s.owner_numbers.clear();
  s.last_chunk = 0;
  s.previous_name.clear();
  s.previous_xattrs.clear();
  s.context = {};
  return page;
}

}  // namespace coppice::format
