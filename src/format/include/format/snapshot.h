// The commit of a session, and its opposite, the forget; the claim that begins a session. All are signed envelopes.
//
// envelope: magic (8) | u32 body bytes | body | signer member id (16) | Ed25519 signature (64) over "coppice 1 <magic>" NUL | vault id | body
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "format/ids.h"
#include "format/pack_list.h"
#include "format/tree.h"
#include "foundation/time.h"

namespace coppice::format {

struct Envelope {
  Bytes body;
  MemberId signer{};
  Signature signature{};
  bool operator==(const Envelope&) const = default;
};
inline constexpr std::string_view kClaimMagic = "CPCLAIM1", kCommitMagic = "CPSNAP01", kForgetMagic = "CPFORGT1",
                                  kRosterMagic = "CPROSTR1", kPlanMagic = "CPPLAN01", kSealMagic = "CPSEAL01";
Bytes signed_message(std::string_view magic, const VaultId& vault, ByteSpan body);   // what is signed
Bytes encode_envelope(std::string_view magic, const Envelope& envelope);
Result<Envelope> decode_envelope(std::string_view magic, ByteSpan bytes);            // kUnsupported names another version's magic

// generations/<g>/slots/<k>
enum class SessionKind : std::uint8_t { kWriter = 1, kHold = 2 };
struct Claim {
  SessionId session;
  SessionKind kind = SessionKind::kWriter;
  std::array<std::byte, 32> nonce{};
  Timestamp started;             // for people; decides nothing
  bool operator==(const Claim&) const = default;
};
Bytes encode_claim(const Claim& claim);
Result<Claim> decode_claim(ByteSpan body);

struct RunRecord {
  SessionId session;
  std::uint32_t number = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  Digest hash{};                 // SHA-256 of its header and page directory
  auto operator<=>(const RunRecord&) const = default;
};

// snapshots/<g>.<k>
struct Commit {
  std::uint32_t read_features = 0, write_features = 0, ignorable_features = 0;   // unknown read bits: kUnsupported
  SessionId session;
  Digest lineage{};              // HMAC(id key, host NUL sources): ties the snapshots of one source together without naming it
  std::uint64_t sequence = 0;    // 1, 2, 3... along the lineage of this writer
  Digest previous{};             // SHA-256 of the previous commit object of this lineage and writer; zero for the first
  SessionId previous_session;    // where that one stands (meaningless for the first)
  Timestamp claimed_time;        // the writer's clock
  Digest list_root{};            // reference list: hash of its root page
  PackList packs;                // stored by this session, or adopted by it
  std::vector<RunRecord> runs;   // index runs made by this session
  std::vector<RunRecord> superseded;   // earlier runs of this writer whose entries are all in `runs` too
  Bytes sealed_body;             // a block (type kSnapshot) whose one chunk is the SnapshotBody
  bool operator==(const Commit&) const = default;
};
Bytes encode_commit(const Commit& commit);
Result<Commit> decode_commit(ByteSpan body);
inline constexpr std::uint32_t kCommitRunsMax = 1u << 12;

// What only a reader sees.
struct SnapshotBody {
  std::string host;
  std::vector<std::string> sources;      // absolute paths, or one name for --stdin
  std::vector<std::string> tags;         // sorted
  std::vector<std::string> includes, excludes;   // patterns, as they were given
  std::string user, program;             // who ran it, program and version
  Timestamp started, finished;
  std::optional<ChunkRef> root;          // the tree: node of "/"; absent when empty
  std::optional<Entry> root_entry;       // what "/" itself is: a directory without name and node; absent in a snapshot of a stream
  std::uint64_t files = 0, directories = 0, others = 0;
  std::uint64_t bytes = 0;               // content of all files
  std::uint64_t files_new = 0, files_changed = 0;
  std::uint64_t added_plain = 0, added_stored = 0;   // new chunks; bytes of the packs
  std::uint64_t warnings = 0;            // entries that are not as they should be
  std::uint64_t duration_ms = 0;
  bool complete = true;                  // false: partial, a source was missing or could not be read at all
  bool operator==(const SnapshotBody&) const = default;
};
// What a body may hold; its encoding is one chunk (kChunkBytesMax). kInvalid names the rule: ask before encoding what a user typed.
inline constexpr std::uint32_t kSnapshotTextBytesMax = 65536, kSnapshotTextsMax = 65536;
Result<> check_snapshot_body(const SnapshotBody& body);
Bytes encode_snapshot_body(const SnapshotBody& body);
Result<SnapshotBody> decode_snapshot_body(ByteSpan bytes);

// forgets/<g>.<k>
struct Forget {
  SessionId session;
  Digest commit{};               // SHA-256 of the commit object that is meant
  Timestamp claimed_time;
  bool operator==(const Forget&) const = default;
};
Bytes encode_forget(const Forget& forget);
Result<Forget> decode_forget(ByteSpan body);

// Generation 0's plan and seal, written by init: empty, signed by the owner. body: u32 generation | varint 0.
Bytes encode_empty_generation(std::uint32_t generation);
Result<std::uint32_t> decode_empty_generation(ByteSpan body);

}  // namespace coppice::format
