#include "tasks/backup_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "foundation/encoding.h"
#include "tasks/quantities.h"

namespace coppice::tasks {

namespace {
void never_back_up(capture::BackupOptions& options, const std::string& directory) {
  options.never.push_back(directory);
  char resolved[PATH_MAX];
  if (realpath(directory.c_str(), resolved) && directory != resolved) options.never.emplace_back(resolved);
}
}  // namespace

Result<> check_room(const OpenedVault& opened) {
  const auto free_bytes = opened.store->free_bytes();   // not every store can tell
  if (!free_bytes || *free_bytes >= kVaultFreeBytesMin) return {};
  return fail(ErrorKind::kExhausted, fmt::format("{} has only {} free; nothing was started", opened.location, render_size(*free_bytes)));
}

Result<> prepare_backup(const OpenedVault& opened, std::uint64_t memory_bytes, capture::BackupOptions& options) {
  options.writer.memory_bytes = share_memory(memory_bytes).writer;
  options.memory_bytes = memory_bytes;
  never_back_up(options, opened.location);
  never_back_up(options, opened.places.state_directory);
  if (const auto free_bytes = opened.store->free_bytes()) options.vault_free = *free_bytes;
  return options.dry_run ? Result<>{} : check_room(opened);
}

ProgressSample sample_of(const capture::BackupProgress& progress) {
  ProgressSample sample;
  const std::uint64_t files_before = progress.files_before.load(), bytes_before = progress.bytes_before.load();
  const bool done = progress.scan_done.load();
  sample.total_known = done || files_before > 0;
  sample.files = progress.files.load();
  sample.bytes = progress.bytes.load();
  sample.files_total = std::max(progress.files_found.load(), done ? 0 : files_before);
  sample.bytes_total = std::max(progress.bytes_found.load(), done ? 0 : bytes_before);
  sample.storing = done;
  sample.bytes_stored = progress.bytes_stored;
  return sample;
}

std::string render_changes(const capture::BackupReport& report) {
  std::string text;
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", render_count(count), what);
  };
  add(report.files_new, "new");
  add(report.files_changed, "changed");
  if (text.empty()) text = "nothing changed";
  add(report.files_read_again, "read again");
  return text;
}

std::string render_left_out(const capture::BackupReport& report) {
  std::string text;
  for (std::size_t i = 0; i < report.left_out.size(); ++i) {
    if (report.left_out[i] == 0) continue;
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", render_count(report.left_out[i]),
                        capture::left_out_text(static_cast<capture::LeftOut>(i)));
  }
  return text;
}

std::string render_backup(const capture::BackupReport& report) {
  const std::string what = fmt::format("{}, {}; {}", render_count(report.files, "file"), render_size(report.bytes),
                                       render_changes(report));
  const std::string took = render_seconds(static_cast<double>(report.duration_ms) / 1000);
  if (!report.committed) {
    return fmt::format("dry run: {}; up to {} to read and store, nothing was stored ({})", what,
                       render_size(report.bytes_read), took);
  }
  std::string line = fmt::format("snapshot {}: {}, added {} in {}", report.snapshot.short_id(), what, render_size(report.added_stored + report.adopted), took);
  if (!report.lacking.empty())
    line += fmt::format("; PARTIAL: {} could not be read",
                        report.lacking.size() == 1 ? render_printable(report.lacking.front()) : render_count(report.lacking.size(), "source"));
  return line;
}

void put_backup(Json& object, const capture::BackupReport& report) {
  if (!report.lacking.empty()) object["partial"] = true;
  if (report.committed) {
    object["snapshot"] = report.snapshot.id();
    object["short_id"] = report.snapshot.short_id();
  }
  object.update({{"files", report.files},
                 {"directories", report.directories},
                 {"others", report.others},
                 {"bytes", report.bytes},
                 {"files_new", report.files_new},
                 {"files_changed", report.files_changed},
                 {"files_unchanged", report.files_unchanged},
                 {"files_read_again", report.files_read_again},
                 {"bytes_read", report.bytes_read},
                 {"added_plain", report.added_plain},
                 {"added_stored", report.added_stored},
                 {"adopted", report.adopted}});
}

bool is_of_descriptors(const Error& error) {
  return error.message().ends_with(std::strerror(EMFILE)) || error.message().ends_with(std::strerror(ENFILE));
}

BackupFailure explain_failure(const Error& error, const capture::BackupProgress& progress, const CancelToken& cancel) {
  const std::uint64_t stored = progress.bytes_stored;
  const std::string kept = stored > 0 ? fmt::format("what was stored ({}) is kept", render_size(stored)) : "nothing new was stored";
  if (error.kind() == ErrorKind::kCancelled && cancel.cancelled())
    return {Error(ErrorKind::kCancelled, "interrupted; no snapshot was made"), kept + ": run the same command again to go on"};
  const Error told = error.within("no snapshot was made");
  if (error.kind() == ErrorKind::kExhausted && is_of_descriptors(error))
    return {told, "allow more open files (ulimit -n), then run the same command again: " + kept};
  if (error.kind() == ErrorKind::kExhausted)
    return {told, "make room there, then run the same command again: " + kept + (stored > 0 ? " and picked up" : "")};
  return {told, std::string(unwritable_hint(error))};
}

}  // namespace coppice::tasks
