// What a restore understands of extended attributes.
#pragma once

#include "foundation/bytes.h"
#include "fuzz/named_decoder.h"
#include "posix_acl.h"

namespace coppice::restore::fuzz {

inline bool posix_acl(ByteSpan in) { return parse_posix_acl(as_text(in)).has_value(); }

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {{"posix_acl", posix_acl}};

}  // namespace coppice::restore::fuzz
