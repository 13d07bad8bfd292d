// The rules that an entry keeps whatever page it stands on, and the tables and kinds that pages share.

#include <algorithm>

#include "leaf_internal.h"

namespace coppice::format {
namespace {

const char* xattrs_breach(const std::vector<Xattr>& xattrs) {
  std::size_t bytes = 0;
  const std::string* previous = nullptr;
  for (const Xattr& xattr : xattrs) {
    if (xattr.name.empty() || xattr.name.size() > kXattrNameBytesMax || xattr.name.find('\0') != std::string::npos)
      return "the name of an extended attribute is empty, too long or holds NUL";
    if (xattr.value.size() > kXattrValueBytesMax) return "an extended attribute is too long";
    if (previous && !(*previous < xattr.name)) return "extended attributes are not in strict order";
    previous = &xattr.name;
    bytes += xattr.name.size() + xattr.value.size();
    if (bytes > kXattrsBytesMax) return "extended attributes are too long together";
  }
  return nullptr;
}

const char* content_breach(const Entry& entry) {
  if (entry.slices.size() > kSlicesInlineMax) return "a file has too many slices for its entry";
  if (entry.extents.size() > kExtentPagesMax) return "a file has too many extent pages";
  if (!entry.extents.empty()) {
    if (!entry.slices.empty()) return "a file has both slices and extent pages";
    return entry.size > 0 ? nullptr : "an empty file has extent pages";
  }
  if (entry.slices.empty())
    return entry.size == 0 || (entry.marks & kMarkUnreadable) ? nullptr : "a file has no content and is not marked unreadable";
  std::uint64_t left = entry.size;
  for (const Slice& slice : entry.slices) {
    if (slice.length == 0) return "a slice is empty";
    if (slice.chunk == Slice::kHole && slice.offset != 0) return "a hole has an offset";
    if (slice.length > left) return "the slices are longer than the file";
    left -= slice.length;
  }
  return left == 0 ? nullptr : "the slices are shorter than the file";
}

// Chunk refs that differ mostly differ in the first bytes of their ids, so those are sorted; only where two agree is more compared.
bool has_duplicates(const std::vector<ChunkRef>& chunks) {
  if (chunks.size() < 2) return false;
  std::vector<std::uint64_t> heads(chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) heads[i] = load_le<std::uint64_t>(chunks[i].id.bytes);
  std::ranges::sort(heads);
  if (std::ranges::adjacent_find(heads) == heads.end()) return false;
  std::vector<ChunkRef> sorted = chunks;
  std::ranges::sort(sorted);
  return std::ranges::adjacent_find(sorted) != sorted.end();
}

}  // namespace

bool is_valid_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  if (name[0] == '.' && (name.size() == 1 || (name.size() == 2 && name[1] == '.'))) return false;
  // A loop without a way out early: the compiler turns it into a few wide compares.
  bool bad = false;
  for (const char c : name) bad |= (c == '/') | (c == '\0');
  return !bad;
}

const char* entry_breach(const Entry& entry) {
  const EntryType type = entry.type;
  if (!entry.name.empty() && !is_valid_name(entry.name)) return "the name may not stand in a tree";
  if (type < EntryType::kFile || type > EntryType::kSocket) return "unknown type";
  if (entry.mode > 07777) return "the mode has bits beyond 07777";
  if (entry.owner.user.size() > kOwnerNameBytesMax || entry.owner.group.size() > kOwnerNameBytesMax)
    return "the name of an owner is too long";
  if (entry.mtime.nanoseconds >= kNanosecondsEnd || entry.atime.nanoseconds >= kNanosecondsEnd ||
      entry.ctime.nanoseconds >= kNanosecondsEnd || (entry.btime && entry.btime->nanoseconds >= kNanosecondsEnd))
    return "nanoseconds are out of bounds";
  if (entry.links == 0 || (entry.links != 1 && type == EntryType::kDirectory)) return "the number of links is out of bounds";
  const bool is_device = type == EntryType::kCharDevice || type == EntryType::kBlockDevice;
  if (entry.rdev != 0 && !is_device) return "what is no device has a device number";
  if (type == EntryType::kSymlink) {
    if (entry.target.size() > kTargetBytesMax || (entry.target.empty() && !(entry.marks & kMarkUnreadable)) ||
        entry.target.find('\0') != std::string::npos)
      return "the target of a symlink is empty, too long or holds NUL";
  } else if (!entry.target.empty()) {
    return "what is no symlink has a target";
  }
  if (entry.child && type != EntryType::kDirectory) return "what is no directory has a node";
  if (type == EntryType::kFile) {
    if (const char* breach = content_breach(entry)) return breach;
  } else if (entry.size != 0 || !entry.slices.empty() || !entry.extents.empty()) {
    return "what is no file has content";
  }
  return entry.xattrs.empty() ? nullptr : xattrs_breach(entry.xattrs);
}

Result<> check_entry(const Entry& entry) {
  if (const char* breach = entry_breach(entry)) return fail(ErrorKind::kInvalid, fmt::format("entry: {}", breach));
  return {};
}

void read_chunk_table(Decoder& d, std::vector<ChunkRef>& chunks) {
  const std::uint64_t count = d.count(kTreeNodeBytesMax / kChunkRefBytesMin, kChunkRefBytesMin);
  chunks.reserve(count);
  for (std::uint64_t i = 0; i < count && !d.failed(); ++i) chunks.push_back(decode_chunk_ref(d));
  d.rule(d.failed() || !has_duplicates(chunks), "a chunk stands in the table twice");
}

Result<PageKind> page_kind(ByteSpan page) {
  if (page.size() >= 2 && page[1] == std::byte{0}) {
    if (page[0] == std::byte{1}) return PageKind::kLeaf;
    if (page[0] == std::byte{2}) return PageKind::kIndex;
    if (page[0] == std::byte{3}) return PageKind::kExtent;
  }
  return fail(ErrorKind::kCorrupt, "tree page: it is of no known kind");
}

bool leaf_page_ends(std::size_t bytes, std::string_view name) {
  if (bytes < kLeafSoftBytes) return false;
  if (bytes >= kLeafHardBytes) return true;
  std::uint64_t hash = 0xcbf29ce484222325;   // FNV-1a, then one multiplication to bring the name into the upper bits
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash * 0x9E3779B97F4A7C15 >> 54 == 0;   // one name in 1024
}

}  // namespace coppice::format
