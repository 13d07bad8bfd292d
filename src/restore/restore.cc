// restore_snapshot: puts the parts together (walker.h, runner.h, directory.h) and divides the memory and descriptors
// among them.
//
// The target itself: it takes the attributes of the directory that it stands for when it is new or empty (or an earlier
// run that was interrupted found it so), and always in place; a directory with something in it keeps its own. Nothing is
// synced unless `verify` asks for proof: a crash of the whole machine right after a restore may lose file contents, as after a copy.

#include "restore/restore.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "collector.h"
#include "directory.h"
#include "policy/patterns.h"
#include "runner.h"
#include "walker.h"

namespace coppice::restore {
namespace {

constexpr std::uint64_t kWorkerBytes = 14u << 20;  // a block sealed, opened and decompressed, each at its greatest
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

// A file system that was just made may have a folder of its own.
bool is_empty(int fd) {
  const int own = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* list = own >= 0 ? ::fdopendir(own) : nullptr;
  if (!list) return false;
  const dirent* entry;
  do entry = ::readdir(list);
  while (entry && (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0 || std::strcmp(entry->d_name, "lost+found") == 0));
  ::closedir(list);
  return !entry;
}

struct OpenTarget {
  platform::Fd fd;
  bool there = true;
  bool made = false;
  struct stat status {};   // as it was found
  bool ours = false;  // nobody has put anything in it yet, or only a run that did not end
};

Result<OpenTarget> open_target(const RestoreOptions& options) {
  struct stat st {};
  OpenTarget target;
  std::string path = options.target;
  const bool found = ::stat(path.c_str(), &st) == 0, missing = !found && errno == ENOENT;
  if (options.dry_run && found && ::access(path.c_str(), W_OK) != 0 && errno == EROFS) return fail_errno(errno, "nothing can be restored there");
  if (found && !S_ISDIR(st.st_mode)) return fail(ErrorKind::kInvalid, "it is no directory: files are restored into one, under their own names");
  if (missing && options.dry_run) {
    path = "/";  // only to have something
    target.there = false;
  } else if (missing) {
    TRY(platform::make_directories(path, 0700));
    target.made = true;
  }
  auto fd = platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
  if (!fd && fd.error().kind() == ErrorKind::kDenied)  // it may let us pass
    fd = platform::open_at(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY);
  target.fd = TRY(std::move(fd));
  target.status = st;
  const bool unfinished = found && st.st_uid == ::geteuid() && (st.st_mode & 07777) == kUnfinishedMode;
  target.ours = !options.dry_run && (missing || unfinished || is_empty(target.fd.get()));
  return target;
}

// Whether the patterns choose `path` itself, by its own name or by that of a directory above.
bool chosen_by(const policy::PatternList& patterns, const std::string& path) {
  bool chosen = patterns.empty();
  for (std::size_t end = 0; end < path.size() && !patterns.empty();) {
    end = std::min(path.find('/', end + 1), path.size());
    const auto verdict = patterns.verdict(path.substr(0, end), true);
    if (verdict != policy::PatternList::Verdict::kNone) chosen = verdict == policy::PatternList::Verdict::kMatch;
  }
  return chosen;
}

// Plans the directories from the root down to `path`, as the snapshot has them: those that are missing are made with
// the attributes they had, and the others are entered one by one, through no symlink. The caller owns one reference.
Result<Directory*> way_down(DirectoryTree& directories, vault::ChunkReader& reader, const format::SnapshotBody& body,
                            const std::string& path) {
  Directory* at = directories.root();
  DirectoryTree::hold(at);
  for (std::size_t end = 0; end < path.size();) {
    const std::size_t begin = end + 1;
    end = std::min(path.find('/', begin), path.size());
    std::string name = path.substr(begin, end - begin);
    auto found = format::is_valid_name(name) ? vault::find_entry(reader, body, path.substr(0, end))
                                             : fail(ErrorKind::kInvalid, "a name that no file can have");
    if (!found) {
      directories.release(at);
      return std::unexpected<Error>(std::move(found).error());
    }
    Directory* next = directories.add(at, std::move(name));
    directories.set_attributes(next, found->entry);
    directories.release(at);  // the child holds it
    at = next;
  }
  return at;
}

}  // namespace

Result<RestoreReport> restore_snapshot(vault::ChunkReader& reader, const format::SnapshotBody& body,
                                       const RestoreOptions& options, RestoreProgress& progress,
                                       const CancelToken& cancel) {
  if (options.target.empty())
    return fail(ErrorKind::kInvalid, "no directory to restore to was named");
  const policy::PatternList patterns = TRY(compile(options.patterns));
  const std::string sub_path = normalize(options.sub_path);
  std::optional<vault::FoundEntry> found;
  if (!sub_path.empty())
    found = TRY(within(vault::find_entry(reader, body, sub_path), "looking for " + sub_path + " in the snapshot"));
  if (sub_path.empty() && patterns.empty()) {
    progress.files_total = body.files;
    progress.bytes_total = body.bytes;
    progress.totals_known = body.files > 0;
  }
  OpenTarget target = TRY(within(open_target(options), "the target " + options.target));

  const bool directory = !found || found->entry.type == format::EntryType::kDirectory;
  const std::string base_path = directory ? sub_path : sub_path.substr(0, sub_path.rfind('/'));
  const bool inside = chosen_by(patterns, base_path);
  const Budget budget = divide(options);
  Collector collector(progress, cancel, options.target);
  Metadata metadata(collector, options.replace_immutable);
  if (target.made) metadata.take_off_inherited_flags(target.fd.get());
  std::vector<platform::Fd> file_systems;
  {
    platform::Fd spill(options.dry_run ? -1 : ::fcntl(target.fd.get(), F_DUPFD_CLOEXEC, 0));
    const TemporaryNames temporaries(reader, body);
    DirectoryTree directories(std::move(target.fd), options.in_place ? "" : base_path, budget.open_directories,
                              options.dry_run ? DirectoryTree::Use::kLook : DirectoryTree::Use::kChange, metadata,
                              collector, temporaries);
    Directory* base = directories.root();
    base->existed = target.there;
    if (options.in_place)
      base = TRY(way_down(directories, reader, body, base_path));
    else
      DirectoryTree::hold(base);
    const format::Entry* entry = found ? &found->entry : body.root_entry ? &*body.root_entry : nullptr;
    if (directory && entry) {
      directories.set_attributes(base, *entry);
      // A directory that is there, and stands for one that is only on the way to the sources, keeps its own.
      const bool partial = (entry->marks & format::kMarkPartial) != 0;
      // One that looks right already was finished by an earlier run, which may have lacked something below.
      const bool finished = target.there && !options.dry_run && same_time(target.status, entry->mtime) &&
                            owner_and_mode_are(target.status, entry->owner.uid, entry->owner.gid, entry->mode, metadata.root());
      base->chosen = options.in_place ? inside && !partial : target.made || ((target.ours || finished) && !partial);
      if (base->chosen && !options.in_place && !finished) directories.mark_root_unfinished();
    }
    directories.use_root();
    HardLinks links(reader, directories, metadata, collector, std::move(spill), budget.links_bytes);
    AgainList again;
    LateLinks late_links;
    Run run{.reader = reader,
            .options = options,
            .collector = collector,
            .metadata = metadata,
            .temporaries = temporaries,
            .directories = directories,
            .links = links,
            .again = again,
            .late_links = late_links,
            .one_file = !directory,
            .open_files_max = budget.open_files,
            .pending_max = budget.pending};
    Result<> walked;
    {
      std::optional<Runner> runner;
      if (!options.dry_run) runner.emplace(run, budget.workers);
      Walker walker(run, runner ? &*runner : nullptr, body, patterns, budget.window_bytes);
      Walker::Base at{base, base_path, inside};
      if (directory && entry) at.marks = base->chosen ? entry->marks : entry->marks & format::kMarkUnreadable;
      walked = directory ? walker.walk(std::move(at), found ? found->entry.child : body.root)
                         : walker.one(std::move(at), *found);
    }
    links.forget_all();
    if (!walked) return std::unexpected<Error>(std::move(walked).error());
    file_systems = directories.take_file_systems();
  }
  // Contents were read back from the disk; the names and attributes that lead to them must get there too.
  if (options.verify)
    for (const platform::Fd& fd : file_systems)
      if (fd && ::syncfs(fd.get()) != 0)
        collector.fail(options.target, fmt::format("not all that was restored has reached the disk: {}. Do not trust this device", std::strerror(errno)));
  return collector.take();
}

}  // namespace coppice::restore
