// One backup of file trees: sources in, a committed snapshot out.
//
// scan (parallel, ordered) -> compare with the source state -> read -> group and cut -> vault::Writer -> trees -> commit -> new source state.
// A file that cannot be read is a warning in the report, never the end of the run, never a silent gap.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "capture/selection.h"
#include "foundation/cancel.h"
#include "vault/writer.h"

namespace coppice::capture {

struct BackupOptions {
  std::vector<std::string> sources;        // paths; made absolute (not resolved: a symlink source is that symlink, unless it ends in "/")
  std::string stdin_name;                  // not empty: the content of descriptor 0 becomes this one file; sources must be empty
  int stdin_fd = 0;
  std::vector<std::string> includes;       // gitignore syntax: when there are any, only what they match is taken, and the way to it
  std::vector<std::string> excludes;       // gitignore syntax
  std::vector<std::string> exclude_files;  // files of such lines
  bool one_file_system = false;
  bool exclude_caches = true;              // CACHEDIR.TAG
  bool honour_nodump = true;
  std::vector<std::string> never;          // directories that are left out always: the vault, the state
  std::string host;                        // default: host_name()
  std::vector<std::string> tags;
  std::string program;                     // "coppice 0.1.0"
  bool tell_unmounted = true;              // a directory where a file system was mounted at the last run, and none is now, is a warning
  bool dry_run = false;                    // scan and compare, read nothing, store nothing
  bool force = false;                      // ignore the source state: read everything again
  vault::WriterOptions writer;
  std::uint64_t memory_bytes = 256ull << 20;   // the ceiling of the whole process
  std::optional<std::uint64_t> vault_free;     // bytes free in the vault: a run that reads more than that says so
  // Called as things happen, by the thread that runs the backup; each may be empty.
  std::function<void(const struct BackupWarning&)> on_warning;   // something is not in the snapshot as it is in the source
  std::function<void(const std::string&)> on_notice;             // the snapshot is whole; something is worth knowing
  std::function<void(const std::string& path, LeftOut)> on_left_out;   // a dry run: each name that a rule leaves out
};

struct BackupProgress {                    // live counters, for a display
  std::atomic<std::uint64_t> files{0}, bytes{0};             // done (unchanged ones included)
  std::atomic<std::uint64_t> files_found{0}, bytes_found{0}; // scanned so far; grows until scan_done
  std::atomic<std::uint64_t> bytes_to_read{0};               // scanned so far, and not as the state has it
  std::atomic<std::uint64_t> files_before{0}, bytes_before{0};   // of the last snapshot, when it is known: what may be expected
  std::atomic<bool> scan_done{false};                        // and everything is read: what is in memory is being stored
  std::atomic<std::uint64_t> bytes_stored{0};                // in whole packs, compressed; without a snapshot, they are there for the next run
};

struct BackupWarning {
  std::string path;                        // raw bytes
  std::string what;
};

struct BackupReport {
  bool committed = false;                  // false in a dry run
  vault::Snapshot snapshot;                // when committed
  std::uint64_t files = 0, directories = 0, others = 0, bytes = 0;
  std::uint64_t files_new = 0, files_changed = 0, files_unchanged = 0;
  std::uint64_t files_read_again = 0;      // of the unchanged: they were too new in the last backup to be sure of
  std::uint64_t bytes_read = 0;            // a dry run: to be read
  std::uint64_t added_plain = 0, added_stored = 0;   // by this run
  std::uint64_t adopted = 0;               // stored by interrupted runs, and named by this one
  std::array<std::uint64_t, kLeftOutReasons> left_out{};   // names, by LeftOut; what lies below them is not counted
  std::vector<BackupWarning> warnings;     // the first 20; on_warning has all
  std::uint64_t warnings_total = 0;
  std::vector<std::string> lacking;        // sources that are missing or cannot be read at all: the snapshot is partial
  std::uint64_t duration_ms = 0;
};

std::string host_name();                   // as the kernel has it

// On kCancelled or any other error nothing is committed, and what was stored by then is adopted by the next run.
Result<BackupReport> run_backup(const vault::Vault& vault, const BackupOptions& options, BackupProgress& progress, const CancelToken& cancel);

}  // namespace coppice::capture
