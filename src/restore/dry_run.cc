// A dry run: from one entry to what would become of it (walker.h), as plan() and the threads would find it. Nothing is changed.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "walker.h"

namespace coppice::restore {

using format::EntryType;

namespace {
bool is_full_directory(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* list = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (!list) return false;
  unsigned entries = 0;   // "." and ".." too
  while (entries < 3 && ::readdir(list)) ++entries;
  ::closedir(list);
  return entries == 3;
}
}  // namespace

// What does not open for reading is looked at by its path: the owner's own files without permission to read, and what is no file.
bool Walker::is_right_here(const format::Entry& entry) const {
  const char* name = entry.name.c_str();
  platform::Fd fd;
  if (entry.type == EntryType::kFile) fd = platform::Fd(::openat(pin_.fd(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const HandleKind kind = fd ? HandleKind::kOpen : HandleKind::kPath;
  if (!fd) fd = platform::Fd(::openat(pin_.fd(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  Arena arena(1u << 10);
  return fd && ::fstat(fd.get(), &st) == 0 && run_.metadata.is_right(fd.get(), kind, st, copy_attributes(entry, arena));
}

std::optional<Outcome> Walker::look_dry(Directory* directory, const format::Entry& entry, LinkTarget* link) {
  const auto action = look(directory, entry, nullptr, false);
  const Where where{directory, entry.name};
  const bool makes = action == Action::kCreate, replaces = action == Action::kReplace;
  const auto immutable = [&](std::string_view what) -> std::optional<Outcome> {
    run_.collector.fail_immutable(where, what);
    if (link) link->state = LinkTarget::State::kFailed;
    return std::nullopt;
  };
  if (entry.type == EntryType::kFile && (entry.marks & format::kMarkUnreadable)) run_.collector.fail(where.path(), without_content(action.has_value()));
  // What is append-only takes new names.
  if (directory->guarded && (replaces || (makes && run_.metadata.is_immutable(pin_.fd())))) return immutable("its directory is ");
  if (makes) return Outcome::kMade;
  const bool guarded = action && !run_.options.replace_immutable && run_.metadata.is_guarded_at(pin_.fd(), entry.name.c_str());
  if (replaces && guarded) return immutable("what is there is ");
  if (replaces && is_full_directory(pin_.fd(), entry.name.c_str())) {
    run_.collector.fail(where.path(), kFullDirectory);
    if (link) link->state = LinkTarget::State::kFailed;
    return std::nullopt;
  }
  if (replaces) return Outcome::kReplaced;
  struct stat st {};
  if (link && ::fstatat(pin_.fd(), entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
    link->device = st.st_dev;
    link->inode = st.st_ino;
  }
  if (!action) return std::nullopt;
  if (is_right_here(entry)) return Outcome::kLeft;
  if (!guarded) return Outcome::kMetadata;
  run_.collector.fail_immutable(where, "it is right but for its attributes, ");
  return std::nullopt;
}

// A later name of an inode is right where it leads to what stays under the first; else it is made anew, whatever it leads to.
std::optional<Outcome> Walker::look_dry_link(Directory* directory, const format::Entry& entry, const LinkTarget& first) {
  const Where where{directory, entry.name};
  if (first.state == LinkTarget::State::kFailed) {
    run_.collector.fail(where.path(), "a hard link to " + Where{first.directory, first.name}.path() + ", which could not be restored");
    return std::nullopt;
  }
  if (!directory->existed) return Outcome::kMade;
  auto pin = run_.directories.pin(directory);
  if (!pin) {
    run_.collector.fail(where.path(), pin.error().message());
    return std::nullopt;
  }
  struct stat st {};
  if (::fstatat(pin->fd(), entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return Outcome::kMade;
  return st.st_dev == first.device && st.st_ino == first.inode ? Outcome::kLeft : Outcome::kReplaced;
}

void Walker::count_dry(Directory* directory, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  HardLinks::Seen seen{.target = nullptr, .first = true};
  if (may_be_linked(entry)) seen = run_.links.see(entry, chunks, directory);
  const auto outcome = seen.first ? look_dry(directory, entry, seen.target) : look_dry_link(directory, entry, *seen.target);
  if (outcome && entry.type == EntryType::kFile) {
    run_.collector.count_file(seen.first ? entry.size : 0, 0,
                              *outcome == Outcome::kLeft       ? Collector::How::kAlready
                              : *outcome == Outcome::kMetadata ? Collector::How::kMetadata
                                                               : Collector::How::kWritten);
  } else if (outcome) {
    run_.collector.count_other();
    if (*outcome == Outcome::kMetadata) run_.collector.count_metadata_set();
  }
  tell({directory, entry.name}, outcome.value_or(Outcome::kLeft));   // else it was told, or counted
  if (seen.target) run_.links.release(seen.target);
}

void Walker::tell(const Where& where, Outcome outcome) {
  if (run_.options.on_outcome) run_.options.on_outcome(where.below(run_.options.target), outcome);
}

void Walker::tell_directory(Directory* directory) {
  struct stat st {};
  Outcome outcome = !directory->existed ? Outcome::kMade : directory->differed ? Outcome::kMetadata : Outcome::kLeft;
  if (!directory->existed && directory->parent->existed) {
    const auto parent = run_.directories.pin(directory->parent);
    if (parent && ::fstatat(parent->fd(), directory->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) outcome = Outcome::kReplaced;
  }
  tell({directory, {}}, outcome);
}

}  // namespace coppice::restore
