// Hexadecimal, base64, UTF-8 validity and what may be shown on a terminal. Decoders are strict: one value has one text.
#include "foundation/encoding.h"

#include <algorithm>
#include <array>

namespace coppice {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> make_base64_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i)
    values[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr auto kBase64Values = make_base64_values();

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The code point at the start of `text` and its length in bytes; length 0 when what stands there is not well-formed.
struct Utf8Unit {
  std::size_t bytes = 0;
  std::uint32_t code_point = 0;
};

Utf8Unit first_utf8_unit(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return {};
  const unsigned char lead = at(0);
  if (lead < 0x80) return {1, lead};
  std::size_t bytes = 0;
  std::uint32_t value = 0;
  // The range of the second byte is what keeps out overlongs (E0, F0), surrogates (ED) and what is past U+10FFFF (F4).
  unsigned char second_min = 0x80, second_max = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    bytes = 2, value = lead & 0x1fu;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    bytes = 3, value = lead & 0x0fu;
    if (lead == 0xe0) second_min = 0xa0;
    if (lead == 0xed) second_max = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    bytes = 4, value = lead & 0x07u;
    if (lead == 0xf0) second_min = 0x90;
    if (lead == 0xf4) second_max = 0x8f;
  } else {
    return {};
  }
  if (text.size() < bytes || at(1) < second_min || at(1) > second_max) return {};
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (at(i) & 0x3fu);
  }
  return {bytes, value};
}

// What could move the cursor, start an escape sequence (C0, DEL, and C1, where U+009B is CSI) or reorder what a person
// reads (bidirectional controls, line and paragraph separators).
bool changes_the_terminal(std::uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) ||
         (code_point >= 0x2028 && code_point <= 0x202e) || (code_point >= 0x2066 && code_point <= 0x2069);
}

void append_escaped(std::string& to, std::string_view bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    to += "\\x";
    to += kHexDigits[byte >> 4];
    to += kHexDigits[byte & 15];
  }
}

}  // namespace

std::string render_hex(ByteSpan bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    const auto value = std::to_integer<unsigned>(b);
    text += kHexDigits[value >> 4];
    text += kHexDigits[value & 15];
  }
  return text;
}

Result<Bytes> parse_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(ErrorKind::kInvalid, "hexadecimal text of odd length");
  Bytes bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return fail(ErrorKind::kInvalid, "not a hexadecimal digit");
    bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return bytes;
}

std::string render_base64(ByteSpan bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? kBase64Digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

Result<Bytes> parse_base64(std::string_view text) {
  if (text.size() % 4 != 0) return fail(ErrorKind::kInvalid, "base64 text whose length is not a multiple of four");
  std::size_t padding = 0;
  if (text.ends_with("==")) {
    padding = 2;
  } else if (text.ends_with('=')) {
    padding = 1;
  }
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t digits = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::uint8_t value = k < digits ? kBase64Values[static_cast<unsigned char>(text[i + k])] : 0;
      if (value == kNoDigit) return fail(ErrorKind::kInvalid, "not a base64 digit");
      group = group << 6 | value;
    }
    // The bits that the padding cuts off must be zero, else two texts would name the same bytes.
    if ((digits == 2 && (group & 0xffff) != 0) || (digits == 3 && (group & 0xff) != 0))
      return fail(ErrorKind::kInvalid, "base64 text with bits left over");
    for (std::size_t k = 0; k + 1 < digits; ++k) bytes.push_back(static_cast<std::byte>(group >> (16 - 8 * k) & 0xff));
  }
  return bytes;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Unit unit = first_utf8_unit(text);
    if (unit.bytes == 0) return false;
    text.remove_prefix(unit.bytes);
  }
  return true;
}

std::string render_printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Unit unit = first_utf8_unit(text);
    const std::size_t bytes = unit.bytes == 0 ? 1 : unit.bytes;
    if (unit.bytes == 0 || changes_the_terminal(unit.code_point)) {
      append_escaped(out, text.substr(0, bytes));
    } else if (unit.code_point == '\\') {
      out += "\\\\";
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace coppice
