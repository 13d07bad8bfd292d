// The head that all pages under lists/ have in common.
#pragma once

#include "codec_internal.h"

namespace coppice::format {

inline constexpr std::string_view kListMagic = "CPLIST01";

// DO NOT CHANGE THESE ENUM VALUES
enum class ListPageKind : std::uint8_t { kReferenceLeaf = 0, kReferenceRoot = 1, kPacks = 2 };

inline void encode_list_head(Writer& w, ListPageKind kind) {
  w.bytes(as_bytes(kListMagic));
  w.u8(static_cast<std::uint8_t>(kind));
}

inline void decode_list_head(Decoder& d, ListPageKind kind) {
  d.rule(equal(d.bytes(kListMagic.size()), as_bytes(kListMagic)), "the magic is not CPLIST01");
  d.rule(d.u8() == static_cast<std::uint8_t>(kind), "it is another kind of page");
}

}  // namespace coppice::format
