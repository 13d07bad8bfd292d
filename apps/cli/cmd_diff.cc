// coppice diff: what changed from one snapshot to another; from trees alone.
#include "cli.h"
#include "foundation/encoding.h"
#include "maintenance/diff.h"
#include "tasks/interrupt.h"
#include "vault/reader.h"

namespace coppice::cli {

namespace {
struct DiffOptions {
  std::string before, after;
  tasks::SnapshotFilter filter;
  bool no_metadata = false;
};

struct Counts {
  std::uint64_t added = 0, removed = 0, modified = 0, metadata = 0, bytes_added = 0, bytes_removed = 0;
};

// Whether `path` is `base` or below it.
bool lies_in(std::string_view path, std::string_view base) {
  if (base == "/") return true;
  return path.starts_with(base) && (path.size() == base.size() || path[base.size()] == '/');
}

// A path that is in neither was mistyped: "no changes" would be the wrong answer.
Result<> must_be_in_one(vault::ChunkReader& reader, const vault::Snapshot& before, const vault::Snapshot& after,
                        const std::string& path) {
  for (const auto* snapshot : {&before, &after}) {
    const auto found = vault::find_entry(reader, *snapshot->body, path);
    if (found) return {};
    if (found.error().kind() != ErrorKind::kNotFound) return std::unexpected(found.error());
  }
  return fail(ErrorKind::kNotFound, fmt::format("{} is neither in {} nor in {}", render_printable(path),
                                                before.short_id(), after.short_id()));
}

char letter_of(const maintenance::Change& change) {
  switch (change.kind) {
    case maintenance::ChangeKind::kAdded:
      return '+';
    case maintenance::ChangeKind::kRemoved:
      return '-';
    case maintenance::ChangeKind::kModified:
      return change.type ? 'T' : change.content ? 'M' : 'U';
  }
  return '?';
}

std::string_view word_of(char letter) {
  switch (letter) {
    case '+':
      return "added";
    case '-':
      return "removed";
    case 'T':
      return "type_changed";
    case 'M':
      return "modified";
    default:
      return "metadata_changed";
  }
}

void tell(const Common& common, const maintenance::Change& change, char letter) {
  const format::Entry* entry = change.after ? change.after : change.before;
  if (!common.json) {
    print(fmt::format("{}  {}{}\n", letter, shown(change.path),
                      entry && entry->type == format::EntryType::kDirectory ? "/" : ""));
    return;
  }
  Json line{{"type", "change"}, {"change", word_of(letter)}};
  put_path(line, "path", change.path);
  if (entry) line["kind"] = type_name(entry->type);
  if (change.kind == maintenance::ChangeKind::kModified) {
    line["content"] = change.content;
    line["metadata"] = change.metadata;
    line["times"] = change.times;
  }
  if (change.before && change.before->type == format::EntryType::kFile) line["size_before"] = change.before->size;
  if (change.after && change.after->type == format::EntryType::kFile) line["size_after"] = change.after->size;
  emit(line);
}

int run_diff(const Common& common, const DiffOptions& options, const CLI::App* command) {
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  auto before = choose_readable(*opened->vault, options.before, options.filter);
  if (!before) return report(common, before.error(), choosing_hint(before.error()));
  auto after = choose_readable(*opened->vault, options.after, options.filter);
  if (!after) return report(common, after.error(), choosing_hint(after.error()));
  if (before->ref.has_path && after->ref.has_path && before->ref.path != after->ref.path) {
    return usage(command, "the same path is compared in both snapshots; name it once");
  }
  for (const auto* one : {&*before, &*after}) print_warnings(common, one->remarks, one->remarks.size());
  const std::string base = before->ref.has_path ? before->ref.path : after->ref.has_path ? after->ref.path : "/";

  Counts counts;
  CancelToken cancel;
  const tasks::InterruptGuard interrupts(cancel, "\ncoppice: stopping\n");
  const auto work = [&]() -> Result<> {
    const auto reader = TRY(vault::ChunkReader::create(*opened->vault, common.memory().reader_cache));
    TRY(must_be_in_one(*reader, before->snapshot, after->snapshot, base));
    return maintenance::diff_snapshots(
        *reader, *before->snapshot.body, *after->snapshot.body,
        [&](const maintenance::Change& change) -> Result<> {
          if (!lies_in(change.path, base)) return {};
          const char letter = letter_of(change);
          if (letter == 'U' && options.no_metadata) return {};
          ++(letter == '+'   ? counts.added
             : letter == '-' ? counts.removed
             : letter == 'U' ? counts.metadata
                             : counts.modified);
          if (change.before && change.before->type == format::EntryType::kFile && letter != 'U')
            counts.bytes_removed += change.before->size;
          if (change.after && change.after->type == format::EntryType::kFile && letter != 'U')
            counts.bytes_added += change.after->size;
          tell(common, change, letter);
          return {};
        },
        cancel);
  };
  if (auto done = work(); !done) {
    return report(common, done.error(),
                  done.error().kind() == ErrorKind::kNotFound ? "'coppice ls' shows what is in a snapshot" : "");
  }
  if (common.json) {
    emit({{"type", "summary"},
          {"added", counts.added},
          {"removed", counts.removed},
          {"modified", counts.modified},
          {"metadata_changed", counts.metadata},
          {"bytes_before", counts.bytes_removed},
          {"bytes_after", counts.bytes_added}});
  } else if (!common.quiet) {
    const bool same_bytes = counts.bytes_removed == 0 && counts.bytes_added == 0;
    note(fmt::format("{} added, {} removed, {} modified, {} with other metadata only{}\n", tasks::render_count(counts.added),
                     tasks::render_count(counts.removed), tasks::render_count(counts.modified), tasks::render_count(counts.metadata),
                     same_bytes ? ""
                                : fmt::format("; {} became {}", tasks::render_size(counts.bytes_removed), tasks::render_size(counts.bytes_added))));
  }
  return kDone;
}
}  // namespace

void add_diff(Cli& cli) {
  CLI::App* command = add_command(
      cli.app, "diff", "Show what changed from one snapshot to another",
      {"coppice diff 3fa29c 81bd02", "coppice diff @2026-11-22 latest", "coppice diff 3fa29c:/etc latest"},
      {.remark = "Each line starts with + added, - removed, M content modified, T type changed, U only metadata or times."});
  auto options = std::make_shared<DiffOptions>();
  command->add_option("before", options->before, "SNAP[:/PATH]: the older one")
      ->required()
      ->type_name("SNAP")
      ->check(is_snapshot());
  command->add_option("after", options->after, "SNAP[:/PATH]: the newer one")
      ->required()
      ->type_name("SNAP")
      ->check(is_snapshot());
  command->add_flag("--no-metadata", options->no_metadata, "Leave out what changed in metadata or times only");
  add_filter_options(command, options->filter);
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_diff(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
