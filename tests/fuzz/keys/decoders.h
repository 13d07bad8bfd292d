// What layer keys reads: bundles out of opened slots, and texts that people keep and type.
#pragma once

#include "foundation/check.h"
#include "fuzz/named_decoder.h"
#include "keys/bundle.h"
#include "keys/identity.h"
#include "keys/key_file.h"
#include "keys/recovery_sheet.h"

namespace coppice::keys::fuzz {

inline bool bundle(ByteSpan in) {
  const auto bundle = decode_bundle(in);
  if (!bundle) return false;
  CHECK(equal(encode_bundle(*bundle).view(), in));
  return true;
}

// Comments may stand before a key file and an identity, so their texts are compared as they are rendered.
inline bool key_file(ByteSpan in) {
  const auto file = parse_key_file(in);
  if (!file) return false;
  const auto text = render_key_file(*file);
  const auto again = parse_key_file(text.view());
  CHECK(again.has_value() && equal(render_key_file(*again).view(), text.view()));
  return true;
}

inline bool identity(ByteSpan in) {
  const auto identity = parse_identity(in);
  if (!identity) return false;
  const auto text = render_identity(*identity);
  const auto again = parse_identity(text.view());
  CHECK(again.has_value() && equal(render_identity(*again).view(), text.view()));
  return true;
}

inline bool recipient(ByteSpan in) {
  const auto key = parse_recipient(as_text(in));
  if (!key) return false;
  const auto again = parse_recipient(render_recipient(*key));
  CHECK(again.has_value() && *again == *key);
  return true;
}

inline bool recovery_words(ByteSpan in) {
  const auto sheet = parse_recovery_words(in, std::nullopt);
  if (!sheet) return false;
  const auto words = render_recovery_words(sheet->vault, sheet->root);
  const auto again = parse_recovery_words(words.view(), sheet->vault);
  CHECK(again.has_value() && equal(again->root.view(), sheet->root.view()));
  return true;
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {
    {"bundle", bundle}, {"key_file", key_file}, {"identity", identity}, {"recipient", recipient}, {"recovery_words", recovery_words},
};

}  // namespace coppice::keys::fuzz
