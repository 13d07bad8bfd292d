// coppice backup: sources in, one snapshot out.
#include "cli.h"

#include <unistd.h>

#include <csignal>

#include "capture/backup.h"
#include "tasks/backup_task.h"
#include "tasks/interrupt.h"

namespace coppice::cli {

namespace {
constexpr std::string_view kBackupStops =
    "\ncoppice: stopping. What was stored so far is kept, and the same command goes on from there. Again to stop at "
    "once.\n",
                           kLimitedBackupStops =
    "\ncoppice: stopping. What is in memory is stored first, now without --limit-rate, and kept; the same command goes on\n"
    "from there. Again to stop at once.\n";

struct BackupFlags {
  capture::BackupOptions backup;
  std::string limit_rate;
  bool no_exclude_caches = false, no_exclude_nodump = false, no_verify = false;
};

Json left_out_json(const capture::BackupReport& report) {
  Json counts = Json::object();
  for (std::size_t i = 0; i < report.left_out.size(); ++i)
    if (report.left_out[i] > 0)
      counts[std::string(capture::left_out_name(static_cast<capture::LeftOut>(i)))] = report.left_out[i];
  return counts;
}

void print_summary(const Common& common, const capture::BackupReport& report, std::optional<std::uint64_t> vault_free) {
  if (common.json) {
    Json line{{"type", "summary"}, {"committed", report.committed}};
    tasks::put_backup(line, report);
    line.update({{"left_out", left_out_json(report)},
                 {"warnings", report.warnings_total},
                 {"duration_ms", report.duration_ms}});
    if (vault_free) line["vault_free"] = *vault_free;
    emit(line);
    return;
  }
  if (const std::string left_out = tasks::render_left_out(report); !left_out.empty() && !common.quiet)
    print(fmt::format("left out: {}\n", left_out));
  if (report.adopted > 0 && !common.quiet)
    print(fmt::format("went on from an interrupted run: {} of what was added were stored by it\n", tasks::render_size(report.adopted)));
  print(tasks::render_backup(report) + "\n");
}

// Before the vault is opened: what was typed must make sense.
std::optional<std::string> breach_of(const BackupFlags& flags) {
  const capture::BackupOptions& options = flags.backup;
  if (options.sources.empty() && options.stdin_name.empty())
    return "nothing to back up: name files or directories, or --stdin NAME";
  if (!options.sources.empty() && !options.stdin_name.empty()) return "--stdin takes no other sources";
  if (!options.stdin_name.empty() && options.dry_run) return "--dry-run does not read the standard input";
  if (!options.stdin_name.empty() && isatty(STDIN_FILENO)) return "--stdin reads a pipe or a file, not a terminal";
  for (const std::string& source : options.sources)
    if (source.empty()) return "a source is an empty path";
  if (options.writer.compression_level < 1 || options.writer.compression_level > 19)
    return "--compression: a level from 1 to 19";
  return std::nullopt;
}

// Warnings: all as JSON, as they happen; for people the first 20, when the run is over. Notices change no exit status.
void tell_as_it_happens(const Common& common, capture::BackupOptions& options) {
  if (common.json) {
    options.on_warning = [](const capture::BackupWarning& warning) {
      Json line{{"type", "warning"}};
      if (!warning.path.empty()) put_path(line, "path", warning.path);
      line["message"] = warning.what;
      emit(line);
    };
    options.on_left_out = [](const std::string& path, capture::LeftOut reason) {
      Json line{{"type", "left_out"}};
      put_path(line, "path", path);
      line["reason"] = capture::left_out_name(reason);
      emit(line);
    };
  } else if (!common.quiet) {
    options.on_left_out = [](const std::string& path, capture::LeftOut reason) {
      print(fmt::format("left out: {} ({})\n", shown(path), capture::left_out_text(reason)));
    };
  }
  options.on_notice = [&common](const std::string& what) {
    if (common.json) emit(Json{{"type", "notice"}, {"message", what}});
    note(fmt::format("coppice: {}\n", what));
  };
}

int run_backup_command(const Common& common, BackupFlags& flags, const CLI::App* command) {
  capture::BackupOptions& options = flags.backup;
  if (const auto breach = breach_of(flags)) return usage(command, *breach);
  if (!flags.limit_rate.empty()) {
    const auto rate = tasks::parse_size(flags.limit_rate);
    if (!rate || *rate == 0)
      return usage(command, "--limit-rate: " + (rate ? "it must be more than nothing" : rate.error().message()));
    options.writer.rate_limit = *rate;
  }
  options.exclude_caches = !flags.no_exclude_caches;
  options.honour_nodump = !flags.no_exclude_nodump;
  options.writer.verify = !flags.no_verify;
  options.program = "coppice " COPPICE_VERSION;

  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  if (auto prepared = tasks::prepare_backup(*opened, common.memory_bytes, options); !prepared)
    return report(common, prepared.error(), "make room there: at least 64 MiB");
  tell_as_it_happens(common, options);
  signal(SIGPIPE, SIG_IGN);  // a display that goes away is no reason to stop a backup
  capture::BackupProgress progress;
  CancelToken cancel;
  const auto run = [&] {
    const tasks::InterruptGuard interrupts(cancel, options.writer.rate_limit > 0 ? kLimitedBackupStops : kBackupStops);
    const tasks::ProgressDisplay display(tasks::choose_progress_mode(common.json, common.quiet),
                                         [&] { return tasks::sample_of(progress); });
    return capture::run_backup(*opened->vault, options, progress, cancel);
  };
  auto done = run();
  if (!done) {
    const auto failure = tasks::explain_failure(done.error(), progress, cancel);
    return report(common, failure.error, failure.next_step);
  }
  Common for_people = common;  // programs have them already
  for_people.json = false;
  std::vector<Warning> warnings;
  for (const auto& warning : done->warnings) warnings.push_back({warning.path, warning.what});
  print_warnings(for_people, warnings, done->warnings_total);
  print_summary(common, *done, options.vault_free);
  return done->warnings_total > 0 ? kWarnings : kDone;
}
}  // namespace

void add_backup(Cli& cli) {
  CLI::App* command = add_command(
      cli.app, "backup", "Back up files and directories as a new snapshot",
      {"coppice backup /                              the whole host, without /proc, /sys, /dev and the like",
       "coppice backup /home /etc --exclude '*.tmp' --exclude-file /etc/coppice/excludes",
       "coppice backup --one-file-system / --tag nightly",
       "pg_dumpall | coppice backup --stdin postgres.sql --tag db"});
  auto flags = std::make_shared<BackupFlags>();
  auto& backup = flags->backup;
  command->add_option("source", backup.sources, "Files and directories")->type_name("PATH");
  add_repeatable(command, "-i,--include", backup.includes,
                 "Take only what matches, with all below it, in gitignore syntax (repeatable)")
      ->type_name("PATTERN")
      ->check(is_pattern());
  add_repeatable(command, "-e,--exclude", backup.excludes,
                 "Leave out what matches, in gitignore syntax: \"name\" at any depth, \"/home/*/tmp\" (a / at the start "
                 "or inside) as a path from the root, \"dir/\" directories only, \"!name\" takes back (repeatable)")
      ->type_name("PATTERN")
      ->check(is_pattern());
  add_repeatable(command, "--exclude-file", backup.exclude_files, "Leave out what matches a line of FILE")
      ->type_name("FILE");
  command->add_flag("-x,--one-file-system", backup.one_file_system,
                    "Do not go into what is mounted below a source, bind mounts too");
  command->add_flag("--no-exclude-caches", flags->no_exclude_caches, "Take directories marked by CACHEDIR.TAG too");
  command->add_flag("--no-exclude-nodump", flags->no_exclude_nodump, "Take what has the nodump flag (chattr +d) too");
  command->add_option("--stdin", backup.stdin_name, "Store standard input as one file of this name")
      ->type_name("NAME")
      ->check(is_file_name());
  add_repeatable(command, "-t,--tag", backup.tags, "Give the snapshot a tag")->type_name("TAG")->check(is_label());
  command->add_option("-H,--host", backup.host, "Host name to record (else this host's)")
      ->type_name("NAME")
      ->check(is_label());
  command->add_option("--limit-rate", flags->limit_rate, "Write to the vault at most this much a second")
      ->type_name("SIZE");
  command->add_flag("-n,--dry-run", backup.dry_run, "Look and count only; store nothing");
  command->add_flag("-f,--force", backup.force, "Read every file again, whatever is known from the last run");
  command->add_option("--compression", backup.writer.compression_level, "zstd level, 1 (fast) to 19 (small)")
      ->type_name("LEVEL")
      ->capture_default_str();
  command->add_flag("--no-verify", flags->no_verify, "Do not open every block again before it is stored");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, flags, command] {
    cli.action = [&cli, flags, command] { return run_backup_command(cli.common, *flags, command); };
  });
}

}  // namespace coppice::cli
