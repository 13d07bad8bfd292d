// What every backup has in common, whoever asked for it: `coppice backup` or a plan.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "capture/backup.h"
#include "tasks/json.h"
#include "tasks/progress.h"
#include "tasks/vault_access.h"

namespace coppice::tasks {

inline constexpr std::uint64_t kVaultFreeBytesMin = 64ull << 20;

// kExhausted when the vault's file system is too full for a backup to be begun.
Result<> check_room(const OpenedVault& opened);

// Completes `options` by what the opened vault and the memory ceiling say: the vault and the local state are never taken,
// the writer has its share. Fails as check_room does (not in a dry run).
Result<> prepare_backup(const OpenedVault& opened, std::uint64_t memory_bytes, capture::BackupOptions& options);

// Until the scan is done the last snapshot says what to expect, or more, when more was found.
ProgressSample sample_of(const capture::BackupProgress& progress);

std::string render_changes(const capture::BackupReport& report);   // "3 new, 12 changed", "nothing changed, 5 read again"
std::string render_left_out(const capture::BackupReport& report);  // "12 (match an exclude pattern)"; empty: none
// "snapshot 6dfbb9fad542: 78,611 files, 1.30 GB; nothing changed, added 0 B in 0.4 s", or what a dry run found.
std::string render_backup(const capture::BackupReport& report);

// The snapshot, when there is one, and what was counted.
void put_backup(Json& object, const capture::BackupReport& report);

// The error of a backup that made no snapshot as a person should see it, and what to do about it (perhaps nothing).
struct BackupFailure {
  Error error;
  std::string next_step;
};
// Of kExhausted: it is no room that lacks, but descriptors.
bool is_of_descriptors(const Error& error);
BackupFailure explain_failure(const Error& error, const capture::BackupProgress& progress, const CancelToken& cancel);

}  // namespace coppice::tasks
