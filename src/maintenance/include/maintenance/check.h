// Is everything there, and is it what it was? Runs beside backups. Changes nothing in the vault; in this host's state it remembers the packs
// that are damaged (vault/damaged_packs.h).
//
// Always checked: vault.json, the chain of rosters, the key slots, generation 0, every session's claim, every
// snapshot's signature and its place in its lineage, the packs that commits record (presence, length, directory), index
// runs (whole), reference lists (whole), every tree page of every snapshot that is not forgotten, and that each chunk
// which a tree names is in its snapshot's reference list and in a pack. With read_data_percent, blocks are read too:
// hash, checksum, seal, decompression, chunk ids; and what trees say of their chunks is compared with them.
//
// A key that cannot read still checks whatever needs no reading; the report says what was left out.
//
// Memory is bounded by memory_bytes whatever the vault's size: what grows with the vault is a table of 100 bytes a
// pack, with read_data another of 8 bytes a chunk, and where that would be too much the check goes over the vault
// several times, each time for a part of the packs.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "foundation/cancel.h"
#include "foundation/result.h"
#include "vault/vault.h"

namespace coppice::maintenance {

struct CheckOptions {
  unsigned read_data_percent = 0;  // 0..100: of the packs, chosen by `sample_seed`
  std::uint64_t sample_seed = 0;
  unsigned workers = 0;  // 0: by the machine
  std::uint64_t memory_bytes = 128ull << 20;
  // Room, beside memory_bytes, for the paths of damaged files beyond the first kFindingDetailsMax of each finding.
  std::uint64_t path_bytes = 0;
};

enum class CheckPhase { kControl, kSnapshots, kPacks, kData, kTrees, kObjects };
std::string_view check_phase_name(CheckPhase phase);  // "reading trees"

struct CheckProgress {  // live counters, for a display
  std::atomic<CheckPhase> phase{CheckPhase::kControl};
  std::atomic<std::uint64_t> snapshots_total{0}, snapshots{0};
  std::atomic<std::uint64_t> packs_total{0}, packs{0};
  std::atomic<std::uint64_t> bytes_total{0}, bytes{0};  // of the packs read
  std::atomic<std::uint64_t> tree_pages{0};
};

enum class Severity {
  kDamage,       // something is lost, wrong, or would be at the next step
  kInformation,  // worth knowing; nothing is lost
};

inline constexpr std::size_t kFindingDetailsMax = 100, kFindingSnapshotsMax = 1000, kFindingsMax = 1000;

struct Finding {
  Severity severity = Severity::kDamage;
  std::string object;                  // "packs/0/3/7"
  std::optional<std::uint32_t> block;  // its number in the pack, when one block is meant
  ErrorKind kind = ErrorKind::kCorrupt;
  std::string what;
  std::string host, signer;            // of the session that stored the pack: the host where our key reads its snapshot, the key where the roster has it
  std::vector<format::SessionId> snapshots;  // that need it: ascending, the first kFindingDetailsMax
  std::uint64_t snapshots_total = 0;         // counted up to kFindingSnapshotsMax
  // Paths (raw bytes) that cannot be restored whole, each once: the first kFindingDetailsMax, and more where path_bytes has room; a
  // directory's path ends in '/' and stands for what is below it. The total counts a file once for every version of its directory.
  std::vector<std::string> files;
  std::uint64_t files_total = 0;
  bool files_left_out = false;  // not all of them stand in `files`
};

struct CheckReport {
  std::vector<Finding> findings;  // damage first; at most kFindingsMax
  std::uint64_t damage_total = 0, information_total = 0;
  std::uint64_t snapshots = 0, forgotten = 0, packs = 0, pack_bytes = 0, runs = 0, list_pages = 0, tree_pages = 0,
                tree_entries = 0;
  std::uint64_t packs_read = 0, blocks_read = 0, bytes_read = 0, plain_bytes = 0;
  std::uint64_t passes = 1;              // how often the vault was gone over to stay within the memory
  bool packs_damaged = false;            // of the findings, one at least is about a pack
  std::optional<Error> not_remembered;   // why the next backup of this host does not know of them
  bool references_left_out = false;      // more chunks than there was room for: not every reference was compared
  std::vector<std::string> not_checked;  // sentences: what this key or these options left out
  bool damaged() const { return damage_total > 0; }
};

// An error is returned only when the check itself could not go on: cancelled, or a store that fails throughout.
Result<CheckReport> check_vault(const vault::Vault& vault, const CheckOptions& options, CheckProgress& progress,
                                const CancelToken& cancel);

}  // namespace coppice::maintenance
