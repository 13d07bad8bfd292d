#include "format/index.h"

#include <algorithm>

#include "codec_internal.h"

namespace coppice::format {
namespace {

constexpr std::string_view kIndexMagic = "CPINDEX1";
constexpr std::size_t kHeaderZeroBytes = kIndexHeaderBytes - (8 + 4 + 4 + 4 + 4 + 32 + 8 + 4);
static_assert(kHeaderZeroBytes == 28);
static_assert(kIndexEntryBytes == 16 + 4 + 4 + 4 + 2 + 2 + 4 + 4);

constexpr std::size_t kFilterBlockBytes = 64;
constexpr unsigned kFilterBits = 6;             // set for each entry
constexpr std::uint64_t kFilterBitsPerEntry = 10;

// `v` as a fraction of 2^64, scaled to [0, n).
std::uint64_t scale(std::uint64_t v, std::uint64_t n) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(v) * n >> 64);
}

bool is_zero(ByteSpan bytes) {
  for (const std::byte b : bytes)
    if (b != std::byte{0}) return false;
  return true;
}

}  // namespace

std::uint32_t index_pages(const IndexHeader& header) {
  return header.filter_pages + static_cast<std::uint32_t>((header.entries + kIndexPageEntries - 1) / kIndexPageEntries);
}

std::uint32_t index_entries_in_page(const IndexHeader& header, std::uint32_t page) {
  if (page < header.filter_pages) return 0;
  const std::uint64_t first = std::uint64_t{page - header.filter_pages} * kIndexPageEntries;
  CHECK(first < header.entries);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(kIndexPageEntries, header.entries - first));
}

std::uint32_t index_page_bytes(const IndexHeader& header, std::uint32_t page) {
  const std::uint32_t entries = index_entries_in_page(header, page);
  return (entries ? entries * kIndexEntryBytes : kIndexFilterPageBytes) + kIndexSealBytes;
}

std::uint64_t index_page_offset(const IndexHeader& header, std::uint32_t page) {
  CHECK(page <= index_pages(header));
  const std::uint64_t filter_pages = std::min(page, header.filter_pages), entry_pages = page - filter_pages;
  // Every entry page before `page` but the last of the run is full.
  return kIndexHeaderBytes + index_directory_bytes(header) + filter_pages * (kIndexFilterPageBytes + kIndexSealBytes) +
         std::min(entry_pages * kIndexPageEntries, header.entries) * kIndexEntryBytes + entry_pages * kIndexSealBytes;
}

void encode_index_header(const IndexHeader& header, Bytes& out) {
  CHECK(header.entries <= kIndexEntriesMax);
  CHECK(header.filter_pages == 0 || header.filter_pages == index_filter_pages(header.entries));
  Writer w(out);
  w.bytes(as_bytes(kIndexMagic));
  w.u32(header.suite);   // one byte and three of zero
  w.u32(header.session.generation);
  w.u32(header.session.slot);
  w.u32(header.number);
  w.bytes(header.salt);
  w.u64(header.entries);
  w.u32(header.filter_pages);
  w.bytes(std::array<std::byte, kHeaderZeroBytes>{});
}

Result<IndexHeader> decode_index_header(ByteSpan bytes) {
  Decoder d("index header", bytes);
  d.rule(equal(d.bytes(kIndexMagic.size()), as_bytes(kIndexMagic)), "the magic is not CPINDEX1");
  IndexHeader header;
  header.suite = d.u8();
  const bool zero_first = is_zero(d.bytes(3));
  header.session.generation = d.u32();
  header.session.slot = d.u32();
  header.number = d.u32();
  header.salt = d.array<32>();
  header.entries = d.u64();
  header.filter_pages = d.u32();
  d.rule(zero_first && is_zero(d.bytes(kHeaderZeroBytes)), "reserved bytes are not zero");
  d.rule(header.entries <= kIndexEntriesMax, "it has more entries than a run may have");
  d.rule(header.filter_pages == 0 || d.going_wrong() || header.filter_pages == index_filter_pages(header.entries),
         "the filter is not of the size that its entries ask for");
  TRY(d.complete());
  return header;
}

