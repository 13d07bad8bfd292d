#include "directory_record.h"

namespace coppice::capture {
namespace {

constexpr std::uint64_t kCountMax = 1u << 26;   // beyond any directory; an allocation is bounded by the record's own length anyway

}  // namespace

// u32 length | fields
std::uint64_t write_directory_record(StateWriter& writer, const DirectoryRecord& record) {
  Bytes out(4, std::byte{0});
  format::Writer w(out);
  w.u8(record.node.has_value());
  if (record.node) format::encode_chunk_ref(w, *record.node);
  w.varint(record.pages.size());
  for (const format::ChunkRef& page : record.pages) format::encode_chunk_ref(w, page);
  w.varint(record.leaves.size());
  for (const DirectoryRecord::Leaf& leaf : record.leaves) {
    w.varint(leaf.offset);
    w.varint(leaf.bytes);
    w.varint(leaf.entries);
  }
  w.varint(record.children.size());
  for (const std::uint64_t child : record.children) w.varint(child);
  w.varint(record.extents.size());
  for (const ExtentReferences& file : record.extents) {
    w.text(file.name);
    w.varint(file.births.size());
    for (const format::Birth& birth : file.births) format::encode_birth(w, birth);
  }
  store_le<std::uint32_t>(out, 0, static_cast<std::uint32_t>(out.size() - 4));
  return writer.append(out) + 1;
}

Result<DirectoryRecord> read_directory_record(StateReader& reader, std::uint64_t at) {
  if (at == 0) return fail(ErrorKind::kCorrupt, "the source state names no record");
  Bytes head(4);
  TRY(reader.read(at - 1, head));
  const auto length = load_le<std::uint32_t>(head);
  if (length > reader.bytes()) return fail(ErrorKind::kCorrupt, "the source state has a record longer than itself");
  Bytes bytes(length);
  TRY(reader.read(at + 3, bytes));
  format::Reader r(bytes);
  DirectoryRecord record;
  const auto count = [&r] { return r.varint_max(std::min<std::uint64_t>(kCountMax, r.remaining())); };   // an item is a byte at least
  if (r.u8()) record.node = format::decode_chunk_ref(r);
  for (std::uint64_t n = count(); n > 0 && !r.failed(); --n) record.pages.push_back(format::decode_chunk_ref(r));
  for (std::uint64_t n = count(); n > 0 && !r.failed(); --n) {
    const std::uint64_t offset = r.varint();
    const auto bytes = static_cast<std::uint32_t>(r.varint_max(format::kTreeNodeBytesMax));
    record.leaves.push_back({offset, bytes, static_cast<std::uint32_t>(r.varint_max(bytes))});   // an entry is a byte at least
  }
  for (std::uint64_t n = count(); n > 0 && !r.failed(); --n) record.children.push_back(r.varint());
  for (std::uint64_t n = count(); n > 0 && !r.failed(); --n) {
    ExtentReferences& file = record.extents.emplace_back();
    file.name = r.text(format::kNameBytesMax);
    for (std::uint64_t births = count(); births > 0 && !r.failed(); --births) file.births.push_back(format::decode_birth(r));
  }
  if (!r.complete()) return fail(ErrorKind::kCorrupt, "the source state has a record that does not decode");
  return record;
}

}  // namespace coppice::capture
