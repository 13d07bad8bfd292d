// What layer foundation reads: texts of a command line, of key files and of vault.json.
#pragma once

#include "foundation/check.h"
#include "foundation/encoding.h"
#include "foundation/size.h"
#include "foundation/time.h"
#include "fuzz/named_decoder.h"

namespace coppice::foundation_fuzz {

inline bool hex(ByteSpan in) {
  const auto bytes = parse_hex(as_text(in));
  if (!bytes) return false;
  const auto again = parse_hex(render_hex(*bytes));   // upper case is accepted, so the text may differ
  CHECK(again.has_value() && equal(*again, *bytes));
  return true;
}

inline bool base64(ByteSpan in) {
  const auto bytes = parse_base64(as_text(in));
  if (!bytes) return false;
  CHECK(render_base64(*bytes) == as_text(in));
  return true;
}

inline bool moment(ByteSpan in) {
  const auto span = parse_time(as_text(in));
  if (!span) return false;
  CHECK(span->begin < span->end && span->begin.nanoseconds < 1'000'000'000 && span->end.nanoseconds < 1'000'000'000);
  return true;
}

inline bool size(ByteSpan in) { return parse_size(as_text(in)).has_value(); }

inline bool printable(ByteSpan in) {
  const std::string shown = render_printable(as_text(in));
  CHECK(is_utf8(shown));
  for (const char c : shown) CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  return true;
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {{"hex", hex}, {"base64", base64}, {"moment", moment}, {"size", size}, {"printable", printable}};

}  // namespace coppice::foundation_fuzz
