// An index run: a sorted list of (chunk id prefix -> place), sealed page by page with the index key.
//
//   header (clear, fixed) | directory: SHA-256 of every sealed page (clear) | sealed filter pages | sealed entry pages
//
// Every page is sealed alone (nonce = page number, counted over both kinds) under a key made for this run from the index key and
// the header's salt, so a reader opens only the pages that it needs. A commit names the SHA-256 of header and directory. This layer
// sees opened pages.
#pragma once

#include <vector>

#include "format/ids.h"

namespace coppice::format {

struct IndexEntry {
  std::array<std::byte, 16> prefix{};   // the first 16 bytes of the chunk id
  Birth birth;
  std::uint16_t index = 0;              // in the block's chunk table
  std::uint32_t length = 0;             // of the chunk
  auto operator<=>(const IndexEntry&) const = default;
};

inline constexpr std::uint32_t kIndexEntryBytes = 40;        // prefix 16 | generation u32 | slot u32 | sequence<<1|kind u32 | ordinal u16 | index u16 | length u32 | zero u32
inline constexpr std::uint32_t kIndexPageEntries = 400;      // 16,000 bytes a page
inline constexpr std::uint32_t kIndexFilterPageBytes = 16384;
inline constexpr std::uint64_t kIndexEntriesMax = 1ull << 24;
inline constexpr std::uint32_t kIndexHeaderBytes = 96;
inline constexpr std::uint32_t kIndexSealBytes = 16;         // a sealed page is so much longer

struct IndexHeader {
  std::uint8_t suite = 0;
  SessionId session;                    // the run's name is (session, number)
  std::uint32_t number = 0;
  std::array<std::byte, 32> salt{};
  std::uint64_t entries = 0;
  std::uint32_t filter_pages = 0;       // 0: no filter
  bool operator==(const IndexHeader&) const = default;
};

// Where things lie in a run of at least one entry. Pages are counted over both kinds, filter pages first.
std::uint32_t index_pages(const IndexHeader& header);
inline std::uint64_t index_directory_bytes(const IndexHeader& header) { return std::uint64_t{32} * index_pages(header); }
std::uint32_t index_entries_in_page(const IndexHeader& header, std::uint32_t page);   // 0 for a filter page
std::uint64_t index_page_offset(const IndexHeader& header, std::uint32_t page);       // page == index_pages(): the end of the run
std::uint32_t index_page_bytes(const IndexHeader& header, std::uint32_t page);        // sealed

void encode_index_header(const IndexHeader& header, Bytes& out);
Result<IndexHeader> decode_index_header(ByteSpan bytes);

void encode_index_entry(const IndexEntry& entry, Bytes& out);
// Page `page` of a run must hold exactly the entries that its header says, sorted strictly by prefix.
Result<std::vector<IndexEntry>> decode_index_page(ByteSpan opened, std::uint32_t expected_entries);

// The filter: a blocked Bloom filter over the prefixes, 512-bit blocks, 6 bits set per entry, about 10 bits an entry; false
// positives about 2 %. (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007.)
// `block` of `blocks` by the first 8 bytes of the prefix, the bits by the next 8. A run of one entry page has none.
std::uint32_t index_filter_pages(std::uint64_t entries);
void index_filter_add(MutableByteSpan filter, const std::array<std::byte, 16>& prefix);
bool index_filter_may_contain(ByteSpan filter, const std::array<std::byte, 16>& prefix);

}  // namespace coppice::format
