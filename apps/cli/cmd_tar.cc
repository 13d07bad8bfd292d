// coppice tar: a snapshot, or a part of it, as a tar stream.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "cli.h"
#include "platform/file.h"
#include "restore/restore.h"
#include "tasks/interrupt.h"

namespace coppice::cli {

namespace {
struct TarOptions {
  std::string snapshot, output;
  tasks::SnapshotFilter filter;
};

// Who is told that the archive is done may take away what is in it.
Result<> finish_archive(platform::Fd file) {
  if (::fsync(file.get()) != 0 && errno != EINVAL) return fail_errno(errno, "fsync");   // EINVAL: a pipe, a device
  if (::close(file.release()) != 0 && errno != EINTR) return fail_errno(errno, "close");
  return {};
}

int run_tar(const Common& common, const TarOptions& options, const CLI::App* command) {
  const bool to_stdout = options.output.empty() || options.output == "-";
  if (to_stdout && stdout_is_terminal())
    return usage(command, "a tar stream is not for a terminal: redirect it, or say -o FILE");
  platform::Fd file;
  if (to_stdout) {
    // Standard output is the archive's alone: whatever else is told there goes to standard error.
    file = platform::Fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    if (!file || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return report(common, errno_error(errno, "standard output"));
  }
  if (to_stdout && common.json) send_objects_to_stderr();
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto chosen = choose_readable(*opened->vault, options.snapshot, options.filter);
  if (!chosen) return report(common, chosen.error(), choosing_hint(chosen.error()));
  const auto& body = *chosen->snapshot.body;
  const std::vector<Warning> lacking = what_is_lacking(*chosen);
  print_warnings(common, lacking, lacking.size());
  const std::string sub_path = chosen->ref.has_path && chosen->ref.path != "/" ? chosen->ref.path : "";

  restore::RestoreProgress progress;
  if (sub_path.empty()) {
    progress.files_total = body.files;
    progress.bytes_total = body.bytes;
  }
  CancelToken cancel;
  const auto work = [&]() -> Result<restore::RestoreReport> {
    const auto reader = TRY(vault::ChunkReader::create(*opened->vault, common.memory().reader_cache));
    if (!sub_path.empty()) TRY(vault::find_entry(*reader, body, sub_path));   // before an older archive is written over
    if (!to_stdout) file = TRY(platform::open_at(AT_FDCWD, options.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    const tasks::InterruptGuard interrupts(cancel, "\ncoppice: stopping; what was written is not a whole archive\n");
    const tasks::ProgressDisplay display(tasks::choose_progress_mode(common.json, common.quiet), [&] {
      return tasks::ProgressSample{progress.files, progress.bytes, progress.files_total, progress.bytes_total,
                                   sub_path.empty()};
    });
    auto report = TRY(restore::write_tar(*reader, body, sub_path, file.get(), progress, cancel, common.memory().stream));
    if (!to_stdout) TRY(within(finish_archive(std::move(file)), options.output));
    return report;
  };
  auto done = work();
  if (!done) return report(common, done.error().within(chosen->snapshot.short_id()));
  std::vector<Warning> warnings;
  for (const auto& warning : done->warnings) warnings.push_back({warning.path, warning.what});
  print_warnings(common, warnings, done->warnings_total);
  if (common.json) {
    emit({{"type", "summary"},
          {"snapshot", chosen->snapshot.id()},
          {"files", done->files},
          {"directories", done->directories},
          {"others", done->others},
          {"bytes", done->bytes},
          {"failed", done->failed},
          {"warnings", done->warnings_total + lacking.size()}});
  } else if (!common.quiet && !to_stdout) {
    print(fmt::format("{}: {}, {}\n", shown(options.output), tasks::render_count(done->files, "file"),
                      tasks::render_size(done->bytes)));
  }
  return done->failed > 0 ? kFailed : done->warnings_total + lacking.size() > 0 ? kWarnings : kDone;
}
}  // namespace

void add_tar(Cli& cli) {
  CLI::App* command =
      add_command(cli.app, "tar", "Write a snapshot, or a part of it, as a tar archive",
                  {"coppice tar latest -o backup.tar", "coppice tar latest:/etc | tar tvf -",
                   "coppice tar 3fa29c:/home/ann | zstd > ann.tar.zst"},
                  {.remark = "With --json, objects go to standard error when the archive goes to standard output."});
  auto options = std::make_shared<TarOptions>();
  command->add_option("snapshot", options->snapshot, kSnapshotHelp)
      ->required()
      ->type_name("SNAP")
      ->check(is_snapshot());
  command->add_option("-o,--output", options->output, "Write to FILE, not to standard output")->type_name("FILE");
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_tar(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
