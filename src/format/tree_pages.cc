// The two smaller kinds of page: an index page names the pages of a huge directory, an extent page holds slices of a huge file.

#include "leaf_internal.h"

namespace coppice::format {

Bytes encode_index_page(const std::vector<IndexPageEntry>& entries) {
  CHECK(!entries.empty());
  Bytes out;
  Writer w(out);
  w.u8(2);
  w.u8(0);
  w.varint(entries.size());
  const std::string* previous = nullptr;
  for (const IndexPageEntry& entry : entries) {
    CHECK(is_valid_name(entry.first_name) && (!previous || *previous < entry.first_name));
    previous = &entry.first_name;
    w.text(entry.first_name);
    encode_chunk_ref(w, entry.page);
  }
  CHECK(out.size() <= kTreeNodeBytesMax);
  return out;
}

Result<std::vector<IndexPageEntry>> decode_index_page_entries(ByteSpan page) {
  Decoder d("tree index page", page);
  if (page.size() > kTreeNodeBytesMax) return std::unexpected(d.corrupt("it is longer than a page may be"));
  d.rule(d.u8() == 2 && d.u8() == 0, "it is no index page");
  const std::uint64_t count = d.count(kTreeNodeBytesMax, 2 + kChunkRefBytesMin);
  d.rule(count >= 1, "it names no page");
  std::vector<IndexPageEntry> entries;
  entries.reserve(count);
  for (std::uint64_t i = 0; i < count && !d.going_wrong(); ++i) {
    IndexPageEntry entry;
    entry.first_name = d.text(kNameBytesMax);
    d.rule(is_valid_name(entry.first_name), "a name may not stand in a tree");
    d.rule(entries.empty() || entries.back().first_name < entry.first_name, "names are not in strict order");
    entry.page = decode_chunk_ref(d);
    entries.push_back(std::move(entry));
  }
  TRY(d.complete());
  return entries;
}

Bytes encode_extent_page(const ExtentPage& page) {
  CHECK(!page.slices.empty() && page.slices.size() <= kExtentPageSlicesMax);
  Bytes out;
  Writer w(out);
  w.u8(3);
  w.u8(0);
  w.varint(page.chunks.size());
  for (const ChunkRef& chunk : page.chunks) encode_chunk_ref(w, chunk);
  w.varint(page.slices.size());
  LeafContext context;
  for (const Slice& slice : page.slices) {
    CHECK(slice.length >= 1);
    if (slice.chunk == Slice::kHole)
      CHECK(slice.offset == 0);
    else
      CHECK(slice.chunk < page.chunks.size() && slice.offset <= page.chunks[slice.chunk].length &&
            slice.length <= page.chunks[slice.chunk].length - slice.offset);
    put_slice(w, context, slice, page.chunks, true);
  }
  CHECK(out.size() <= kTreeNodeBytesMax);
  return out;
}

Result<ExtentPage> decode_extent_page(ByteSpan bytes) {
  Decoder d("extent page", bytes);
  if (bytes.size() > kTreeNodeBytesMax) return std::unexpected(d.corrupt("it is longer than a page may be"));
  d.rule(d.u8() == 3 && d.u8() == 0, "it is no extent page");
  ExtentPage page;
  read_chunk_table(d, page.chunks);
  const std::uint64_t count = d.count(kExtentPageSlicesMax, 1);
  d.rule(count >= 1, "it holds no slice");
  page.slices.reserve(count);
  LeafContext context;
  for (std::uint64_t i = 0; i < count && !d.going_wrong(); ++i)
    if (const char* breach = get_slice(d, context, page.slices.emplace_back(), page.chunks, nullptr)) d.rule(false, breach);
  TRY(d.complete());
  return page;
}

}  // namespace coppice::format
