// Walks a leaf page. This is the hot path of a backup in which little has changed, so nothing is allocated for an ordinary entry.

#include <algorithm>
#include <set>

#include "leaf_internal.h"

namespace coppice::format {
namespace {

constexpr std::string_view kWhat = "tree leaf";

// What follows the head bit of a time: seconds against `base`, and nanoseconds.
Timestamp get_time(Reader& r, std::int64_t base) {
  Timestamp t;
  t.seconds = static_cast<std::int64_t>(apply_difference(r.varint(), static_cast<std::uint64_t>(base)));
  t.nanoseconds = r.u32();
  return t;
}

}  // namespace

Result<LeafReader> LeafReader::open(ByteSpan page) {
  Decoder d(kWhat, page);
  if (page.size() > kTreeNodeBytesMax) return std::unexpected(d.corrupt("it is longer than a page may be"));
  d.rule(d.u8() == 1 && d.u8() == 0, "it is no leaf page");
  LeafReader reader;
  read_chunk_table(d, reader.chunks_);
  const std::uint64_t owners = d.count(kLeafOwnersMax, 4);
  reader.owners_.reserve(owners);
  std::set<Owner> distinct;
  for (std::uint64_t i = 0; i < owners && !d.going_wrong(); ++i) {
    Owner& owner = reader.owners_.emplace_back();
    owner.uid = static_cast<std::uint32_t>(d.varint_max(0xffffffff));
    owner.gid = static_cast<std::uint32_t>(d.varint_max(0xffffffff));
    owner.user = d.text(kOwnerNameBytesMax);
    owner.group = d.text(kOwnerNameBytesMax);
    if (owners > 1) d.rule(distinct.insert(owner).second, "an owner stands in the table twice");
  }
  reader.count_ = d.count(kTreeNodeBytesMax, kEntryBytesMin);
  d.rule(reader.count_ > 0 || owners == 0, "an owner stands in the table for nothing");
  if (d.going_wrong() || reader.count_ == 0) TRY(d.complete());
  reader.reader_ = Reader(page.subspan(d.position()));
  return reader;
}

Result<bool> LeafReader::next(Entry& entry) {
  if (broken_ == nullptr) {
    if (done_ < count_) {
      const char* breach = read_entry(entry);
      if (reader_.failed())
        broken_ = "it ends early, or a number is malformed or too large";
      else
        broken_ = breach;
      if (broken_ == nullptr) {
        ++done_;
        return true;
      }
    } else if (reader_.remaining() != 0) {
      broken_ = "bytes are left over";
    } else if (owners_seen_ != owners_.size()) {
      broken_ = "an owner stands in the table for nothing";
    } else {
      return false;
    }
  }
  return fail(ErrorKind::kCorrupt, fmt::format("{}: entry {} of {}: {}", kWhat, done_, count_, broken_));
}

const char* LeafReader::read_entry(Entry& entry) {
  Reader& r = reader_;
  Context& c = context_;
  const auto head = static_cast<std::uint32_t>(r.varint_max(kHeadEnd - 1));
  const std::uint32_t type = head & kHeadType;
  if (type == 0) return "unknown type";
  entry.type = static_cast<EntryType>(type);

  // That the first byte after the shared part is greater than what stood there makes the name the greater one and the shared
  // part as long as it can be.
  const std::size_t shared = r.u8();
  const ByteSpan rest = r.bytes(r.u8());
  if (shared > previous_name_.size()) return "a name shares more with the one before than there is";
  if (rest.empty() && (done_ > 0 || shared > 0)) return "names are not in strict order";
  if (shared < previous_name_.size() &&
      static_cast<unsigned char>(rest.empty() ? std::byte{0} : rest[0]) <= static_cast<unsigned char>(previous_name_[shared]))
    return "names are not in strict order, or share more than is said";
  if (shared + rest.size() > kNameBytesMax) return "a name is too long";
  previous_name_.resize(shared);
  previous_name_.append(as_text(rest));
  entry.name = previous_name_;

  if (head & kHeadMode) {
    entry.mode = static_cast<std::uint32_t>(r.varint_max(07777));
    if (entry.mode == c.modes[type]) return "a mode is given that has not changed";
    c.modes[type] = entry.mode;
  } else {
    entry.mode = c.modes[type];
  }
  if (head & kHeadOwner) {
    const std::uint64_t owner = r.varint();
    if (owner >= owners_.size()) return "an entry names an owner that the page does not";
    if (owner == c.owner) return "an owner is given that has not changed";
    if (owner > owners_seen_) return "owners are not in the order of their first use";
    if (owner == owners_seen_) ++owners_seen_;
    c.owner = static_cast<std::uint32_t>(owner);
  } else if (c.owner >= owners_.size()) {
    return "the first entry has no owner";
  }
  entry.owner = owners_[c.owner];
  if (head & kHeadDevice) {
    entry.device = r.varint();
    if (entry.device == c.device) return "a device is given that has not changed";
    c.device = entry.device;
  } else {
    entry.device = c.device;
  }
  entry.inode = c.inode = apply_difference(r.varint(), c.inode);

  entry.mtime.seconds = c.mtime = static_cast<std::int64_t>(apply_difference(r.varint(), static_cast<std::uint64_t>(c.mtime)));
  entry.mtime.nanoseconds = 0;
  if (head & kHeadMtimeNanoseconds) {
    entry.mtime.nanoseconds = r.u32();
    if (entry.mtime.nanoseconds == 0) return "nanoseconds are given that are zero";
  }
  entry.atime = head & kHeadAtime ? get_time(r, c.atime) : entry.mtime;
  entry.ctime = head & kHeadCtime ? get_time(r, c.ctime) : entry.mtime;
  if (((head & kHeadAtime) && entry.atime == entry.mtime) || ((head & kHeadCtime) && entry.ctime == entry.mtime))
    return "a time is given that is that of the last change";
  c.atime = entry.atime.seconds;
  c.ctime = entry.ctime.seconds;
  switch (head >> kHeadBtimeShift & 3) {
    case kBtimeNone: entry.btime.reset(); break;
    case kBtimeIsCtime: entry.btime = entry.ctime; break;
    case kBtimeIsMtime:
      entry.btime = entry.mtime;
      if (entry.mtime == entry.ctime) return "a time of birth is coded in a roundabout way";
      break;
    default:
      entry.btime = get_time(r, entry.ctime.seconds);
      if (*entry.btime == entry.ctime || *entry.btime == entry.mtime) return "a time of birth is coded in a roundabout way";
  }

  entry.links = 1;
  entry.flags = entry.project = entry.marks = 0;
  if (head & (kHeadLinks | kHeadFlags | kHeadProject | kHeadMarks)) {
    if (head & kHeadLinks) {
      entry.links = static_cast<std::uint32_t>(r.varint_max(0xffffffff));
      if (entry.links == 1) return "a number of links is given that is 1";
    }
    for (const auto& [bit, field] : {std::pair{kHeadFlags, &entry.flags}, {kHeadProject, &entry.project}, {kHeadMarks, &entry.marks}}) {
      if (!(head & bit)) continue;
      *field = static_cast<std::uint32_t>(r.varint_max(0xffffffff));
      if (*field == 0) return "flags, project or marks are given that are zero";
    }
  }

  const std::uint32_t content = head >> kHeadContentShift & 3;
  entry.size = entry.rdev = 0;
  entry.target.clear();
  entry.slices.clear();
  entry.extents.clear();
  entry.child.reset();
  switch (entry.type) {
    case EntryType::kFile:
      if (const char* breach = read_slices(entry, content)) return breach;
      break;
    case EntryType::kDirectory:
      if (content == kContentOne)
        entry.child = decode_chunk_ref(r);
      else if (content != kContentNone)
        return "a directory has the content of a file";
      break;
    default:
      if (content != kContentNone) return "what is no file has content";
      if (entry.type == EntryType::kSymlink)
        entry.target = as_text(r.sized(kTargetBytesMax));
      else if (entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice)
        entry.rdev = r.varint();
  }

  const std::uint32_t attributes = head >> kHeadXattrsShift & 3;
  if (attributes == kXattrsNone)
    entry.xattrs.clear();
  else if (const char* breach = read_xattrs(entry, attributes))
    return breach;
  return entry_breach(entry);
}

const char* LeafReader::read_slices(Entry& entry, std::uint32_t content) {
  Reader& r = reader_;
  Context& c = context_;
  entry.size = r.varint();
  if (content == kContentNone) return nullptr;
  if (content == kContentNext) {
    if (c.chunk >= chunks_.size()) return "a file goes on where no slice has ended";
    if (entry.size > chunks_[c.chunk].length - c.chunk_end) return "a slice ends beyond its chunk";
    entry.slices.push_back({c.chunk, c.chunk_end, entry.size});
    c.chunk_end += static_cast<std::uint32_t>(entry.size);
    return nullptr;
  }
  if (content == kContentOne) {
    const std::uint32_t before = c.chunk, end = c.chunk_end;
    Slice& slice = entry.slices.emplace_back();
    if (const char* breach = get_slice(r, c, slice, chunks_, &entry.size)) return breach;
    if (slice.chunk != Slice::kHole && slice.chunk == before && slice.offset == end) return "a slice is coded in a roundabout way";
    return nullptr;
  }
  const std::uint64_t code = r.varint();
  const std::uint64_t count = code >> 1;
  if (code & 1) {
    if (count == 0 || count > kExtentPagesMax || count > r.remaining() / kChunkRefBytesMin) return "the number of extent pages is out of bounds";
    entry.extents.reserve(count);
    for (std::uint64_t i = 0; i < count && !r.failed(); ++i) entry.extents.push_back(decode_chunk_ref(r));
    return nullptr;
  }
  if (count < 2 || count > kSlicesInlineMax) return "the number of slices is out of bounds";
  for (std::uint64_t i = 0; i < count && !r.failed(); ++i)
    if (const char* breach = get_slice(r, c, entry.slices.emplace_back(), chunks_, nullptr)) return breach;
  return nullptr;
}

const char* LeafReader::read_xattrs(Entry& entry, std::uint32_t kind) {
  Reader& r = reader_;
  if (kind == kXattrsRepeated) {
    if (previous_xattrs_.empty()) return "extended attributes are repeated that were not given";
    entry.xattrs = previous_xattrs_;
    return nullptr;
  }
  if (kind != kXattrsGiven) return "unknown form of extended attributes";
  const std::uint64_t count = r.varint();
  if (count == 0 || count > r.remaining() / 3) return "the number of extended attributes is out of bounds";
  entry.xattrs.clear();
  std::size_t bytes = 0;
  for (std::uint64_t i = 0; i < count && !r.failed(); ++i) {
    Xattr& xattr = entry.xattrs.emplace_back();
    xattr.name = as_text(r.sized(kXattrNameBytesMax));
    xattr.value = as_text(r.sized(kXattrValueBytesMax));
    bytes += xattr.name.size() + xattr.value.size();
    if (bytes > kXattrsBytesMax) return "extended attributes are too long together";
  }
  if (bytes > kXattrsRepeatBytesMax) {
    previous_xattrs_.clear();   // too long to be repeated
  } else {
    if (entry.xattrs == previous_xattrs_) return "extended attributes are given that were repeated";
    previous_xattrs_ = entry.xattrs;
  }
  return nullptr;
}

}  // namespace coppice::format
