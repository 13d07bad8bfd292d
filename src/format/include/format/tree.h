// Trees: one node per directory. A node is a leaf page (the entries of a directory, sorted by name), or, for a huge directory,
// an index page naming leaf pages (or further index pages). Pages are chunks in tree packs.
//
// leaf page:  u8 1 | u8 zero | chunk table: varint n, n chunk refs | owner table: varint n, n times (varint uid, varint gid, text user,
//             text group) | varint entry count | entries
// index page: u8 2 | u8 zero | varint n | n times (text first name, chunk ref)
// extent page: u8 3 | u8 zero | chunk table | varint n | n slices                  (parts of one huge file's slice list)
//
// Slices name chunks by their number in the page's own chunk table. An entry's exact bytes are in docs/format/tree.md.
// The encoding is canonical: equal directories give equal bytes, so an unchanged directory is the same chunk.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/ids.h"
#include "foundation/time.h"

namespace coppice::format {

// DO NOT CHANGE THESE ENUM VALUES
enum class EntryType : std::uint8_t {
  kFile = 1, kDirectory = 2, kSymlink = 3, kCharDevice = 4, kBlockDevice = 5, kFifo = 6, kSocket = 7
};

// DO NOT CHANGE THESE BITS
enum EntryMark : std::uint32_t {
  kMarkChangedWhileRead = 1,   // two reads disagreed with the file's times; the last is stored
  kMarkUnreadable = 2,         // content (or a directory's list) could not be read: metadata only
  kMarkMountPoint = 4,         // another file system is mounted here; with --one-file-system its content is left out
  kMarkSubvolume = 8,          // root of a btrfs subvolume
  kMarkPartial = 16,           // a directory on the way to a source: only the way is recorded
  kMarkIncomplete = 32,        // content is whole, something else (attributes, flags) could not be read or kept
};

// A part of a file's content, in order. kHole: `length` zero bytes that no chunk holds.
struct Slice {
  static constexpr std::uint32_t kHole = 0xffffffff;
  std::uint32_t chunk = kHole;   // number in the page's chunk table
  std::uint32_t offset = 0;      // in that chunk
  std::uint64_t length = 0;
  bool operator==(const Slice&) const = default;
};

struct Xattr {
  std::string name;              // with its namespace: "user.x", "system.posix_acl_access", "security.capability"
  std::string value;
  bool operator==(const Xattr&) const = default;
};

struct Owner {
  std::uint32_t uid = 0, gid = 0;
  std::string user, group;       // empty when the host knew no name
  auto operator<=>(const Owner&) const = default;
};

struct Entry {
  std::string name;              // one component; any bytes but '/' and NUL, not "." or ".."; empty only for a tree's root
  EntryType type = EntryType::kFile;
  std::uint32_t mode = 0;        // 07777
  Owner owner;
  std::uint64_t size = 0;        // files: content length
  Timestamp mtime, atime, ctime;
  std::optional<Timestamp> btime;
  std::uint64_t device = 0, inode = 0;   // st_dev and st_ino: (device, inode) ties hard links together
  std::uint32_t links = 1;       // st_nlink for anything but a directory; 1 for a directory
  std::uint64_t rdev = 0;        // devices
  std::string target;            // symlinks
  std::uint32_t flags = 0;       // FS_IOC_GETFLAGS bits worth restoring
  std::uint32_t project = 0;     // project id
  std::uint32_t marks = 0;
  std::vector<Xattr> xattrs;     // sorted by name
  std::vector<Slice> slices;     // files: content; lengths sum to size (0 slices with size > 0 only when kMarkUnreadable or extents)
  std::vector<ChunkRef> extents; // huge files: extent pages instead of slices
  std::optional<ChunkRef> child; // directories: the node (absent when empty or unreadable)
  bool operator==(const Entry&) const = default;
};

inline constexpr std::uint32_t kNameBytesMax = 255, kTargetBytesMax = 4096, kXattrNameBytesMax = 255, kXattrValueBytesMax = 65536;
inline constexpr std::uint32_t kXattrsBytesMax = 1u << 20;       // of one entry, together
inline constexpr std::uint32_t kSlicesInlineMax = 1024;          // more go to extent pages
inline constexpr std::uint32_t kExtentPageSlicesMax = 4096;
inline constexpr std::uint32_t kExtentPagesMax = 8192;           // of one file
inline constexpr std::uint32_t kOwnerNameBytesMax = 255, kLeafOwnersMax = 65536;
inline constexpr std::uint32_t kXattrsRepeatBytesMax = 256;      // attributes up to this size are written once for a run of equal ones
inline constexpr std::uint32_t kTreeDepthMax = 65536;
inline constexpr std::uint32_t kIndexPageDepthMax = 4;
inline constexpr std::uint32_t kLeafSoftBytes = 64u << 10, kLeafHardBytes = 256u << 10;   // where huge directories are cut

// Whether a leaf may hold `entry`, apart from its chunk numbers; kInvalid names the rule. What a file system reports may break one
// (nanoseconds of 1e9, an attribute too long): ask before add_entry, which stops the program on a breach.
Result<> check_entry(const Entry& entry);

// Collects entries (strictly ascending by name bytes) into one leaf page. Not thread-safe.
class LeafBuilder {
 public:
  // Number of `ref` in this page's chunk table: each distinct chunk stands there once.
  std::uint32_t add_chunk(const ChunkRef& ref);
  void add_entry(const Entry& entry);            // slices must name chunks of this page; the caller keeps the order
  std::size_t encoded_bytes() const;             // of what finish() would return, about
  std::size_t entries() const;
  // The page; the builder is empty again. Also lets you see the chunk table before: chunks().
  const std::vector<ChunkRef>& chunks() const;
  Bytes finish();
  LeafBuilder();
  ~LeafBuilder();
  LeafBuilder(LeafBuilder&&) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The rule that cuts a huge directory: after the entry `name`, when the page holds `bytes` so far. Content-defined, so that an
// insertion changes one page.
bool leaf_page_ends(std::size_t bytes, std::string_view name);

// Walks a leaf page's entries without materialising the page: next() fills one Entry at a time (strings reused). Every rule of
// the format is checked (names sorted strictly, sums, table bounds); the first breach ends the walk with kCorrupt.
class LeafReader {
 public:
  static Result<LeafReader> open(ByteSpan page);          // `page` must outlive the reader
  const std::vector<ChunkRef>& chunks() const { return chunks_; }
  Result<bool> next(Entry& entry);                        // false at the end (then nothing is left over)
  std::uint64_t count() const { return count_; }

