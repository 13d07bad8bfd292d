// What a restore tells: counts, warnings, and the one error that stops it. Thread-safe.
//
// Three loudnesses. `warn`: something about one entry. `fail`: an entry is not there, or not right (a warning, and
// counted). `note_once`: a whole class of things cannot be done here (owners without root, a namespace of xattrs): said
// the first time only.
#pragma once

#include <atomic>
#include <optional>
#include <set>
#include <string>

#include "foundation/mutex.h"
#include "restore/restore.h"
#include "where.h"

namespace coppice::restore {

inline constexpr const char* kIncomplete = "some of its attributes could not be read when it was backed up";
inline constexpr const char* kFullDirectory = "a directory that is not empty is in the way: it was left alone";
// Of a file that could not be read when it was backed up.
inline std::string without_content(bool is_made) {
  return is_made ? "it could not be read when it was backed up: restored without content" : "it could not be read when it was backed up: what is there was left alone";
}

class Collector {
 public:
  // `target`: where on this host the root is; for the stream of a tar there is none.
  Collector(RestoreProgress& progress, const CancelToken& cancel, std::string target = {})
      : target_(std::move(target)), progress_(progress), cancel_(cancel) {}

  void warn(std::string path, std::string what);
  void fail(std::string path, std::string what);
  // What is here is immutable or append-only: left as it is. `what` begins the sentence. The first does not count it as failed.
  void warn_immutable(const Where& where, std::string_view what);
  void fail_immutable(const Where& where, std::string_view what);
  // Counts an entry as not right whose warnings were told already.
  void count_failed();
  void note_once(const std::string& key, std::string path, std::string what);

  void note_mount_point(std::string path);

  // The first call decides what the run ends with.
  void stop(Error error);
  // There is no room (ENOSPC, EDQUOT) for what was to be made there.
  void stop_full(const Where& where, int error);
  // Whether to wind up: stop() was called, or the user cancelled.
  bool stopped() const { return stopped_.load(std::memory_order_relaxed) || cancel_.cancelled(); }

  // A regular file of `bytes` is there and right: written now, or its metadata was set, or already. `shown` of the bytes were told to
  // show_bytes before.
  enum class How { kWritten, kMetadata, kAlready };
  void count_file(std::uint64_t bytes, std::uint64_t shown, How how) {
    progress_.files.fetch_add(1, std::memory_order_relaxed);
    progress_.bytes.fetch_add(bytes - shown, std::memory_order_relaxed);
    if (how == How::kAlready) {
      progress_.skipped.fetch_add(1, std::memory_order_relaxed);
    } else if (how == How::kMetadata) {
      count_metadata_set();
    } else {
      files_.fetch_add(1, std::memory_order_relaxed);
      bytes_.fetch_add(bytes, std::memory_order_relaxed);
    }
  }
  // The walk has met a file; the walk is at its end.
  void count_planned(std::uint64_t bytes) {
    if (progress_.totals_known.load(std::memory_order_relaxed)) return;
    progress_.files_total.fetch_add(1, std::memory_order_relaxed);
    progress_.bytes_total.fetch_add(bytes, std::memory_order_relaxed);
  }
  void plan_complete() { progress_.totals_known.store(true, std::memory_order_relaxed); }
  // Content of a file that is under way, for the display.
  void show_bytes(std::uint64_t bytes) { progress_.bytes.fetch_add(bytes, std::memory_order_relaxed); }
  void count_chosen() { chosen_.fetch_add(1, std::memory_order_relaxed); }
  void count_directory() { directories_.fetch_add(1, std::memory_order_relaxed); }
  void count_other() { others_.fetch_add(1, std::memory_order_relaxed); }
  void count_metadata_set() { metadata_set_.fetch_add(1, std::memory_order_relaxed); }
  void count_verified() { verified_.fetch_add(1, std::memory_order_relaxed); }

  // When every thread is done.
  Result<RestoreReport> take();

 private:
  static constexpr std::size_t kWarningsMax = 1000, kMountPointsMax = 100;

  const std::string target_;
  RestoreProgress& progress_;
  const CancelToken& cancel_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> files_{0}, bytes_{0}, directories_{0}, others_{0}, verified_{0}, chosen_{0}, metadata_set_{0};
  Mutex mutex_;
  std::vector<RestoreWarning> warnings_ GUARDED_BY(mutex_);
  std::uint64_t warnings_total_ GUARDED_BY(mutex_) = 0, failed_ GUARDED_BY(mutex_) = 0, immutable_ GUARDED_BY(mutex_) = 0;
  std::set<std::string> noted_ GUARDED_BY(mutex_);
  std::vector<std::string> mount_points_ GUARDED_BY(mutex_);
  std::uint64_t mount_points_total_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> error_ GUARDED_BY(mutex_);
};

}  // namespace coppice::restore
