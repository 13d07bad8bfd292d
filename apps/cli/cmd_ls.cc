// coppice ls: what is in a snapshot, from its trees alone.
#include "cli.h"
#include "foundation/encoding.h"
#include "tasks/tree_walk.h"
#include "vault/reader.h"

namespace coppice::cli {

namespace {
struct LsOptions {
  std::string snapshot;
  tasks::SnapshotFilter filter;
  bool long_form = false, recursive = false;
};

void print_entry(const Common& common, const LsOptions& options, std::string_view path, std::string_view shown_as,
                 const format::Entry& entry) {
  if (common.json) return emit(describe_entry(path, entry));
  std::string line;
  if (options.long_form) line = render_long(entry);
  line += shown(shown_as);
  if (entry.type == format::EntryType::kDirectory && !shown_as.ends_with('/')) line += "/";
  if (options.long_form && entry.type == format::EntryType::kSymlink) line += " -> " + shown(entry.target);
  print(line + "\n");
}

int run_ls(const Common& common, const LsOptions& options) {
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto chosen = choose_readable(*opened->vault, options.snapshot, options.filter);
  if (!chosen) return report(common, chosen.error(), choosing_hint(chosen.error()));
  const std::string base = chosen->ref.has_path ? chosen->ref.path : "/";
  std::vector<Warning> warnings = chosen->remarks;
  std::uint64_t warnings_total = warnings.size();
  // Of each directory whose list is given.
  const auto look_at_marks = [&](std::string_view path, const format::Entry& entry) {
    constexpr std::size_t kWarningsMax = 1000;
    if (entry.type != format::EntryType::kDirectory || !(entry.marks & format::kMarkUnreadable)) return;
    ++warnings_total;
    if (warnings.size() < kWarningsMax) warnings.push_back({std::string(path), "its list could not be read when it was backed up"});
  };
  const auto work = [&]() -> Result<> {
    const auto reader = TRY(vault::ChunkReader::create(*opened->vault, common.memory().reader_cache));
    const auto start = TRY(vault::find_entry(*reader, *chosen->snapshot.body, base));
    if (start.entry.type != format::EntryType::kDirectory) {
      print_entry(common, options, base, base, start.entry);
      return {};
    }
    look_at_marks(base, start.entry);
    return tasks::walk_tree(
        *reader, start.entry, base, [&](std::string_view path, const format::Entry& entry) -> Result<tasks::Descend> {
          // Names below the directory asked for when it is one level, whole paths when it is many.
          print_entry(common, options, path, options.recursive ? path : std::string_view(entry.name), entry);
          if (options.recursive) look_at_marks(path, entry);
          return options.recursive ? tasks::Descend::kYes : tasks::Descend::kNo;
        });
  };
  if (auto done = work(); !done) {
    return report(
        common, done.error().within(chosen->snapshot.short_id()),
        done.error().kind() == ErrorKind::kNotFound ? "'coppice ls' of the directory above shows what is there" : "");
  }
  print_warnings(common, warnings, warnings_total);
  return warnings_total == 0 ? kDone : kWarnings;
}
}  // namespace

void add_ls(Cli& cli) {
  CLI::App* command = add_command(cli.app, "ls", "List a directory of a snapshot",
                                  {"coppice ls latest", "coppice ls -l latest:/etc", "coppice ls -R 3fa29c:/home/ann",
                                   "coppice ls -l @2026-11-22:/var/log    as it was at the end of that day"});
  auto options = std::make_shared<LsOptions>();
  command->add_option("snapshot", options->snapshot, kSnapshotHelp)
      ->required()
      ->type_name("SNAP")
      ->check(is_snapshot());
  command->add_flag("-l,--long", options->long_form, "Mode, owner, size and time too");
  command->add_flag("-R,--recursive", options->recursive, "Everything below, with whole paths");
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_ls(cli.common, *options); }; });
}

}  // namespace coppice::cli
