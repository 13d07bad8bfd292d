// restore_snapshot: puts the parts together (walker.h, runner.h, directory.h) and divides the memory and descriptors
// among them.
//
// The target itself: made 0700 when it is missing, and it takes the attributes of the directory that `sub_path` names
// only then; a directory that is there already keeps its own. Nothing is synced unless `verify` asks to read back what
// was written: a crash of the whole machine right after a restore may lose file contents, as after a copy.

#include "restore/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>

#include "collector.h"
#include "directory.h"
#include "policy/patterns.h"
#include "runner.h"
#include "walker.h"

namespace coppice::restore {
namespace {

constexpr std::uint64_t kWorkerBytes = 8u << 20;  // a block sealed, opened and decompressed, each at its greatest
constexpr std::uint64_t kWindowBytesMin = 1u << 20, kWindowBytesMax = 24u << 20;
constexpr std::uint64_t kLinksBytesMin = 1u << 20;
constexpr unsigned kWorkersMax = 256;

struct Budget {
  std::size_t window_bytes;
  std::uint64_t links_bytes;
  unsigned workers;
  std::uint32_t open_directories, open_files, pending;
};

Budget divide(const RestoreOptions& options) {
  Budget b{};
  b.window_bytes = std::clamp(options.memory_bytes / 8, kWindowBytesMin, kWindowBytesMax);
  b.links_bytes = std::max(options.memory_bytes / 4, kLinksBytesMin);
  const std::uint64_t used = 2 * b.window_bytes + b.links_bytes;
  const std::uint64_t fit = options.memory_bytes > used ? (options.memory_bytes - used) / kWorkerBytes : 1;
  const unsigned wanted = options.workers ? options.workers : std::max(1u, std::thread::hardware_concurrency());
  b.workers = static_cast<unsigned>(std::clamp<std::uint64_t>(std::min<std::uint64_t>(wanted, fit), 1, kWorkersMax));
  rlimit limit{};
  const auto files = ::getrlimit(RLIMIT_NOFILE, &limit) == 0
                         ? static_cast<std::uint32_t>(std::min<rlim_t>(limit.rlim_cur, 65536))
                         : 1024;
  b.open_directories = std::clamp(files / 2, 16u, 4096u);
  b.open_files = std::clamp(files / 8, 8u, 256u);
  b.pending = std::clamp(files / 8 / b.workers, 1u, 64u);
  return b;
}

// "/a/b", or "" for the root.
std::string normalize(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  std::string text(path);
  if (!text.empty() && text.front() != '/') text.insert(0, "/");
  return text;
}

Result<policy::PatternList> compile(const std::vector<std::string>& patterns) {
  policy::PatternList list;
  for (const auto& p : patterns) TRY(within(list.add(p), fmt::format("pattern \"{}\"", p)));
  return list;
}

struct OpenTarget {
  platform::Fd fd;
  bool made = false;
};

Result<OpenTarget> open_target(const RestoreOptions& options) {
  struct stat st {};
  OpenTarget target;
  target.made = ::stat(options.target.c_str(), &st) != 0 && errno == ENOENT;
  // A dry run looks at nothing; it only needs a directory to hang its plan on.
  const std::string& path = options.dry_run ? std::string("/") : options.target;
  if (!options.dry_run) TRY(platform::make_directories(path, 0700));
  target.fd = TRY(platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY));
  return target;
}

}  // namespace

Result<RestoreReport> restore_snapshot(vault::ChunkReader& reader, const format::SnapshotBody& body,
                                       const RestoreOptions& options, RestoreProgress& progress,
                                       const CancelToken& cancel) {
  if (options.target.empty() && !options.dry_run)
    return fail(ErrorKind::kInvalid, "no directory to restore to was named");
  const policy::PatternList patterns = TRY(compile(options.patterns));
  const std::string sub_path = normalize(options.sub_path);
  std::optional<vault::FoundEntry> found;
  if (!sub_path.empty())
    found = TRY(within(vault::find_entry(reader, body, sub_path), "looking for " + sub_path + " in the snapshot"));
  if (sub_path.empty() && patterns.empty()) {
    progress.files_total = body.files;
    progress.bytes_total = body.bytes;
  }
  OpenTarget target = TRY(within(open_target(options), "the target " + options.target));

  const bool directory = !found || found->entry.type == format::EntryType::kDirectory;
  const Budget budget = divide(options);
  Collector collector(progress, cancel);
  Metadata metadata(collector);
  {
    const std::string prefix = directory ? sub_path : sub_path.substr(0, sub_path.rfind('/'));
    DirectoryTree directories(std::move(target.fd), prefix, budget.open_directories, metadata, collector);
    if (target.made && found && directory && !options.dry_run) {
      directories.set_attributes(directories.root(), found->entry);
      directories.root()->chosen = true;
    }
    HardLinks links(reader, directories, metadata, collector, budget.links_bytes);
    AgainList again;
    LateLinks late_links;
    Run run{.reader = reader,
            .options = options,
            .collector = collector,
            .metadata = metadata,
            .directories = directories,
            .links = links,
            .again = again,
            .late_links = late_links,
            .open_files_max = budget.open_files,
            .pending_max = budget.pending};
    Result<> walked;
    {
      std::optional<Runner> runner;
      if (!options.dry_run) runner.emplace(run, budget.workers);
      Walker walker(run, runner ? &*runner : nullptr, body, patterns, budget.window_bytes);
      walked = directory ? walker.walk(found ? found->entry.child : body.root) : walker.one(*found);
    }
    links.forget_all();
    if (!walked) return std::unexpected<Error>(std::move(walked).error());
  }
  return collector.take();
}

}  // namespace coppice::restore
