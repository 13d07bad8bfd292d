#include "collector.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <utility>

namespace coppice::restore {

void Collector::warn(std::string path, std::string what) {
  MutexLock lock(mutex_);
  ++warnings_total_;
  if (warnings_.size() < kWarningsMax) warnings_.push_back({std::move(path), std::move(what)});
}

void Collector::fail(std::string path, std::string what) {
  count_failed();
  warn(std::move(path), std::move(what));
}

void Collector::warn_immutable(const Where& where, std::string_view what) {
  {
    MutexLock lock(mutex_);
    ++immutable_;
  }
  warn(where.path(), std::string(what) + "immutable or append-only (chattr), and is left as it is");
}

void Collector::fail_immutable(const Where& where, std::string_view what) {
  count_failed();
  warn_immutable(where, what);
}

void Collector::count_failed() {
  MutexLock lock(mutex_);
  ++failed_;
}

void Collector::note_once(const std::string& key, std::string path, std::string what) {
  {
    MutexLock lock(mutex_);
    if (!noted_.insert(key).second) return;
  }
  warn(std::move(path), std::move(what));
}

void Collector::note_mount_point(std::string path) {
  MutexLock lock(mutex_);
  ++mount_points_total_;
  if (mount_points_.size() < kMountPointsMax) mount_points_.push_back(std::move(path));
}

void Collector::stop(Error error) {
  MutexLock lock(mutex_);
  if (!error_) error_ = std::move(error);
  stopped_.store(true, std::memory_order_relaxed);
}

void Collector::stop_full(const Where& where, int error) {
  struct statvfs space {};
  const bool out_of_inodes = error == ENOSPC && ::statvfs(target_.c_str(), &space) == 0 && space.f_files > 0 && space.f_favail == 0;
  stop(errno_error(error, (out_of_inodes ? "the target holds as many files as its file system can (df -i): " : "the target is full: ") + where.below(target_)));
}

Result<RestoreReport> Collector::take() {
  MutexLock lock(mutex_);
  if (error_) return std::unexpected<Error>(*error_);
  if (cancel_.cancelled()) return coppice::fail(ErrorKind::kCancelled, "the restore was cancelled");
  RestoreReport report;
  report.files = files_;
  report.directories = directories_;
  report.others = others_;
  report.bytes = bytes_;
  report.skipped = progress_.skipped;
  report.verified = verified_;
  report.metadata_set = metadata_set_;
  report.chosen = chosen_;
  report.failed = failed_;
  report.immutable = immutable_;
  report.warnings = std::move(warnings_);
  report.warnings_total = warnings_total_;
  report.mount_points = std::move(mount_points_);
  report.mount_points_total = mount_points_total_;
  return report;
}

}  // namespace coppice::restore
