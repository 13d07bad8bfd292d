#include "format/snapshot.h"

#include <algorithm>

#include "codec_internal.h"
#include "format/block.h"
#include "format/index.h"
#include "foundation/encoding.h"

namespace coppice::format {
namespace {

constexpr std::size_t kMagicBytes = 8, kSignerBytes = 16, kSignatureBytes = 64;
constexpr std::size_t kEnvelopeBytesMin = kMagicBytes + 4 + kSignerBytes + kSignatureBytes;
constexpr std::uint32_t kReadFeaturesKnown = 0;   // format 1 has none

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "CPSNAP01" is "CPSNAP" and version 1.
std::string_view magic_stem(std::string_view magic) {
  while (!magic.empty() && is_digit(magic.back())) magic.remove_suffix(1);
  return magic;
}
std::string_view magic_version(std::string_view magic) {
  std::string_view version = magic.substr(magic_stem(magic).size());
  while (version.size() > 1 && version.front() == '0') version.remove_prefix(1);
  return version;
}

// What each envelope holds, for messages.
std::string_view envelope_name(std::string_view magic) {
  if (magic == kClaimMagic) return "claim";
  if (magic == kCommitMagic) return "commit";
  if (magic == kForgetMagic) return "forget";
  if (magic == kRosterMagic) return "roster";
  if (magic == kPlanMagic) return "plan";
  if (magic == kSealMagic) return "seal";
  return "envelope";
}

void encode_run(Writer& w, const RunRecord& run) {
  CHECK(run.entries <= kIndexEntriesMax);
  encode_session(w, run.session);
  w.varint(run.number);
  w.varint(run.entries);
  w.varint(run.bytes);
  w.bytes(run.hash);
}

RunRecord decode_run(Reader& r) {
  RunRecord run;
  run.session = decode_session(r);
  run.number = static_cast<std::uint32_t>(r.varint_max(0xffffffff));
  run.entries = r.varint_max(kIndexEntriesMax);
  run.bytes = r.varint();
  run.hash = r.array<32>();
  return run;
}

void encode_runs(Writer& w, const std::vector<RunRecord>& runs) {
  CHECK(runs.size() <= kCommitRunsMax);
  w.varint(runs.size());
  for (const RunRecord& run : runs) encode_run(w, run);
}

std::vector<RunRecord> decode_runs(Decoder& d) {
  std::vector<RunRecord> runs;
  const std::uint64_t count = d.count(kCommitRunsMax, 2 + 3 + 32);
  runs.reserve(count);
  for (std::uint64_t i = 0; i < count && !d.failed(); ++i) runs.push_back(decode_run(d));
  return runs;
}

std::uint64_t pages_for(std::uint64_t packs) { return (packs + kPackPageRecordsMax - 1) / kPackPageRecordsMax; }

void encode_packs(Writer& w, const PackList& list) {
  CHECK(list.pages.size() <= kPackPagesMax && list.pages.size() == pages_for(list.packs));
  CHECK(list.bytes <= list.packs * kPackBytesMax);
  w.varint(list.packs);
  w.varint(list.bytes);
  for (const Digest& page : list.pages) w.bytes(page);
}

// The number of pages follows from that of the packs.
PackList decode_packs(Decoder& d) {
  PackList list;
  list.packs = d.varint_max(std::uint64_t{kPackPagesMax} * kPackPageRecordsMax);
  list.bytes = d.varint_max(list.packs * kPackBytesMax);
  const std::uint64_t pages = pages_for(list.packs);
  d.rule(pages <= d.remaining() / 32, "a count is larger than what follows");
  if (d.going_wrong()) return list;
  list.pages.reserve(pages);
  for (std::uint64_t i = 0; i < pages; ++i) list.pages.push_back(d.array<32>());
  return list;
}

void encode_texts(Writer& w, const std::vector<std::string>& texts) {
  w.varint(texts.size());
  for (const std::string& text : texts) w.text(text);
}

std::vector<std::string> decode_texts(Decoder& d) {
  std::vector<std::string> texts;
  const std::uint64_t count = d.count(kSnapshotTextsMax, 1);
  for (std::uint64_t i = 0; i < count && !d.failed(); ++i) texts.push_back(d.text(kSnapshotTextBytesMax));
  return texts;
}

// Null when the body keeps every rule that its encoding does not show.
const char* body_breach(const SnapshotBody& body) {
  const auto too_long = [](const std::string& text) { return text.size() > kSnapshotTextBytesMax; };
  if (too_long(body.host) || too_long(body.user) || too_long(body.program)) return "a text is too long";
  for (const auto* texts : {&body.sources, &body.tags, &body.includes, &body.excludes}) {
    if (texts->size() > kSnapshotTextsMax) return "a list of texts is too long";
    if (std::ranges::any_of(*texts, too_long)) return "a text is too long";
  }
  if (!std::ranges::is_sorted(body.tags)) return "the tags are not sorted";
  if (body.started.nanoseconds >= kNanosecondsEnd || body.finished.nanoseconds >= kNanosecondsEnd)
    return "nanoseconds are out of bounds";
  if (body.root_entry) {
    const Entry& root = *body.root_entry;
    if (root.type != EntryType::kDirectory || !root.name.empty() || root.child) return "the entry of the root is no directory without name and node";
    if (!check_entry(root)) return "the entry of the root breaks a rule";
  }
  return nullptr;
}

// A leaf page of this one entry.
Bytes write_root_entry(const Entry& root) {
  LeafBuilder page;
  page.add_entry(root);
  return page.finish();
}

Result<> read_root_entry(ByteSpan page, Entry& root) {
  LeafReader reader = TRY(LeafReader::open(page));
  if (reader.count() != 1 || !reader.chunks().empty()) return fail(ErrorKind::kCorrupt, "it is not one entry");
  Entry end;
  TRY(reader.next(root));
  TRY(reader.next(end));
  return {};
}

Bytes write_snapshot_body(const SnapshotBody& body) {
  Bytes out;
  Writer w(out);
  w.text(body.host);
  encode_texts(w, body.sources);
  encode_texts(w, body.tags);
  encode_texts(w, body.includes);
  encode_texts(w, body.excludes);
  w.text(body.user);
  w.text(body.program);
  encode_timestamp(w, body.started);
  encode_timestamp(w, body.finished);
  w.u8(body.root ? 1 : 0);
  if (body.root) encode_chunk_ref(w, *body.root);
  w.u8(body.root_entry ? 1 : 0);
  if (body.root_entry) w.sized(write_root_entry(*body.root_entry));
  for (const std::uint64_t v : {body.files, body.directories, body.others, body.bytes, body.files_new, body.files_changed,
                                body.added_plain, body.added_stored, body.warnings, body.duration_ms})
    w.varint(v);
  w.u8(body.complete ? 1 : 0);
  return out;
}

}  // namespace

Bytes signed_message(std::string_view magic, const VaultId& vault, ByteSpan body) {
  CHECK(magic.size() == kMagicBytes);
  Bytes message;
  message.reserve(64 + body.size());
  Writer w(message);
  w.bytes(as_bytes("coppice 1 "));
  w.bytes(as_bytes(magic));
  w.u8(0);
  w.bytes(vault);
  w.bytes(body);
  return message;
}

Bytes encode_envelope(std::string_view magic, const Envelope& envelope) {
  CHECK(magic.size() == kMagicBytes);
  CHECK(envelope.body.size() <= kControlObjectBytesMax - kEnvelopeBytesMin);
  Bytes out;
  out.reserve(kEnvelopeBytesMin + envelope.body.size());
  Writer w(out);
  w.bytes(as_bytes(magic));
  w.u32(static_cast<std::uint32_t>(envelope.body.size()));
  w.bytes(envelope.body);
  w.bytes(envelope.signer);
  w.bytes(envelope.signature);
  return out;
}

Result<Envelope> decode_envelope(std::string_view magic, ByteSpan bytes) {
  CHECK(magic.size() == kMagicBytes);
  const std::string_view name = envelope_name(magic);
  Decoder d(name, bytes);
  if (bytes.size() > kControlObjectBytesMax) return std::unexpected(d.corrupt("it is longer than a control object may be"));
  const std::string_view found = as_text(d.bytes(kMagicBytes));
  if (found != magic && found.size() == kMagicBytes) {
    if (magic_stem(found) == magic_stem(magic))
      return fail(ErrorKind::kUnsupported, fmt::format("{}: it is of format {}; this coppice reads format {}", name,
                                                       magic_version(found), magic_version(magic)));
    return std::unexpected(d.corrupt(fmt::format("the magic is not {}", magic)));
  }
  const std::uint32_t body_bytes = d.u32();
  const ByteSpan body = d.bytes(body_bytes);
  Envelope envelope;
  envelope.signer = d.array<kSignerBytes>();
  envelope.signature = d.array<kSignatureBytes>();
  TRY(d.complete());
  envelope.body = to_bytes(body);
  return envelope;
}

Bytes encode_claim(const Claim& claim) {
  Bytes out;
  Writer w(out);
  encode_session(w, claim.session);
  w.u8(static_cast<std::uint8_t>(claim.kind));
  w.bytes(claim.nonce);
  encode_timestamp(w, claim.started);
  return out;
}

Result<Claim> decode_claim(ByteSpan body) {
  Decoder d("claim", body);
  Claim claim;
  claim.session = decode_session(d);
  const std::uint8_t kind = d.u8();
  d.rule(kind == static_cast<std::uint8_t>(SessionKind::kWriter) || kind == static_cast<std::uint8_t>(SessionKind::kHold),
         "unknown kind of session");
  claim.kind = static_cast<SessionKind>(kind);
  claim.nonce = d.array<32>();
  claim.started = decode_timestamp(d);
  TRY(d.complete());
  return claim;
}

Bytes encode_commit(const Commit& commit) {
  CHECK(commit.sequence >= 1 && (commit.sequence > 1 || commit.previous == Digest{}));
  CHECK(commit.sealed_body.size() <= kBlockHeaderBytes + kBlockSealedBytesMax);
  CHECK((commit.read_features & ~kReadFeaturesKnown) == 0);
  Bytes out;
  Writer w(out);
  w.u32(commit.read_features);
  w.u32(commit.write_features);
  w.u32(commit.ignorable_features);
  encode_session(w, commit.session);
  w.bytes(commit.lineage);
  w.varint(commit.sequence);
  w.bytes(commit.previous);
  encode_session(w, commit.previous_session);
  encode_timestamp(w, commit.claimed_time);
  w.bytes(commit.list_root);
  encode_packs(w, commit.packs);
  encode_runs(w, commit.runs);
  encode_runs(w, commit.superseded);
  w.sized(commit.sealed_body);
  return out;
}

Result<Commit> decode_commit(ByteSpan body) {
  Decoder d("commit", body);
  if (body.size() > kControlObjectBytesMax) return std::unexpected(d.corrupt("it is longer than a control object may be"));
  Commit commit;
  commit.read_features = d.u32();
  // Before anything else: what follows may be laid out by a rule that this version does not know.
  if (const std::uint32_t unknown = commit.read_features & ~kReadFeaturesKnown; unknown != 0 && !d.failed())
    return fail(ErrorKind::kUnsupported,
                fmt::format("commit: reading it takes features {:#x}; this coppice reads format {} with features {:#x}",
                            unknown, kFormatVersion, kReadFeaturesKnown));
  commit.write_features = d.u32();
  commit.ignorable_features = d.u32();
  commit.session = decode_session(d);
  commit.lineage = d.array<32>();
  commit.sequence = d.varint();
  d.rule(commit.sequence >= 1, "its sequence number is zero");
  commit.previous = d.array<32>();
  d.rule(commit.sequence != 1 || commit.previous == Digest{}, "it is the first of its lineage and names a previous one");
  commit.previous_session = decode_session(d);
  commit.claimed_time = decode_timestamp(d);
  commit.list_root = d.array<32>();
  commit.packs = decode_packs(d);
  commit.runs = decode_runs(d);
  commit.superseded = decode_runs(d);
  const ByteSpan sealed = d.sized(kBlockHeaderBytes + kBlockSealedBytesMax);
  TRY(d.complete());
  commit.sealed_body = to_bytes(sealed);
  return commit;
}

Result<> check_snapshot_body(const SnapshotBody& body) {
  if (const char* breach = body_breach(body)) return fail(ErrorKind::kInvalid, fmt::format("snapshot: {}", breach));
  if (write_snapshot_body(body).size() > kChunkBytesMax)
    return fail(ErrorKind::kInvalid, fmt::format("snapshot: its description is longer than {} bytes", kChunkBytesMax));
  return {};
}

Bytes encode_snapshot_body(const SnapshotBody& body) {
  CHECK(body_breach(body) == nullptr);
  Bytes out = write_snapshot_body(body);
  CHECK(out.size() <= kChunkBytesMax);
  return out;
}

Result<SnapshotBody> decode_snapshot_body(ByteSpan bytes) {
  Decoder d("snapshot body", bytes);
  if (bytes.size() > kChunkBytesMax) return std::unexpected(d.corrupt("it is longer than a chunk may be"));
  SnapshotBody body;
  body.host = d.text(kSnapshotTextBytesMax);
  body.sources = decode_texts(d);
  body.tags = decode_texts(d);
  body.includes = decode_texts(d);
  body.excludes = decode_texts(d);
  body.user = d.text(kSnapshotTextBytesMax);
  body.program = d.text(kSnapshotTextBytesMax);
  body.started = decode_timestamp(d);
  body.finished = decode_timestamp(d);
  const std::uint8_t has_root = d.u8();
  d.rule(has_root <= 1, "a flag is neither 0 nor 1");
  if (has_root == 1) body.root = decode_chunk_ref(d);
  const std::uint8_t has_entry = d.u8();
  d.rule(has_entry <= 1, "a flag is neither 0 nor 1");
  if (has_entry == 1) {
    const ByteSpan page = d.sized(kChunkBytesMax);
    if (!d.failed()) TRY(within(read_root_entry(page, body.root_entry.emplace()), "snapshot body: the entry of the root"));
  }
  for (std::uint64_t* v : {&body.files, &body.directories, &body.others, &body.bytes, &body.files_new, &body.files_changed,
                           &body.added_plain, &body.added_stored, &body.warnings, &body.duration_ms})
    *v = d.varint();
  const std::uint8_t complete = d.u8();
  d.rule(complete <= 1, "a flag is neither 0 nor 1");
  body.complete = complete == 1;
  if (const char* breach = body_breach(body)) d.rule(false, breach);
  TRY(d.complete());
  return body;
}

Bytes encode_forget(const Forget& forget) {
  Bytes out;
  Writer w(out);
  encode_session(w, forget.session);
  w.bytes(forget.commit);
  encode_timestamp(w, forget.claimed_time);
  return out;
}

Result<Forget> decode_forget(ByteSpan body) {
  Decoder d("forget", body);
  Forget forget;
  forget.session = decode_session(d);
  forget.commit = d.array<32>();
  forget.claimed_time = decode_timestamp(d);
  TRY(d.complete());
  return forget;
}

Bytes encode_empty_generation(std::uint32_t generation) {
  Bytes out;
  Writer w(out);
  w.u32(generation);
  w.varint(0);
  return out;
}

Result<std::uint32_t> decode_empty_generation(ByteSpan body) {
  Decoder d("generation", body);
  const std::uint32_t generation = d.u32();
  d.rule(d.varint() == 0, "it is not empty");
  TRY(d.complete());
  return generation;
}

}  // namespace coppice::format
