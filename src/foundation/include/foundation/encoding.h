// Text forms of bytes: hexadecimal and base64 (RFC 4648, with padding).
#pragma once

#include <string>
#include <string_view>

#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice {

std::string render_hex(ByteSpan bytes);                   // lower case
Result<Bytes> parse_hex(std::string_view text);           // kInvalid on odd length or a stray character
std::string render_base64(ByteSpan bytes);
Result<Bytes> parse_base64(std::string_view text);        // strict: padding required, no white space
bool is_utf8(std::string_view text);                      // well-formed per Unicode 15 table 3-7 (no surrogates, no overlongs)
// For a terminal or a log: control characters, escapes and what is not UTF-8 become \xNN, a backslash becomes \\.
std::string render_printable(std::string_view text);

}  // namespace coppice
