#include "capture/backup.h"

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>

#include "foundation/encoding.h"
#include "policy/patterns.h"
#include "sequencer.h"
#include "source_state.h"
#include "source_tree.h"

namespace coppice::capture {

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name[0] ? name : "localhost";
}

namespace {

std::string user_name() {
  char buffer[4096];
  struct passwd entry, *found = nullptr;
  ::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found);
  return found ? found->pw_name : std::to_string(::geteuid());
}

// A descriptor for every level of the deepest path, and some scanned ahead.
void allow_many_descriptors() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// Patterns tied to the root that can match nothing below any source.
std::vector<std::string> idle_patterns(const std::vector<std::string>& patterns, const std::vector<std::string>& sources) {
  std::vector<std::string> idle;
  for (const std::string& pattern : patterns) {
    policy::PatternList rule;
    if (pattern.starts_with('!') || !rule.add(pattern)) continue;
    if (std::ranges::none_of(sources, [&](const std::string& source) { return rule.may_match_below(source); })) idle.push_back(render_printable(pattern));
  }
  return idle;
}

}  // namespace

Result<BackupReport> run_backup(const vault::Vault& vault, const BackupOptions& options, BackupProgress& progress, const CancelToken& cancel) {
  const std::uint64_t began = vault.clock().monotonic_ns();
  const Timestamp started = vault.clock().now();
  TRY(vault.may_write());
  allow_many_descriptors();
  const bool stream = !options.stdin_name.empty();
  if (stream ? !options.sources.empty() : options.sources.empty()) return fail(ErrorKind::kInvalid, "nothing to back up: name a file or directory");
  if (stream && !format::is_valid_name(options.stdin_name)) return fail(ErrorKind::kInvalid, "the name for the standard input must be a plain file name");
  const Sources sources = stream ? Sources{.paths = {options.stdin_name}, .missing = {}, .links = {}} : TRY(find_sources(options.sources));
  std::vector<std::string> present;   // what is walked; the snapshot names the others too, so that its lineage stays the same
  if (!stream) std::ranges::set_difference(sources.paths, sources.missing, std::back_inserter(present));
  const std::string host = options.host.empty() ? host_name() : options.host;

  SelectionOptions selecting{.excludes = options.excludes, .exclude_files = options.exclude_files, .includes = options.includes,
                             .one_file_system = options.one_file_system, .skip_cache_directories = options.exclude_caches,
                             .skip_nodump = options.honour_nodump, .never = options.never};
  const Selection selection = TRY(Selection::create(selecting, present));
  const SourceTree tree = make_source_tree(present);

  std::string lineage = host;
  for (const std::string& source : sources.paths) (lineage += '\0') += source;
  BackupReport report;
  Reporter reporter(options, report);
  for (const std::string& path : sources.missing) reporter.warn(path, "there is no such file or directory");
  report.lacking = sources.missing;
  // Before and after: a file system that dies meanwhile takes files with it.
  const auto look_for_unreadable = [&](const char* when) {
    for (std::string& path : unreadable_of(present)) {
      if (std::ranges::find(report.lacking, path) != report.lacking.end()) continue;
      reporter.warn(path, fmt::format("this source could not be read when the backup {}", when));
      report.lacking.push_back(std::move(path));
    }
  };
  look_for_unreadable("began");
  if (!present.empty() && report.lacking.size() == sources.paths.size())
    return fail(ErrorKind::kUnavailable, fmt::format("{} cannot be read{}", render_printable(report.lacking.front()),
                                                     report.lacking.size() > 1 ? ", nor can any other source" : ""));
  for (const std::string& path : sources.links)
    reporter.notice(path + " is a symbolic link to a directory, and only the link is stored: name it with a / at its end to follow it");
  if (!stream)
    for (const std::string& pattern : idle_patterns(options.excludes, present))
      reporter.notice("the pattern " + pattern + " matches nothing below the sources: a / at its start or inside ties it to the root of the host's paths");

  const auto look_for_nothing = [&] {
    if (!options.includes.empty() && report.files + report.others == 0) reporter.warn("", "nothing in the sources matches a pattern of what to include");
  };
  Sequencer sequencer(vault, options, progress, cancel, reporter);
  std::vector<std::string> notices;
  const auto open_state = [&](const std::optional<vault::Snapshot>& base, SourceState::Use use) {
    SourceState state = SourceState::open(vault, lineage, base, options.force, use, notices);
    for (const std::string& notice : notices) reporter.notice(notice);
    if (state.head()) {
      progress.files_before = state.head()->files;
      progress.bytes_before = state.head()->bytes;
    } else if (base && base->body) {
      progress.files_before = base->body->files;
      progress.bytes_before = base->body->bytes;
    }
    return state;
  };
  if (options.dry_run) {
    SourceState state = open_state(TRY(vault::newest_of_lineage(vault, lineage)), SourceState::Use::kReadOnly);
    TRY(sequencer.run(selection, tree, state, nullptr));
    look_for_nothing();
    report.duration_ms = (vault.clock().monotonic_ns() - began) / 1'000'000;
    return report;
  }

  vault::WriterOptions writing = options.writer;
  writing.cancel = &cancel;
  writing.bytes_stored = &progress.bytes_stored;
  std::unique_ptr<vault::Writer> writer = TRY(vault::Writer::begin(vault, lineage, writing));
  for (std::string& notice : writer->notices()) reporter.warn("", std::move(notice));
  // A base that lost packs is no base: everything is read again, and what was lost is stored again.
  SourceState state = open_state(writer->previous_usable() ? writer->previous() : std::nullopt, SourceState::Use::kReadAndWrite);
  const Result<> ran = stream ? sequencer.run_stream(*writer, state) : sequencer.run(selection, tree, state, writer.get());
  if (!ran) {
    // What is in memory is worth keeping, unless storing is what failed.
    if (writer->status()) (void)writer->suspend();
    return std::unexpected(ran.error());
  }

  look_for_unreadable("ended");
  look_for_nothing();
  format::SnapshotBody body{.host = host, .sources = sources.paths, .tags = options.tags, .includes = options.includes, .excludes = options.excludes,
                            .user = user_name(), .program = options.program, .started = started,
                            .root = sequencer.root().node, .root_entry = sequencer.root_entry(), .files = report.files,
                            .directories = report.directories, .others = report.others, .bytes = report.bytes, .files_new = report.files_new,
                            .files_changed = report.files_changed, .warnings = report.warnings_total, .complete = report.lacking.empty()};
  std::ranges::sort(body.tags);
  body.tags.erase(std::ranges::unique(body.tags).begin(), body.tags.end());
  body.duration_ms = (vault.clock().monotonic_ns() - began) / 1'000'000;
  report.snapshot = TRY(writer->commit(std::move(body)));
  report.committed = true;
  report.adopted = writer->stats().bytes_adopted;
  report.added_plain = report.snapshot.body->added_plain;
  report.added_stored = report.snapshot.body->added_stored - report.adopted;
  if (Result<> kept = state.keep(sequencer.root(), report.snapshot.commit_hash, started, report.files, report.bytes); !kept)
    reporter.warn("", "the source state could not be kept, so the next backup reads everything again: " + kept.error().message());
  report.duration_ms = (vault.clock().monotonic_ns() - began) / 1'000'000;
  return report;
}

}  // namespace coppice::capture
