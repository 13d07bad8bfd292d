// coppice cat: the content of one file on standard output.
#include <unistd.h>

#include "cli.h"
#include "foundation/encoding.h"
#include "restore/restore.h"

namespace coppice::cli {

namespace {
struct CatOptions {
  std::string snapshot;
  tasks::SnapshotFilter filter;
};

int run_cat(const Common& common, const CatOptions& options, const CLI::App* command) {
  const auto ref = tasks::parse_snapshot_ref(options.snapshot);
  if (!ref) return usage(command, ref.error().message());
  if (!ref->has_path || ref->path == "/") return usage(command, "name a file: SNAP:/path/of/file");
  if (common.json) send_objects_to_stderr();
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto chosen = choose_readable(*opened->vault, options.snapshot, options.filter);
  if (!chosen) return report(common, chosen.error(), choosing_hint(chosen.error()));
  std::vector<Warning> warnings = chosen->remarks;
  vault::FoundEntry found;
  const auto work = [&]() -> Result<> {
    const auto reader = TRY(vault::ChunkReader::create(*opened->vault, common.memory().reader_cache));
    found = TRY(vault::find_entry(*reader, *chosen->snapshot.body, ref->path));
    if (found.entry.type != format::EntryType::kFile) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("{} is a {}, not a file", render_printable(ref->path), type_name(found.entry.type)));
    }
    const CancelToken cancel;  // a signal ends the process: nothing here needs putting in order
    return restore::write_content(*reader, found, STDOUT_FILENO, cancel, common.memory().stream);
  };
  if (auto done = work(); !done) return report(common, done.error().within(chosen->snapshot.short_id()));
  if (found.entry.marks & format::kMarkChangedWhileRead)
    warnings.push_back({ref->path, "it changed while it was backed up: its content may mix two states"});
  print_warnings(common, warnings, warnings.size());
  if (common.json) {
    Json line{{"type", "summary"}, {"snapshot", chosen->snapshot.id()}};
    put_path(line, "path", ref->path);
    line["bytes"] = found.entry.size;
    line["warnings"] = warnings.size();
    emit(line);
  }
  return warnings.empty() ? kDone : kWarnings;
}
}  // namespace

void add_cat(Cli& cli) {
  CLI::App* command =
      add_command(cli.app, "cat", "Write one file of a snapshot to standard output",
                  {"coppice cat latest:/etc/fstab", "coppice cat @2026-11-22T08:00:/var/lib/dump.sql | psql"},
                  {.remark = "With --json the summary goes to standard error: standard output is the file."});
  auto options = std::make_shared<CatOptions>();
  command->add_option("file", options->snapshot, "SNAP:/PATH")
      ->required()
      ->type_name("SNAP:/PATH")
      ->check(is_snapshot());
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_cat(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
