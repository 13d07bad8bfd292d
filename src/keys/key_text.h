// The text files that hold keys: "name value" lines in a fixed order, comments only before the first, secrets as base64
// of 32 bytes that never leaves locked memory. An error names the line, never what stands in it.
#pragma once

#include <string_view>

#include "foundation/encoding.h"
#include "foundation/result.h"
#include "secret_writer.h"

namespace coppice::keys {

inline constexpr std::size_t kKeyTextBytesMax = 4096;

// 44 characters. No table is indexed and no branch taken by a secret.
void write_base64_key(SecretWriter& w, const crypto::Key& key);
// Nothing unless `text` is the one base64 form of 32 bytes.
Result<crypto::Key> read_base64_key(std::string_view text);

class KeyTextReader {
 public:
  // `what`: "key file". Reads over the comments and the line "<heading> 1". `text` must outlive the reader.
  static Result<KeyTextReader> open(ByteSpan text, std::string_view what, std::string_view heading);
  // The value of the next line, which must be called `name`.
  Result<std::string_view> field(std::string_view name);
  template <std::size_t N>
  Result<std::array<std::byte, N>> hex_field(std::string_view name) {
    const std::string_view value = TRY(field(name));
    const Result<Bytes> bytes = value.size() == 2 * N ? parse_hex(value) : Result<Bytes>(fail_line(""));
    if (!bytes || render_hex(*bytes) != value) return fail_line(name);
    std::array<std::byte, N> out;
    std::memcpy(out.data(), bytes->data(), N);
    return out;
  }
  Result<crypto::Key> key_field(std::string_view name);
  Result<> end();
  std::unexpected<Error> fail_line(std::string_view expected) const;

 private:
  KeyTextReader(std::string_view text, std::string_view what) : rest_(text), what_(what) {}
  std::string_view next_line();
  std::string_view rest_, what_;
  unsigned line_ = 0;
};

}  // namespace coppice::keys
