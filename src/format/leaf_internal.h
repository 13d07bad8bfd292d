// The bytes of a leaf entry, shared by the builder and the reader. docs/format/tree.md has them in full; the idea:
//
// An entry begins with a head whose bits say what differs from the usual, and the usual is what the entries before it on the page
// were like. Bits that are often set come first, so a head is mostly two bytes. Whatever the head does not announce is not there.
#pragma once

#include <cstring>

#include "codec_internal.h"
#include "format/tree.h"

namespace coppice::format {

// DO NOT CHANGE THESE BITS
enum HeadBits : std::uint32_t {
  kHeadType = 7,                       // EntryType
  kHeadMode = 1u << 3,                 // differs from the last entry of this type
  kHeadOwner = 1u << 4,                // differs from the entry before
  kHeadAtime = 1u << 5,                // differs from mtime
  kHeadCtime = 1u << 6,                // differs from mtime
  kHeadContentShift = 7,               // two bits: Content
  kHeadBtimeShift = 9,                 // two bits: Btime
  kHeadMtimeNanoseconds = 1u << 11,    // mtime's nanoseconds are not zero
  kHeadXattrsShift = 12,               // two bits: Attributes
  kHeadDevice = 1u << 14,              // differs from the entry before
  kHeadLinks = 1u << 15,               // not 1
  kHeadFlags = 1u << 16,               // not 0, as the next two
  kHeadProject = 1u << 17,
  kHeadMarks = 1u << 18,
  kHeadEnd = 1u << 19,
};

// DO NOT CHANGE THESE ENUM VALUES
enum Content : std::uint32_t {
  kContentNone = 0,
  kContentNext = 1,    // one slice, as long as the file, that begins where the last slice on the page ended
  kContentOne = 2,     // one other slice, as long as the file; for a directory: its node
  kContentList = 3,    // slices, or the extent pages of a huge file
};
enum Btime : std::uint32_t { kBtimeNone = 0, kBtimeIsCtime = 1, kBtimeIsMtime = 2, kBtimeGiven = 3 };
enum Attributes : std::uint32_t { kXattrsNone = 0, kXattrsGiven = 1, kXattrsRepeated = 2 };

inline constexpr std::size_t kEntryBytesMin = 5;   // head, two lengths of the name, inode, mtime

// Gives the layer's internals LeafReader::Context, which is no business of anybody else.
struct LeafState {
  using Context = LeafReader::Context;
};
using LeafContext = LeafState::Context;

// Like Writer, into memory that is known to be long enough.
class RawWriter {
 public:
  explicit RawWriter(std::byte* at) : at_(at) {}
  void u8(std::uint8_t v) { *at_++ = std::byte{v}; }
  void u32(std::uint32_t v) {
    store_le<std::uint32_t>({at_, sizeof v}, 0, v);
    at_ += sizeof v;
  }
  void varint(std::uint64_t v) {
    while (v >= 0x80) {
      u8(static_cast<std::uint8_t>(v | 0x80));
      v >>= 7;
    }
    u8(static_cast<std::uint8_t>(v));
  }
  void bytes(ByteSpan b) {
    if (!b.empty()) std::memcpy(at_, b.data(), b.size());
    at_ += b.size();
  }
  void sized(ByteSpan b) {
    varint(b.size());
    bytes(b);
  }
  std::byte* at() const { return at_; }

 private:
  std::byte* at_;
};

// Differences wrap, so that any two values have one.
inline std::uint64_t zigzag_difference(std::uint64_t value, std::uint64_t base) {
  const std::uint64_t d = value - base;
  return d << 1 ^ (d >> 63 ? ~std::uint64_t{0} : 0);
}
inline std::uint64_t apply_difference(std::uint64_t zigzag, std::uint64_t base) {
  return base + (zigzag >> 1 ^ (zigzag & 1 ? ~std::uint64_t{0} : 0));
}

// A slice: 0 is a hole; else 1 + (zigzag(chunk - (last chunk + 1)) << 1 | part), then, of a part, its offset. A slice that is not a
// part covers its chunk. The length follows unless it is told elsewhere.
inline constexpr std::size_t kSliceBytesMax = 5 + 4 + 10;

template <class W>
void put_slice(W& w, LeafContext& context, const Slice& slice, const std::vector<ChunkRef>& chunks, bool with_length) {
  if (slice.chunk == Slice::kHole) {
    w.varint(0);
    if (with_length) w.varint(slice.length);
    return;
  }
  const std::uint64_t next = std::uint32_t(context.chunk + 1);
  const bool part = slice.offset != 0 || slice.length != chunks[slice.chunk].length;
  w.varint(1 + (zigzag_difference(slice.chunk, next) << 1 | (part ? 1 : 0)));
  if (part) w.varint(slice.offset);
  if (part && with_length) w.varint(slice.length);
  context.chunk = slice.chunk;
  context.chunk_end = slice.offset + static_cast<std::uint32_t>(slice.length);
}

// Null, or the rule that the slice broke. `size` is the length of a slice that does not tell its own.
inline const char* get_slice(Reader& r, LeafContext& context, Slice& slice, const std::vector<ChunkRef>& chunks,
                             const std::uint64_t* size) {
  const std::uint64_t code = r.varint();
  if (code == 0) {
    slice = {Slice::kHole, 0, size ? *size : r.varint()};
    return slice.length == 0 && !r.failed() ? "a slice is empty" : nullptr;
  }
  const std::uint64_t chunk = apply_difference((code - 1) >> 1, std::uint32_t(context.chunk + 1));
  if (chunk >= chunks.size()) return "a slice names a chunk that the page does not";
  const std::uint32_t chunk_length = chunks[chunk].length;
  slice.chunk = static_cast<std::uint32_t>(chunk);
  if ((code - 1) & 1) {
    slice.offset = static_cast<std::uint32_t>(r.varint_max(kChunkBytesMax));
    slice.length = size ? *size : r.varint();
    if (r.failed()) return nullptr;   // the reader knows
    if (slice.offset == 0 && slice.length == chunk_length) return "a whole chunk stands there as a part";
  } else {
    slice.offset = 0;
    slice.length = size ? *size : chunk_length;
    if (slice.length != chunk_length) return "a slice is not as long as its chunk";
  }
  if (slice.length == 0) return "a slice is empty";
  if (slice.offset > chunk_length || slice.length > chunk_length - slice.offset) return "a slice ends beyond its chunk";
  context.chunk = slice.chunk;
  context.chunk_end = slice.offset + static_cast<std::uint32_t>(slice.length);
  return nullptr;
}

// Null when `entry` keeps the rules that hold for it alone, whatever page it stands on.
const char* entry_breach(const Entry& entry);

// varint n, n chunk refs, all different
void read_chunk_table(Decoder& d, std::vector<ChunkRef>& chunks);

}  // namespace coppice::format
