// coppice restore: a snapshot, or a part of it, back onto a file system.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>

#include "cli.h"
#include "foundation/encoding.h"
#include "policy/patterns.h"
#include "restore/restore.h"
#include "tasks/backup_task.h"
#include "tasks/interrupt.h"

namespace coppice::cli {

namespace {
constexpr std::string_view kRestoreStops =
    "\ncoppice: stopping. What was restored stays, and the same command goes on from there. Again to stop at once.\n";

struct RestoreFlags {
  std::string snapshot, to;
  tasks::SnapshotFilter filter;
  std::vector<std::string> includes, excludes;
  bool in_place = false, verify = false, dry_run = false, replace_immutable = false;
};

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Where the part that was asked for belongs on this host, to be told.
Result<std::string> home_of(vault::ChunkReader& reader, const format::SnapshotBody& body, const std::string& sub_path) {
  if (sub_path.empty()) return std::string("/");
  const auto found = TRY(vault::find_entry(reader, body, sub_path));
  return found.entry.type == format::EntryType::kDirectory ? sub_path : parent_of(sub_path);
}

// One list in which the last match decides. An exclude takes out what is below a directory too, whatever the includes
// say of it.
std::vector<std::string> patterns_of(const RestoreFlags& flags) {
  std::vector<std::string> patterns = flags.includes;
  if (patterns.empty() && !flags.excludes.empty()) patterns.emplace_back("*");
  for (const auto& exclude : flags.excludes) {
    std::string_view below = exclude;
    if (below.ends_with('/')) below.remove_suffix(1);
    patterns.push_back("!" + exclude);
    patterns.push_back(fmt::format("!{}{}/**", below.find('/') == std::string_view::npos ? "**/" : "", below));
  }
  return patterns;
}

void print_summary(const Common& common, const Chosen& chosen, const RestoreFlags& flags, const std::string& target,
                   const restore::RestoreReport& report, std::uint64_t lacking, double seconds) {
  if (common.json) {
    Json line{{"type", "summary"}, {"snapshot", chosen.snapshot.id()}, {"dry_run", flags.dry_run}};
    put_path(line, "target", target);
    line.update({{"files", report.files},
                 {"directories", report.directories},
                 {"others", report.others},
                 {"bytes", report.bytes},
                 {"metadata_set", report.metadata_set},
                 {"skipped", report.skipped},
                 {"verified", report.verified},
                 {"failed", report.failed},
                 {"warnings", report.warnings_total + lacking},
                 {"duration_ms", static_cast<std::uint64_t>(seconds * 1000)}});
    return emit(line);
  }
  std::string line =
      fmt::format("{} {}: {}, {}", flags.dry_run ? "dry run: would restore" : "restored",
                  chosen.snapshot.short_id(), tasks::render_count(report.files, "file"), tasks::render_size(report.bytes));
  if (report.metadata_set > 0) line += fmt::format("; metadata of {} set right", tasks::render_count(report.metadata_set));
  if (report.skipped > 0) line += fmt::format("; {} {} right already", tasks::render_count(report.skipped), report.skipped == 1 ? "was" : "were");
  if (flags.verify && !flags.dry_run) line += fmt::format("; {} verified", tasks::render_count(report.verified, "content"));
  if (report.failed > 0) line += fmt::format("; {} FAILED", tasks::render_count(report.failed));
  print(fmt::format("{}, to {} in {}\n", line, shown(target), tasks::render_seconds(seconds)));
}

// What should be known and is no warning: a restore onto the disk below where another one was mounted may be just what is wanted.
void print_mount_points(const Common& common, const restore::RestoreReport& report) {
  if (report.mount_points_total == 0) return;
  if (common.json) {
    for (const auto& path : report.mount_points) {
      Json line{{"type", "mount_point"}};
      put_path(line, "path", path);
      emit(line);
    }
    return;
  }
  if (common.quiet) return;
  constexpr std::size_t kShown = 10;
  std::string line = fmt::format("{} in the snapshot {} here:", tasks::render_count(report.mount_points_total, "mount point"),
                                 report.mount_points_total == 1 ? "is a plain directory" : "are plain directories");
  for (std::size_t i = 0; i < std::min(kShown, report.mount_points.size()); ++i) line += " " + shown(report.mount_points[i]);
  if (report.mount_points_total > kShown) line += " ...";
  print(line + "\n");
}

// After a restore that ended early: the next step.
std::string what_next(const Error& error, const RestoreFlags& flags, const restore::RestoreProgress& progress) {
  if (error.kind() == ErrorKind::kNotFound) return "'coppice ls' shows what is in the snapshot";
  if (error.kind() != ErrorKind::kExhausted) return "";
  const std::uint64_t files = progress.files, total = progress.files_total;
  std::string next = progress.totals_known ? fmt::format("{} of {}", tasks::render_count(files), tasks::render_count(total, "file"))
                                           : tasks::render_count(files, "file");
  next += " came back so far; what is restored stays. ";
  if (tasks::is_of_descriptors(error)) return next + "Allow more open files (ulimit -n) and run the same command again: it goes on";
  next += "Make room there and run the same command again: it goes on";
  if (!flags.in_place) next += ". Or restore with another --to";
  return next;
}

constexpr std::string_view outcome_name(restore::Outcome outcome) {
  switch (outcome) {
    case restore::Outcome::kMade:
      return "make";
    case restore::Outcome::kReplaced:
      return "replace";
    case restore::Outcome::kMetadata:
      return "metadata";
    case restore::Outcome::kLeft:
      break;
  }
  return "leave";
}

// What a dry run finds, name by name: all of it as JSON, for people the first that would be made, replaced or changed.
class Outcomes {
 public:
  explicit Outcomes(const Common& common) : common_(common) {}
  void take(const std::string& path, restore::Outcome outcome) {
    if (common_.json) {
      Json line{{"type", "outcome"}, {"action", outcome_name(outcome)}};
      put_path(line, "path", path);
      return emit(line);
    }
    if (outcome == restore::Outcome::kLeft || common_.quiet || ++count_ > kShown) return;
    lines_ += fmt::format("{:<8} {}\n", outcome_name(outcome), shown(path));
  }
  void print_lines() const {
    print(lines_);
    if (count_ > kShown) print(fmt::format("... and {} more: --json names all\n", tasks::render_count(count_ - kShown)));
  }

