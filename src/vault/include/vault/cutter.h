// Where plaintext is cut into chunks. Pure functions of the bytes and the vault's cut key.
//
// Large files: content-defined, gear hash with normalised chunking (Xia et al., FastCDC, USENIX ATC 2016), looked at only where the last
// 32 bytes are a mark, one place in 2^11. Gear table and marks are derived from the cut key, so that chunk lengths tell a thief less.
// Small files: grouped (docs/format/tree.md says how slices name parts of a group).
#pragma once

#include <array>
#include <cstdint>

#include "foundation/bytes.h"

namespace coppice::vault {

inline constexpr std::uint32_t kSmallFileBytesMax = 64u << 10;      // below: grouped; from here: cut alone
inline constexpr std::uint32_t kCutBytesMin = 256u << 10, kCutBytesMean = 512u << 10, kCutBytesMax = 2u << 20;
inline constexpr std::uint32_t kGroupBytesMin = 128u << 10, kGroupBytesMax = 1u << 20;

class Cutter {
 public:
  explicit Cutter(ByteSpan key);        // 32 bytes
  // Where the search for a chunk's end stands, when more bytes are needed to find it.
  struct Search {
    std::size_t at = 0;
  };
  // Length of the first chunk of `data`; 0: its end is further on, call again with the same bytes and more. `last`: the file ends with
  // `data`. `search` is new for each chunk.
  std::size_t first_chunk(ByteSpan data, bool last, Search& search) const;
  std::size_t first_chunk(ByteSpan data) const {   // of a file that ends here
    Search search;
    return first_chunk(data, true, search);
  }
  // Whether a group ends after a file with these bytes, `group_bytes` being the group's size with it.
  bool group_ends_after(ByteSpan file, std::size_t group_bytes) const;

 private:
  bool is_mark(const unsigned char* p) const;   // the 32 bytes from `p` on
  std::size_t find_cut(const unsigned char* p, std::size_t from, std::size_t end, std::uint64_t mask) const;

  std::array<std::uint64_t, 256> gear_;
  std::uint64_t group_seed_;
  std::array<std::uint16_t, 4> factors_;
  std::uint16_t bias_ = 0;
};

}  // namespace coppice::vault
