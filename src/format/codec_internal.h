// Shared by the encodings of this layer: small fields that stand in several structures, and a decoder that remembers which rule
// of the format the bytes broke.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "format/ids.h"
#include "foundation/check.h"
#include "foundation/time.h"

namespace coppice::format {

inline constexpr std::uint32_t kNanosecondsEnd = 1'000'000'000;

// A reader and the first rule that what it read did not keep. Read everything, state every rule, then ask once, with complete().
class Decoder : public Reader {
 public:
  Decoder(std::string_view what, ByteSpan bytes) : Reader(bytes), what_(what) {}
  void rule(bool kept, std::string_view text) {
    if (!kept && broken_.empty() && !failed()) broken_ = text;
  }
  bool going_wrong() const { return failed() || !broken_.empty(); }
  Error corrupt(std::string_view text) const { return Error(ErrorKind::kCorrupt, fmt::format("{}: {}", what_, text)); }
  // kCorrupt when a rule was broken, a field did not fit or bytes are left over.
  Result<> complete() const {
    if (!broken_.empty()) return std::unexpected(corrupt(broken_));
    if (failed()) return std::unexpected(corrupt("it ends early, or a number is malformed or too large"));
    if (remaining() != 0) return std::unexpected(corrupt("bytes are left over"));
    return {};
  }
  // For a count of things that take at least `bytes_min` each: what follows must be long enough, so nothing is allocated in vain.
  std::uint64_t count(std::uint64_t max, std::size_t bytes_min) {
    const std::uint64_t n = varint_max(max);
    rule(n <= remaining() / bytes_min, "a count is larger than what follows");
    return going_wrong() ? 0 : n;
  }

 private:
  std::string_view what_, broken_;   // texts that live as long as the program
};

// The same fields for Writer and for RawWriter (leaf_internal.h).
template <class W>
void put_pack_name(W& w, const PackName& name) {
  w.varint(name.session.generation);
  w.varint(name.session.slot);
  w.varint(std::uint64_t{name.sequence} << 1 | static_cast<std::uint8_t>(name.kind));
}
template <class W>
void put_chunk_ref(W& w, const ChunkRef& ref) {
  CHECK(ref.length >= 1 && ref.length <= kChunkBytesMax && ref.index < kBlockChunksMax);
  CHECK(ref.birth.pack.sequence <= kPackSequenceMax && ref.birth.ordinal < kPackBlocksMax);
  w.bytes(ref.id.bytes);
  put_pack_name(w, ref.birth.pack);
  w.varint(ref.birth.ordinal);
  w.varint(ref.index);
  w.varint(ref.length);
}

PackName decode_pack_name(Reader& r);
inline constexpr std::size_t kChunkRefBytesMin = 32 + 4 + 1 + 1;
inline constexpr std::size_t kChunkRefBytesMax = 32 + 5 + 5 + 5 + 2 + 3 + 4;

// varint generation, varint slot
void encode_session(Writer& w, SessionId session);
SessionId decode_session(Reader& r);
// zigzag seconds, varint nanoseconds
void encode_timestamp(Writer& w, Timestamp t);
Timestamp decode_timestamp(Reader& r);

// Well-formed UTF-8 without control characters.
bool is_printable_utf8(std::string_view text);

}  // namespace coppice::format
