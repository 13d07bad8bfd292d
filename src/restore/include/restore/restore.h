// Bringing files back: a snapshot, or a part of it, onto a directory.
//
// The tree is walked in order; files are collected into windows; each window's chunks are read block by block in
// storage order, by several threads, and written straight to their places. A window is bounded in memory, so the whole
// is, whatever the size of the snapshot. Nothing is ever written outside the target, whatever the tree says or other
// users do meanwhile: every path component is opened with O_NOFOLLOW from its parent's descriptor.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "foundation/cancel.h"
#include "vault/reader.h"

namespace coppice::restore {

enum class Outcome { kMade, kReplaced, kMetadata, kLeft };  // kMetadata: right but for that; kLeft: right already, or not to be touched

struct RestoreOptions {
  std::string target;    // directory; made when missing
  std::string sub_path;  // "" : recreate full paths under target; else: this directory's contents (or this one file) go
                         // into target
  bool in_place = false;  // target, "/" for a user, is the snapshot's "/": a sub_path too goes to its full path below it
  std::vector<std::string> patterns;  // gitignore syntax against the full path in the snapshot; empty: everything.
                                      // Parents of a match are made too
  bool overwrite_newer = true;
  bool verify = false;   // read what was written back from the disk and compare; with it everything is durable on return
  bool replace_immutable = false;  // what is immutable or append-only (chattr) here is replaced and changed too; else left, and told
  bool dry_run = false;  // look and count; nothing is changed
  // A dry run: what would become of each entry, by its path on this host. By the thread that called.
  std::function<void(const std::string& path, Outcome)> on_outcome;
  unsigned workers = 0;  // 0: by the machine
  std::uint64_t memory_bytes = 160ull << 20;
};

struct RestoreProgress {                                      // live counters, for a display
  // Of a whole snapshot from its body; of a part, what is planned so far, until the plan is complete.
  std::atomic<std::uint64_t> files_total{0}, bytes_total{0};
  std::atomic<bool> totals_known{false};
  std::atomic<std::uint64_t> files{0}, bytes{0}, skipped{0};  // skipped: already right
};

struct RestoreWarning {
  std::string path;
  std::string what;
};

struct RestoreReport {
  std::uint64_t files = 0, directories = 0, others = 0, bytes = 0, skipped = 0, verified = 0;
  std::uint64_t metadata_set = 0;        // files, directories and others that were there, and right but for their metadata
  std::uint64_t chosen = 0;              // entries that were asked for: 0 when no pattern matches
  std::uint64_t failed = 0;              // entries that are not there, or not right
  std::uint64_t immutable = 0;           // of them: because what is here is immutable or append-only
  std::vector<RestoreWarning> warnings;  // the first 1000
  std::uint64_t warnings_total = 0;
  // Directories on which a file system was mounted when they were backed up, and none is here: what was on it now lies on the
  // target's own. The first 100.
  std::vector<std::string> mount_points;
  std::uint64_t mount_points_total = 0;
};

// Damage to one block fails the files that need it (named in the warnings) and no others. An error is returned only
// when nothing could be done, or on cancel.
Result<RestoreReport> restore_snapshot(vault::ChunkReader& reader, const format::SnapshotBody& body,
                                       const RestoreOptions& options, RestoreProgress& progress,
                                       const CancelToken& cancel);

// Of blocks read ahead of a stream, beside the reader's cache.
inline constexpr std::uint64_t kStreamBytesDefault = 96u << 20;
// The snapshot (or a part) as a tar stream (pax, libarchive) on `fd`.
Result<RestoreReport> write_tar(vault::ChunkReader& reader, const format::SnapshotBody& body, std::string_view sub_path,
                                int fd, RestoreProgress& progress, const CancelToken& cancel, std::uint64_t memory_bytes = kStreamBytesDefault);
// One file's content on `fd`.
Result<> write_content(vault::ChunkReader& reader, const vault::FoundEntry& file, int fd, const CancelToken& cancel, std::uint64_t memory_bytes = kStreamBytesDefault);

}  // namespace coppice::restore
