#include "maintenance/check.h"

#include <fmt/format.h>

#include "check_internal.h"
#include "vault/damaged_packs.h"

namespace coppice::maintenance {
namespace {

// What a pack costs in the tables of one pass: a row in each, and the room that sorting and growing take.
constexpr std::uint64_t kBytesAPack = 2 * (sizeof(PackTable::Row) + sizeof(ListTable::Row));
constexpr std::uint64_t kReaderCacheBytesMin = 16u << 20;
constexpr std::uint64_t kWorkerBytes = 20u << 20;  // one worker's window, block and plaintext

constexpr std::size_t kSeenChunksMin = 4096;

// How often the vault is gone over, and how many chunks of one part there is room for.
struct Passes {
  std::uint32_t count = 1;
  std::size_t chunks_max = 0;
};

Passes passes_for(const CheckRun& run) {
  const std::uint64_t budget = std::max<std::uint64_t>(run.options.memory_bytes / 3, kBytesAPack);
  const bool compares = run.reader && run.options.read_data_percent > 0;
  const std::uint64_t chunks_max = std::max<std::uint64_t>(budget / sizeof(std::uint64_t), kSeenChunksMin);
  const std::uint64_t chunks = compares ? run.chunks * run.options.read_data_percent / 100 : 0;
  const auto count = static_cast<std::uint32_t>(run.packs_max * kBytesAPack / budget + chunks / chunks_max + 1);
  return {count, compares ? std::min(chunks_max, 2 * (chunks / count) + kSeenChunksMin) : 0};
}

Result<> check_all(CheckRun& run) {
  TRY(check_control(run));
  TRY(check_snapshots(run));
  const Passes passes = passes_for(run);
  run.report.passes = passes.count;
  for (std::uint32_t i = 0; i < passes.count; ++i) {
    const Part part{i, passes.count};
    PackTable table;
    SeenChunks seen(random_seed(run), passes.chunks_max);
    TRY(check_packs(run, part, table));
    if (run.options.read_data_percent > 0) TRY(check_data(run, table, seen));
    TRY(check_lists_and_trees(run, part, table, seen));
    TRY(check_objects(run, part, table));
  }
  return {};
}

}  // namespace

std::string_view check_phase_name(CheckPhase phase) {
  switch (phase) {
    case CheckPhase::kControl:
      return "checking keys and rosters";
    case CheckPhase::kSnapshots:
      return "checking snapshots";
    case CheckPhase::kPacks:
      return "checking packs";
    case CheckPhase::kData:
      return "reading data";
    case CheckPhase::kTrees:
      return "reading trees";
    case CheckPhase::kObjects:
      return "looking for leftovers";
  }
  return "";
}

// So that this host's next backup relies on none of them. What a check found that was stopped counts too.
static void remember_damage(CheckRun& run) {
  std::vector<format::PackName> packs = run.findings.damaged_packs();
  run.report.packs_damaged = !packs.empty();
  if (Result<> done = vault::remember_damaged_packs(run.vault, std::move(packs)); !done) run.report.not_remembered = std::move(done).error();
}

Result<CheckReport> check_vault(const vault::Vault& vault, const CheckOptions& options, CheckProgress& progress,
                                const CancelToken& cancel) {
  if (options.read_data_percent > 100) return fail(ErrorKind::kInvalid, "a percentage is between 0 and 100");
  CheckRun run{.vault = vault, .options = options, .progress = progress, .cancel = cancel, .findings = Findings(options.path_bytes)};
  run.workers = options.workers ? options.workers : std::max(1u, std::thread::hardware_concurrency());
  run.workers =
      static_cast<unsigned>(std::clamp<std::uint64_t>(options.memory_bytes / 2 / kWorkerBytes, 1, run.workers));
  if (vault.keys().can_read()) {
    run.reader = TRY(vault::ChunkReader::create(vault, std::max(options.memory_bytes / 4, kReaderCacheBytesMin)));
  } else {
    run.report.not_checked.push_back(
        "This key cannot read backups: trees were not opened, and blocks were compared with their hashes only, not "
        "decrypted. Check with a reader's key to know that files can be restored.");
  }
  if (const std::size_t noted = vault::remembered_damaged_packs(vault).size(); noted > 0 && options.read_data_percent < 100)
    run.report.not_checked.push_back(fmt::format(
        "{} pack{} that an earlier check found damaged {} not all read again. `coppice check --read-data` says what is damaged and which files it costs.",
        noted, noted == 1 ? "" : "s", noted == 1 ? "was" : "were"));
  if (options.read_data_percent == 0)
    run.report.not_checked.push_back(
        "The contents of packs were not read: only that packs are there, with the right length and directory.");
  else if (options.read_data_percent < 100)
    run.report.not_checked.push_back(
        fmt::format("Only {} % of the packs were read (sample {}).", options.read_data_percent, options.sample_seed));
  const Result<> checked = check_all(run);
  remember_damage(run);
  TRY(checked);
  run.findings.move_into(run.report, [&](format::SessionId session) {
    const SnapshotNote* note = find_note(run, session);
    return note && note->forgotten;
  }, [&](format::SessionId session, Finding& finding) { name_writer(run, session, finding); });
  run.report.packs_damaged &= run.report.damaged();
  return std::move(run.report);
}

}  // namespace coppice::maintenance