void encode_index_entry(const IndexEntry& entry, Bytes& out) {
  CHECK(entry.birth.pack.sequence <= kPackSequenceMax && entry.birth.ordinal < kPackBlocksMax);
  CHECK(entry.index < kBlockChunksMax && entry.length >= 1 && entry.length <= kChunkBytesMax);
  std::array<std::byte, kIndexEntryBytes> raw{};
  std::memcpy(raw.data(), entry.prefix.data(), 16);
  store_le<std::uint32_t>(raw, 16, entry.birth.pack.session.generation);
  store_le<std::uint32_t>(raw, 20, entry.birth.pack.session.slot);
  store_le<std::uint32_t>(raw, 24, entry.birth.pack.sequence << 1 | static_cast<std::uint32_t>(entry.birth.pack.kind));
  store_le<std::uint16_t>(raw, 28, entry.birth.ordinal);
  store_le<std::uint16_t>(raw, 30, entry.index);
  store_le<std::uint32_t>(raw, 32, entry.length);
  append(out, raw);
}

Result<std::vector<IndexEntry>> decode_index_page(ByteSpan opened, std::uint32_t expected_entries) {
  const auto corrupt = [](const char* rule) { return fail(ErrorKind::kCorrupt, fmt::format("index page: {}", rule)); };
  if (expected_entries > kIndexPageEntries) return corrupt("more entries are expected than a page may hold");
  if (opened.size() != std::size_t{expected_entries} * kIndexEntryBytes)
    return corrupt("it does not hold the number of entries that the header says");
  std::vector<IndexEntry> entries(expected_entries);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ByteSpan raw = opened.subspan(i * kIndexEntryBytes, kIndexEntryBytes);
    IndexEntry& entry = entries[i];
    std::memcpy(entry.prefix.data(), raw.data(), 16);
    entry.birth.pack.session.generation = load_le<std::uint32_t>(raw, 16);
    entry.birth.pack.session.slot = load_le<std::uint32_t>(raw, 20);
    const auto sequence_kind = load_le<std::uint32_t>(raw, 24);
    entry.birth.pack.kind = static_cast<PackKind>(sequence_kind & 1);
    entry.birth.pack.sequence = sequence_kind >> 1;
    entry.birth.ordinal = load_le<std::uint16_t>(raw, 28);
    entry.index = load_le<std::uint16_t>(raw, 30);
    entry.length = load_le<std::uint32_t>(raw, 32);
    if (entry.birth.pack.sequence > kPackSequenceMax || entry.birth.ordinal >= kPackBlocksMax)
      return corrupt("a birth is out of bounds");
    if (entry.index >= kBlockChunksMax) return corrupt("a chunk's number in its block is too large");
    if (entry.length < 1 || entry.length > kChunkBytesMax) return corrupt("a chunk's length is out of bounds");
    if (load_le<std::uint32_t>(raw, 36) != 0) return corrupt("reserved bytes are not zero");
    if (i > 0 && !(entries[i - 1].prefix < entry.prefix)) return corrupt("its entries are not in strict order");
  }
  return entries;
}

std::uint32_t index_filter_pages(std::uint64_t entries) {
  CHECK(entries <= kIndexEntriesMax);
  if (entries <= kIndexPageEntries) return 0;   // reading the one page of entries costs no more than a filter's
  constexpr std::uint64_t kPageBits = std::uint64_t{kIndexFilterPageBytes} * 8;
  return static_cast<std::uint32_t>((entries * kFilterBitsPerEntry + kPageBits - 1) / kPageBits);
}

void index_filter_add(MutableByteSpan filter, const std::array<std::byte, 16>& prefix) {
  CHECK(!filter.empty() && filter.size() % kFilterBlockBytes == 0);
  std::byte* block = filter.data() + scale(load_le<std::uint64_t>(prefix), filter.size() / kFilterBlockBytes) * kFilterBlockBytes;
  std::uint64_t bits = load_le<std::uint64_t>(prefix, 8);
  for (unsigned i = 0; i < kFilterBits; ++i, bits >>= 9) block[bits >> 3 & 63] |= std::byte{1} << (bits & 7);
}

bool index_filter_may_contain(ByteSpan filter, const std::array<std::byte, 16>& prefix) {
  const std::size_t blocks = filter.size() / kFilterBlockBytes;
  if (blocks == 0) return true;
  const std::byte* block = filter.data() + scale(load_le<std::uint64_t>(prefix), blocks) * kFilterBlockBytes;
  std::uint64_t bits = load_le<std::uint64_t>(prefix, 8);
  for (unsigned i = 0; i < kFilterBits; ++i, bits >>= 9)
    if ((block[bits >> 3 & 63] & std::byte{1} << (bits & 7)) == std::byte{0}) return false;
  return true;
}

}  // namespace coppice::format
