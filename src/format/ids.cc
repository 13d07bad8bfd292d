#include "format/ids.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "codec_internal.h"
#include "foundation/encoding.h"

namespace coppice::format {
namespace {

constexpr std::uint32_t kU32Max = 0xffffffff;

// The shortest decimal form and nothing else, so that one object has one name.
std::optional<std::uint32_t> take_number(std::string_view& text, char end) {
  const std::size_t length = end == 0 ? text.size() : text.find(end);
  if (length == std::string_view::npos || length == 0 || length > 10) return std::nullopt;
  const std::string_view digits = text.substr(0, length);
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + length, value);
  if (error != std::errc{} || stop != digits.data() + length || (digits[0] == '0' && length > 1)) return std::nullopt;
  text.remove_prefix(end == 0 ? length : length + 1);
  return value;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::unexpected<Error> not_a_name(std::string_view what, std::string_view object) {
  return fail(ErrorKind::kInvalid, fmt::format("\"{}\" does not name a {}", render_printable(object), what));
}

}  // namespace

void encode_birth(Writer& w, const Birth& birth) {
  CHECK(birth.pack.sequence <= kSnapshotSequence && birth.ordinal < kPackBlocksMax);
  put_pack_name(w, birth.pack);
  w.varint(birth.ordinal);
}

Birth decode_birth(Reader& r) {
  Birth birth;
  birth.pack = decode_pack_name(r);
  birth.ordinal = static_cast<std::uint16_t>(r.varint_max(kPackBlocksMax - 1));
  return birth;
}

void encode_chunk_ref(Writer& w, const ChunkRef& ref) { put_chunk_ref(w, ref); }

ChunkRef decode_chunk_ref(Reader& r) {
  ChunkRef ref;
  ref.id.bytes = r.array<32>();
  ref.birth = decode_birth(r);
  ref.index = static_cast<std::uint16_t>(r.varint_max(kBlockChunksMax - 1));
  ref.length = static_cast<std::uint32_t>(r.varint_max(kChunkBytesMax));
  r.expect(ref.length >= 1);
  return ref;
}

PackName decode_pack_name(Reader& r) {
  PackName name;
  name.session = decode_session(r);
  const std::uint64_t sequence_kind = r.varint_max(kU32Max);
  r.expect(sequence_kind >> 1 <= kPackSequenceMax);
  name.kind = static_cast<PackKind>(sequence_kind & 1);
  name.sequence = static_cast<std::uint32_t>(sequence_kind >> 1);
  return name;
}

void encode_session(Writer& w, SessionId session) {
  w.varint(session.generation);
  w.varint(session.slot);
}

SessionId decode_session(Reader& r) {
  SessionId session;
  session.generation = static_cast<std::uint32_t>(r.varint_max(kU32Max));
  session.slot = static_cast<std::uint32_t>(r.varint_max(kU32Max));
  return session;
}

void encode_timestamp(Writer& w, Timestamp t) {
  CHECK(t.nanoseconds < kNanosecondsEnd);
  w.zigzag(t.seconds);
  w.varint(t.nanoseconds);
}

Timestamp decode_timestamp(Reader& r) {
  Timestamp t;
  t.seconds = r.zigzag();
  t.nanoseconds = static_cast<std::uint32_t>(r.varint_max(kNanosecondsEnd - 1));
  return t;
}

bool is_printable_utf8(std::string_view text) {
  if (!is_utf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return false;
    // U+0080..U+009F: control characters of two bytes.
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
  }
  return true;
}

std::string pack_object(const PackName& name) {
  CHECK(name.sequence <= kPackSequenceMax);
  return fmt::format("{}/{}/{}/{}", name.kind == PackKind::kData ? "packs" : "trees", name.session.generation,
                     name.session.slot, name.sequence);
}

Result<PackName> parse_pack_object(std::string_view object) {
  std::string_view rest = object;
  PackName name;
  if (take_prefix(rest, "packs/"))
    name.kind = PackKind::kData;
  else if (take_prefix(rest, "trees/"))
    name.kind = PackKind::kTree;
  else
    return not_a_name("pack", object);
  const auto generation = take_number(rest, '/');
  const auto slot = generation ? take_number(rest, '/') : std::nullopt;
  const auto sequence = slot ? take_number(rest, 0) : std::nullopt;
  if (!sequence || *sequence > kPackSequenceMax) return not_a_name("pack", object);
  name.session = {*generation, *slot};
  name.sequence = *sequence;
  return name;
}

std::string index_object(SessionId session, std::uint32_t number) {
  return fmt::format("index/{}/{}/{}", session.generation, session.slot, number);
}

std::string slot_object(SessionId session) {
  return fmt::format("generations/{}/slots/{}", session.generation, session.slot);
}

Result<SessionId> parse_slot_object(std::string_view object) {
  std::string_view rest = object;
  if (!take_prefix(rest, "generations/")) return not_a_name("slot", object);
  const auto generation = take_number(rest, '/');
  if (!generation || !take_prefix(rest, "slots/")) return not_a_name("slot", object);
  const auto slot = take_number(rest, 0);
  if (!slot) return not_a_name("slot", object);
  return SessionId{*generation, *slot};
}

std::string plan_object(std::uint32_t generation) { return fmt::format("generations/{}/plan", generation); }
std::string seal_object(std::uint32_t generation) { return fmt::format("generations/{}/seal", generation); }

std::string snapshot_object(SessionId session) {
  return fmt::format("snapshots/{}.{}", session.generation, session.slot);
}

Result<SessionId> parse_snapshot_object(std::string_view object) {
  std::string_view rest = object;
  if (!take_prefix(rest, "snapshots/")) return not_a_name("snapshot", object);
  const auto generation = take_number(rest, '.');
  const auto slot = generation ? take_number(rest, 0) : std::nullopt;
  if (!slot) return not_a_name("snapshot", object);
  return SessionId{*generation, *slot};
}

std::string forget_object(SessionId session, std::uint32_t place) {
  CHECK(place < kForgetPlaces);
  return fmt::format("forgets/{}.{}", session.generation, session.slot) + (place > 0 ? fmt::format(".{}", place) : "");
}

Result<SessionId> parse_forget_object(std::string_view object) {
  std::string_view rest = object;
  if (!take_prefix(rest, "forgets/")) return not_a_name("forget", object);
  const bool first = std::ranges::count(rest, '.') == 1;
  const auto generation = take_number(rest, '.');
  const auto slot = generation ? take_number(rest, first ? 0 : '.') : std::nullopt;
  if (!slot) return not_a_name("forget", object);
  if (!first) {
    const auto place = take_number(rest, 0);
    if (!place || *place == 0 || *place >= kForgetPlaces) return not_a_name("forget", object);
  }
  return SessionId{*generation, *slot};
}

std::string list_object(const Digest& hash) { return "lists/" + render_hex(hash); }
std::string roster_object(std::uint32_t version) { return fmt::format("roster/{}", version); }
std::string key_object(const MemberId& member) { return "keys/" + render_hex(member); }

}  // namespace coppice::format
