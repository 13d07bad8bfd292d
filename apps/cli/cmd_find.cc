// coppice find: where a file is, in one snapshot or in all of them; from trees alone.
#include "cli.h"
#include "foundation/encoding.h"
#include "policy/patterns.h"
#include "tasks/tree_walk.h"
#include "vault/reader.h"

namespace coppice::cli {

namespace {
struct FindOptions {
  std::vector<std::string> patterns;
  std::string snapshot;
  tasks::SnapshotFilter filter;
  bool long_form = false;
};

struct Place {
  const vault::Snapshot* snapshot;
  std::string base;
};

Result<std::uint64_t> find_in(vault::ChunkReader& reader, const Place& place, const policy::PatternList& patterns,
                              const Common& common, const FindOptions& options) {
  std::uint64_t found = 0;
  bool told = false;
  const auto start = TRY(vault::find_entry(reader, *place.snapshot->body, place.base));
  const auto tell = [&](std::string_view path, const format::Entry& entry) {
    ++found;
    if (common.json) {
      Json line = describe_entry(path, entry);
      line["snapshot"] = place.snapshot->id();
      return emit(line);
    }
    if (!told) {
      told = true;
      print(fmt::format("{}  {}  {}\n", place.snapshot->short_id(), render_local(tasks::snapshot_time(*place.snapshot)),
                        shown(place.snapshot->body->host)));
    }
    print(fmt::format("  {}{}{}\n", options.long_form ? render_long(entry) : "", shown(path),
                      entry.type == format::EntryType::kDirectory ? "/" : ""));
  };
  if (start.entry.type != format::EntryType::kDirectory) {
    if (patterns.matches(place.base, false)) tell(place.base, start.entry);
    return found;
  }
  TRY(tasks::walk_tree(reader, start.entry, place.base,
                       [&](std::string_view path, const format::Entry& entry) -> Result<tasks::Descend> {
                         const bool directory = entry.type == format::EntryType::kDirectory;
                         if (patterns.matches(path, directory)) tell(path, entry);
                         return directory && patterns.may_match_below(path) ? tasks::Descend::kYes
                                                                            : tasks::Descend::kNo;
                       }));
  return found;
}

int run_find(const Common& common, const FindOptions& options, const CLI::App* command) {
  policy::PatternList patterns;
  for (const auto& pattern : options.patterns) {
    if (auto added = patterns.add(pattern); !added) return usage(command, added.error().message());
  }
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  vault::SnapshotList list;
  std::optional<Chosen> chosen;
  std::uint64_t found = 0;
  const auto work = [&]() -> Result<> {
    std::vector<Place> places;
    if (!options.snapshot.empty()) {
      chosen = TRY(choose_readable(*opened->vault, options.snapshot, options.filter));
      places.push_back({&chosen->snapshot, chosen->ref.has_path ? chosen->ref.path : "/"});
    } else {
      TRY(check_can_read(*opened->vault));
      list = TRY(opened->vault->snapshots());
      for (const auto* snapshot : TRY(tasks::filter_snapshots(list, options.filter))) {
        if (snapshot->body) places.push_back({snapshot, "/"});
      }
    }
    const auto reader = TRY(vault::ChunkReader::create(*opened->vault, common.memory().reader_cache));
    for (const auto& place : places) {
      found += TRY(within(find_in(*reader, place, patterns, common, options), place.snapshot->short_id()));
    }
    return {};
  };
  if (auto done = work(); !done) return report(common, done.error(), choosing_hint(done.error()));
  warn_of_bad(common, list);
  if (chosen) print_warnings(common, chosen->remarks, chosen->remarks.size());
  if (found == 0) return report(common, Error(ErrorKind::kNotFound, "nothing matches"));
  return list.bad.empty() && (!chosen || chosen->remarks.empty()) ? kDone : kWarnings;
}
}  // namespace

void add_find(Cli& cli) {
  CLI::App* command = add_command(
      cli.app, "find", "Find files by name in snapshots",
      {"coppice find fstab                      in every snapshot", "coppice find '*.odt' --snapshot latest:/home",
       "coppice find /etc/nginx/ -l --host web1", "coppice find 'invoice*.pdf' --json"});
  auto options = std::make_shared<FindOptions>();
  command->add_option("pattern", options->patterns, "A name, or a pattern in gitignore syntax")
      ->required()
      ->type_name("PATTERN");
  command->add_option("-s,--snapshot", options->snapshot, "Only in this one: SNAP[:/PATH]")
      ->type_name("SNAP")
      ->check(is_snapshot())
      ->group("Snapshots");
  command->add_flag("-l,--long", options->long_form, "Mode, owner, size and time too");
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_find(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