 private:
  // What entries are coded against: fields of earlier entries of the page.
  struct Context {
    std::array<std::uint32_t, 8> modes{};         // by type
    std::uint32_t owner = 0xffffffff;             // number in the owner table
    std::uint64_t device = 0, inode = 0;
    std::int64_t mtime = 0, atime = 0, ctime = 0; // seconds
    std::uint32_t chunk = 0xffffffff, chunk_end = 0;   // of the last slice that is no hole
  };
  friend struct LeafState;
  LeafReader() : reader_(ByteSpan{}) {}
  const char* read_entry(Entry& entry);
  const char* read_slices(Entry& entry, std::uint32_t content);
  const char* read_xattrs(Entry& entry, std::uint32_t kind);
  Reader reader_;
  std::vector<ChunkRef> chunks_;
  std::vector<Owner> owners_;
  std::uint64_t count_ = 0, done_ = 0;
  std::uint32_t owners_seen_ = 0;
  std::string previous_name_;
  std::vector<Xattr> previous_xattrs_;            // the last that were written out
  Context context_;
  const char* broken_ = nullptr;                  // the rule that the page broke
};

struct IndexPageEntry {
  std::string first_name;
  ChunkRef page;
  bool operator==(const IndexPageEntry&) const = default;
};
Bytes encode_index_page(const std::vector<IndexPageEntry>& entries);
Result<std::vector<IndexPageEntry>> decode_index_page_entries(ByteSpan page);

struct ExtentPage {
  std::vector<ChunkRef> chunks;
  std::vector<Slice> slices;
  bool operator==(const ExtentPage&) const = default;
};
Bytes encode_extent_page(const ExtentPage& page);
Result<ExtentPage> decode_extent_page(ByteSpan page);

enum class PageKind { kLeaf, kIndex, kExtent };
Result<PageKind> page_kind(ByteSpan page);

// A name that may stand in a tree: 1..255 bytes, no '/' or NUL, not "." or "..".
bool is_valid_name(std::string_view name);

}  // namespace coppice::format