 private:
  static constexpr std::uint64_t kShown = 100;
  const Common& common_;
  std::string lines_;
  std::uint64_t count_ = 0;
};

// By what the directories are: a path may lead there through a mount.
bool lies_in_directory(const std::string& path, const std::string& directory) {
  struct stat wanted {}, status {};
  if (::stat(directory.c_str(), &wanted) != 0) return false;
  for (std::string at = tasks::real_path(path);; at = parent_of(at)) {
    if (::stat(at.c_str(), &status) == 0 && status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino) return true;
    if (at == "/") return false;
  }
}

int run_restore(const Common& common, const RestoreFlags& flags, const CLI::App* command) {
  if (flags.to.empty() && !flags.in_place) {
    return usage(command, "say where to: --to DIR puts the files below DIR, --in-place back where they were");
  }
  policy::PatternList rules;  // says now what is wrong with a pattern, before anything is opened
  for (const auto& pattern : flags.includes) {
    if (auto added = rules.add(pattern); !added) return usage(command, "--include: " + added.error().message());
  }
  for (const auto& pattern : flags.excludes) {
    if (pattern.starts_with('!')) return usage(command, "--exclude takes what is left out, without a '!'");
    if (auto added = rules.add(pattern); !added) return usage(command, "--exclude: " + added.error().message());
  }
  if (!flags.to.empty() && flags.in_place) return usage(command, "--to and --in-place exclude each other");
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto chosen = choose_readable(*opened->vault, flags.snapshot, flags.filter);
  if (!chosen) return report(common, chosen.error(), choosing_hint(chosen.error()));
  const format::SnapshotBody& body = *chosen->snapshot.body;
  const std::vector<Warning> lacking = what_is_lacking(*chosen);
  print_warnings(common, lacking, lacking.size());

  restore::RestoreOptions options;
  options.sub_path = chosen->ref.has_path && chosen->ref.path != "/" ? chosen->ref.path : "";
  options.patterns = patterns_of(flags);
  options.in_place = flags.in_place;
  options.verify = flags.verify;
  options.replace_immutable = flags.replace_immutable;
  options.dry_run = flags.dry_run;
  Outcomes outcomes(common);
  options.on_outcome = [&](const std::string& path, restore::Outcome outcome) { outcomes.take(path, outcome); };
  options.memory_bytes = common.memory().restore_plan;

  signal(SIGPIPE, SIG_IGN);
  restore::RestoreProgress progress;
  CancelToken cancel;
  std::string goal;
  const auto begun = platform::system_clock().monotonic_ns();
  const auto work = [&]() -> Result<restore::RestoreReport> {
    const auto reader = TRY(vault::ChunkReader::create(*opened->vault, common.memory().restore_cache));
    options.target = flags.in_place ? "/" : TRY(tasks::absolute_path(flags.to));
    if (!flags.in_place && lies_in_directory(options.target, opened->location))
      return fail(ErrorKind::kInvalid, fmt::format("{} lies in the vault: name another directory with --to", shown(options.target)));
    goal = flags.in_place ? TRY(home_of(*reader, body, options.sub_path)) : options.target;
    const tasks::InterruptGuard interrupts(cancel, kRestoreStops);
    const tasks::ProgressDisplay display(tasks::choose_progress_mode(common.json, common.quiet), [&progress] {
      return tasks::ProgressSample{progress.files, progress.bytes, progress.files_total, progress.bytes_total,
                                   progress.totals_known};
    });
    auto report = TRY(restore::restore_snapshot(*reader, body, options, progress, cancel));
    return report;
  };
  auto done = work();
  if (!done) {
    if (done.error().kind() == ErrorKind::kCancelled && cancel.cancelled()) {
      return report(common,
                    Error(ErrorKind::kCancelled, fmt::format("interrupted; {} is restored in part", goal)),
                    "run the same command again to go on: files that are right already are left alone");
    }
    return report(common, done.error().within(fmt::format("restoring {}", chosen->snapshot.short_id())),
                  what_next(done.error(), flags, progress));
  }
  if (done->chosen == 0 && !flags.includes.empty())
    return report(common, Error(ErrorKind::kNotFound, "--include: nothing in the snapshot matches"),
                  "'coppice find' shows what a pattern matches; one with a '/' in it begins at the root");
  if (done->chosen == 0 && !flags.excludes.empty())
    return report(common, Error(ErrorKind::kNotFound, "--exclude: everything that was asked for matches"),
                  "a pattern matches a directory above it too; one with a '/' in it begins at the root");
  std::vector<Warning> warnings;
  for (const auto& warning : done->warnings) warnings.push_back({warning.path, warning.what});
  print_warnings(common, warnings, done->warnings_total);
  if (!flags.includes.empty() && done->files + done->directories + done->others + done->metadata_set + done->skipped + done->failed == 0) {
    return report(common, Error(ErrorKind::kNotFound, fmt::format("nothing in {} matches", flags.snapshot)),
                  "'coppice find' looks for a pattern");
  }
  outcomes.print_lines();
  print_mount_points(common, *done);
  print_summary(common, *chosen, flags, goal, *done, lacking.size(),
                static_cast<double>(platform::system_clock().monotonic_ns() - begun) / 1e9);
  if (done->immutable > 0) note("  what is immutable or append-only is left as it is: --replace-immutable replaces and changes it\n");
  return done->failed > 0 ? kFailed : done->warnings_total + lacking.size() > 0 ? kWarnings : kDone;
}
}  // namespace

void add_restore(Cli& cli) {
  CLI::App* command =
      add_command(cli.app, "restore", "Bring files back from a snapshot",
                  {"coppice restore latest --to /mnt/new              everything, with full paths below /mnt/new",
                   "coppice restore latest:/srv/data --to /tmp/data    what is in /srv/data, into /tmp/data",
                   "coppice restore @2026-11-22T08:00:/etc/nginx --in-place --verify",
                   "coppice restore latest --to /tmp/x --include '*.odt' --exclude /home/ann/old/"});
  auto flags = std::make_shared<RestoreFlags>();
  command->add_option("snapshot", flags->snapshot, kSnapshotHelp)
      ->required()
      ->type_name("SNAP")
      ->check(is_snapshot());
  command->add_option("-o,--to", flags->to, "Directory to restore into; made when missing")->type_name("DIR");
  command->add_flag("--in-place", flags->in_place, "Restore to where the files were, replacing what differs");
  add_repeatable(command, "-i,--include", flags->includes,
                 "Only what matches, in gitignore syntax against the full path")
      ->type_name("PATTERN");
  add_repeatable(command, "-e,--exclude", flags->excludes, "Not what matches")->type_name("PATTERN");
  command->add_flag("--verify", flags->verify, "Read everything back from the disk and compare; it is durable then");
  command->add_flag("--replace-immutable", flags->replace_immutable,
                    "Replace and change what is immutable or append-only here (chattr +i, +a) too; else it stays, and is named");
  command->add_flag("-n,--dry-run", flags->dry_run, "Compare, say what would be made, replaced and changed; write nothing");
  add_filter_options(command, flags->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, flags, command] {
    cli.action = [&cli, flags, command] { return run_restore(cli.common, *flags, command); };
  });
}

}  // namespace coppice::cli
