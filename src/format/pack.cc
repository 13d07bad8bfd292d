#include "format/pack.h"

#include <algorithm>

#include "codec_internal.h"
#include "format/block.h"

namespace coppice::format {
namespace {

constexpr std::string_view kPackMagic = "CPPACK01";
constexpr std::uint32_t kBlockBytesMax = kBlockHeaderBytes + kBlockSealedBytesMax;
static_assert(8 + 4 + 4 + 32 == kPackFooterBytes);

}  // namespace

void encode_pack_directory(const std::vector<PackEntry>& entries, Bytes& out) {
  CHECK(entries.size() <= kPackBlocksMax);
  Writer w(out);
  w.varint(entries.size());
  for (const PackEntry& entry : entries) {
    CHECK(entry.birth.pack.sequence <= kPackSequenceMax && entry.bytes >= kBlockHeaderBytes &&
          entry.bytes <= kBlockBytesMax && entry.offset <= kPackBytesMax);
    encode_birth(w, entry.birth);
    w.varint(entry.offset);
    w.varint(entry.bytes);
    w.bytes(entry.hash);
  }
}

Bytes pack_hash_input(const PackName& name, ByteSpan directory) {
  Bytes input;
  input.reserve(13 + directory.size());
  Writer w(input);
  w.u32(name.session.generation);
  w.u32(name.session.slot);
  w.u32(name.sequence);
  w.u8(static_cast<std::uint8_t>(name.kind));
  w.bytes(directory);
  return input;
}

void encode_pack_footer(const PackFooter& footer, Bytes& out) {
  CHECK(footer.directory_bytes >= 1 && footer.directory_bytes <= kPackDirectoryBytesMax);
  Writer w(out);
  w.bytes(as_bytes(kPackMagic));
  w.u32(footer.directory_bytes);
  w.u32(0);
  w.bytes(footer.hash);
}

Result<PackFooter> decode_pack_footer(ByteSpan bytes) {
  Decoder d("pack footer", bytes);
  d.rule(equal(d.bytes(kPackMagic.size()), as_bytes(kPackMagic)), "the magic is not CPPACK01");
  PackFooter footer;
  footer.directory_bytes = d.u32();
  d.rule(footer.directory_bytes >= 1 && footer.directory_bytes <= kPackDirectoryBytesMax,
         "the length of the directory is out of bounds");
  d.rule(d.u32() == 0, "reserved bytes are not zero");
  footer.hash = d.array<32>();
  TRY(d.complete());
  return footer;
}

Result<std::vector<PackEntry>> decode_pack_directory(ByteSpan bytes, std::uint64_t blocks_end) {
  Decoder d("pack directory", bytes);
  d.rule(bytes.size() <= kPackDirectoryBytesMax, "it is longer than a directory may be");
  d.rule(blocks_end <= kPackBytesMax, "the pack is longer than a pack may be");
  const std::uint64_t count = d.count(kPackBlocksMax, 4 + 1 + 2 + 32);
  std::vector<PackEntry> entries;
  entries.reserve(count);
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < count && !d.going_wrong(); ++i) {
    PackEntry entry;
    entry.birth = decode_birth(d);
    entry.offset = d.varint();
    entry.bytes = static_cast<std::uint32_t>(d.varint_max(kBlockBytesMax));
    entry.hash = d.array<32>();
    d.rule(entry.offset == end, "a block does not begin where the one before it ends");
    d.rule(entry.bytes >= kBlockHeaderBytes, "a block is shorter than its header");
    end += entry.bytes;
    entries.push_back(entry);
  }
  d.rule(end == blocks_end, "the blocks do not end where the directory begins");
  std::vector<Birth> births;
  births.reserve(entries.size());
  for (const PackEntry& entry : entries) births.push_back(entry.birth);
  std::ranges::sort(births);
  d.rule(std::ranges::adjacent_find(births) == births.end(), "a birth stands there twice");
  TRY(d.complete());
  return entries;
}

}  // namespace coppice::format
