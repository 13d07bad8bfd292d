// Reading and writing the text files that hold keys.
#include "key_text.h"

#include <fmt/format.h>

namespace coppice::keys {
namespace {

constexpr std::size_t kBase64KeyChars = 44;

// All ones when a < b, else zero; for values below 2^31.
constexpr std::uint32_t mask_less(std::uint32_t a, std::uint32_t b) { return 0u - ((a - b) >> 31); }
constexpr std::uint32_t mask_in(std::uint32_t v, std::uint32_t low, std::uint32_t high) {
  return ~mask_less(v, low) & ~mask_less(high, v);
}

char base64_char(std::uint32_t v) {
  return static_cast<char>((mask_in(v, 0, 25) & (v + 'A')) | (mask_in(v, 26, 51) & (v - 26 + 'a')) |
                           (mask_in(v, 52, 61) & (v - 52 + '0')) | (mask_in(v, 62, 62) & '+') |
                           (mask_in(v, 63, 63) & '/'));
}

// 64 or more: not a base64 character.
std::uint32_t base64_value(char character) {
  const std::uint32_t c = static_cast<unsigned char>(character);
  const std::uint32_t upper = mask_in(c, 'A', 'Z'), lower = mask_in(c, 'a', 'z'), digit = mask_in(c, '0', '9'),
                      plus = mask_in(c, '+', '+'), slash = mask_in(c, '/', '/');
  return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) | (plus & 62) | (slash & 63) |
         (~(upper | lower | digit | plus | slash) & 64);
}

}  // namespace

void write_base64_key(SecretWriter& w, const crypto::Key& key) {
  const ByteSpan bytes = key.view();
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<std::uint32_t>(bytes[i + j]) : 0);
    const std::size_t characters = std::min<std::size_t>(bytes.size() - i, 3) + 1;
    for (std::size_t j = 0; j < 4; ++j)
      w.u8(static_cast<std::uint8_t>(j < characters ? base64_char(group >> (18 - 6 * j) & 63) : '='));
  }
}

Result<crypto::Key> read_base64_key(std::string_view text) {
  // 32 bytes are ten groups of four characters, then three characters and one '='.
  if (text.size() != kBase64KeyChars || text.back() != '=')
    return fail(ErrorKind::kInvalid, "not the base64 form of 32 bytes");
  crypto::Key key;
  const MutableByteSpan out = key.writable();
  std::uint32_t bad = 0, pending = 0, bits = 0;
  std::size_t at = 0;
  for (const char c : text.substr(0, kBase64KeyChars - 1)) {
    const std::uint32_t v = base64_value(c);
    bad |= v & 64;
    pending = (pending << 6 | (v & 63)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = static_cast<std::byte>(pending >> bits & 0xff);
    }
  }
  CHECK(at == out.size());
  bad |= pending & ((1u << bits) - 1);  // the bits beyond the last byte are zero in the one form that we write
  if (bad != 0) return fail(ErrorKind::kInvalid, "not the base64 form of 32 bytes");
  return key;
}

std::unexpected<Error> KeyTextReader::fail_line(std::string_view expected) const {
  return fail(ErrorKind::kInvalid,
              fmt::format("{}: line {} is not a \"{}\" line in its proper form", what_, line_, expected));
}

std::string_view KeyTextReader::next_line() {
  ++line_;
  const std::size_t end = rest_.find('\n');
  const std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  return line;
}

Result<KeyTextReader> KeyTextReader::open(ByteSpan text, std::string_view what, std::string_view heading) {
  if (text.size() > kKeyTextBytesMax) return fail(ErrorKind::kInvalid, fmt::format("{}: too long to be one", what));
  KeyTextReader reader(as_text(text), what);
  while (reader.rest_.starts_with('#')) reader.next_line();
  const std::string_view line = reader.next_line();
  if (!line.starts_with(heading) || line.size() <= heading.size() || line[heading.size()] != ' ')
    return fail(ErrorKind::kInvalid,
                fmt::format("this is no {}: line {} should be \"{} 1\"", what, reader.line_, heading));
  const std::string_view version = line.substr(heading.size() + 1);
  if (version == "1") return reader;
  if (version.size() <= 9 && !version.empty() && version.find_first_not_of("0123456789") == std::string_view::npos)
    return fail(ErrorKind::kUnsupported, fmt::format("{} of version {}; this program knows version 1", what, version));
  return reader.fail_line(heading);
}

Result<std::string_view> KeyTextReader::field(std::string_view name) {
  if (rest_.empty()) {
    ++line_;
    return fail(ErrorKind::kInvalid, fmt::format("{}: ends before its \"{}\" line", what_, name));
  }
  const std::string_view line = next_line();
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') return fail_line(name);
  return line.substr(name.size() + 1);
}

Result<crypto::Key> KeyTextReader::key_field(std::string_view name) {
  const std::string_view value = TRY(field(name));
  Result<crypto::Key> key = read_base64_key(value);
  if (!key) return fail_line(name);
  return key;
}

Result<> KeyTextReader::end() {
  if (!rest_.empty()) return fail(ErrorKind::kInvalid, fmt::format("{}: goes on after its last line", what_));
  return {};
}

}  // namespace coppice::keys
