// Entries without content to read: empty files, files that are one hole, symlinks, devices, FIFOs, sockets; attributes
// of files that are right already; and further names of an inode.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "entry_writer.h"

namespace coppice::restore {

using format::EntryType;

void EntryWriter::make_node(Record& record) {
  if (run_.collector.stopped() || !enter(record.directory, &record, record.where())) {
    settle(record, nullptr);
    return close_record(record);
  }
  if (record.action == Action::kRefresh) {
    refresh(record);
    return close_record(record);
  }
  if (record.action == Action::kCheck) return compare_existing(record, nullptr, nullptr);
  Target target = target_of(record);
  if (record.attributes.plain_file()) {
    auto fd = create_file(record, target, run_.metadata.creation_mode(record.attributes));
    if (fd) {
      prepare_size(record, fd->get());
      finish_file(record, std::move(*fd), target, 0);
    } else {
      settle(record, nullptr);
    }
  } else if (make_special(record, target)) {
    run_.collector.count_other();
  } else {
    settle(record, nullptr);
  }
  close_record(record);
}

namespace {

int create_special(int dir, const char* name, const Attributes& a) {
  switch (a.type) {
    case EntryType::kSymlink:
      return ::symlinkat(a.target, dir, name);
    case EntryType::kCharDevice:
      return ::mknodat(dir, name, S_IFCHR | 0600, a.rdev);
    case EntryType::kBlockDevice:
      return ::mknodat(dir, name, S_IFBLK | 0600, a.rdev);
    case EntryType::kFifo:
      return ::mknodat(dir, name, S_IFIFO | 0600, 0);
    case EntryType::kSocket:
      return ::mknodat(dir, name, S_IFSOCK | 0600, 0);
    case EntryType::kFile:
    case EntryType::kDirectory:
      break;
  }
  errno = EINVAL;
  return -1;
}

bool same_link_target(int fd, const char* target) {
  char text[format::kTargetBytesMax + 1];
  const ssize_t n = ::readlinkat(fd, "", text, sizeof text);  // of an O_PATH descriptor
  return n >= 0 && std::string_view(text, static_cast<std::size_t>(n)) == target;
}

}  // namespace

bool EntryWriter::make_special(Record& record, Target& target) {
  const Attributes& a = record.attributes;
  const int dir = target.directory_fd;
  if (!may_replace(record, target)) return false;
  int result = create_special(dir, target.name(), a);
  if (result != 0 && errno == EEXIST && (target.temporary || record.directory->existed)) {
    if (!target.temporary) {  // it came meanwhile
      record.action = Action::kReplace;
      target = target_of(record);
      result = create_special(dir, target.name(), a);
    }
    if (result != 0 && errno == EEXIST) {
      take_other_temporary(record, target);
      result = create_special(dir, target.name(), a);
    }
  }
  if (result != 0) {
    const int error = errno;
    if (error == EEXIST)
      fail(record, "another entry of the snapshot has this name here already (a file system that ignores case?)");
    else
      fail_errno(record, error == EPERM ? "only root can make this here" : "cannot be made", error);
    return false;
  }
  const platform::Fd fd(::openat(dir, target.name(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  if (!fd && errno != ENOENT && errno != ENOTDIR) {
    fail_errno(record, "what was just made cannot be opened", errno);
    ::unlinkat(dir, target.name(), 0);
    return false;
  }
  if (!fd || ::fstat(fd.get(), &st) != 0 || (st.st_mode & S_IFMT) != type_bits(a.type) || st.st_nlink != 1 ||
      ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && st.st_rdev != a.rdev) ||
      (a.type == EntryType::kSymlink && !same_link_target(fd.get(), a.target))) {
    fail(record, "somebody else put another object under this name during the restore");
    return false;
  }
  const bool right = run_.metadata.apply(fd.get(), HandleKind::kPath, st, a,
                                         {.inherited_acl = record.directory->inherits_acl}, record.where());
  if (!place(target, st, record.where())) {
    discard(target, st.st_dev, st.st_ino);
    run_.collector.count_failed();
    return false;
  }
  settle(record, &st);
  if (!right) run_.collector.count_failed();
  return true;
}

// The object is right but for its attributes.
void EntryWriter::refresh(Record& record) {
  const Attributes& a = record.attributes;
  const bool file = a.plain_file();
  platform::Fd fd;
  if (file) {
    fd = open_existing(record.name);
  }
  const HandleKind kind = fd ? HandleKind::kOpen : HandleKind::kPath;
  if (!fd) fd = platform::Fd(::openat(pin_.fd(), record.name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || (st.st_mode & S_IFMT) != type_bits(a.type) || is_foreign(st, a)) {
    fail(record, "it was right, and then somebody else changed it during the restore");
    return settle(record, nullptr);
  }
  // Nothing is set that is so already: that would change the ctime, and the next backup would read the file again.
  bool right = true;
  const bool refresh = !run_.metadata.is_right(fd.get(), kind, st, a);
  if (refresh) {
    if (kind == HandleKind::kOpen && !lift_guards(record, fd.get())) return settle(record, &st);
    right = run_.metadata.apply(fd.get(), kind, st, a, {.existed = true}, record.where());
  }
  settle(record, &st);
  if (file) {
    if (refresh && kind == HandleKind::kOpen && !record.link)
      right &= run_.metadata.apply_flags(fd.get(), a, true, record.where());
    run_.collector.count_file(a.size, 0, refresh && right ? Collector::How::kMetadata : Collector::How::kAlready);
  } else {
    run_.collector.count_other();
    if (refresh && right) run_.collector.count_metadata_set();
  }
  if (!right) run_.collector.count_failed();
}

void EntryWriter::make_link(const LinkRecord& link) {
  LinkTarget& target = *link.target;
  const auto told = [&](std::string what) { run_.collector.fail(link.where().path(), std::move(what)); };
  if (!run_.collector.stopped() && target.state.load(std::memory_order_acquire) == LinkTarget::State::kPending)
    return run_.late_links.add(link);  // with what it holds
  const auto attempt = [&] {
    if (run_.collector.stopped()) return;
    const Where first{target.directory, target.name};
    if (target.state.load(std::memory_order_acquire) != LinkTarget::State::kThere)
      return told(fmt::format("a hard link to {}, which could not be restored", first.path()));
    auto from = run_.directories.pin(target.directory);
    if (!from) return told(from.error().message());
    if (!enter(link.directory, nullptr, link.where())) return;
    const auto is_ours = [&](const char* name) {
      struct stat st {};
      return ::fstatat(pin_.fd(), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == target.device &&
             st.st_ino == target.inode;
    };
    const auto count = [&](bool already) {
      if (link.plain_file)
        run_.collector.count_file(0, 0, already ? Collector::How::kAlready : Collector::How::kWritten);
      else
        run_.collector.count_other();
    };
    const auto link_as = [&](const char* name) {
      int made = ::linkat(from->fd(), target.name.c_str(), pin_.fd(), name, 0);
      if (made == 0 || errno != EPERM || !run_.options.replace_immutable) return made;
      MutexLock lock(run_.guards_lifted);   // one thread takes them off and puts them on at a time
      const unsigned guards = run_.metadata.take_off_guards_at(from->fd(), target.name.c_str());
      made = ::linkat(from->fd(), target.name.c_str(), pin_.fd(), name, 0);
      const int error = errno;
      if (guards) run_.metadata.put_on_guards_at(from->fd(), target.name.c_str(), guards);
      errno = error;
      return made;
    };
    int result = link_as(link.name);
    Target place_it{.directory_fd = pin_.fd(), .final_name = link.name};
    if (result != 0 && errno == EEXIST) {
      if (is_ours(link.name)) return count(true);
      if (link.directory->guarded) return run_.collector.fail_immutable(link.where(), "its directory is ");
      const std::string_view name(link.name, link.name_bytes);
      place_it.temporary.emplace(name);
      result = link_as(place_it.temporary->text);
      if (result != 0 && errno == EEXIST) {
        place_it.temporary.emplace(name, run_.temporaries.next(link.directory, name));
        ::unlinkat(pin_.fd(), place_it.temporary->text, 0);   // of an earlier run
        result = link_as(place_it.temporary->text);
      }
    }
    if (result != 0) {
      const int error = errno;
      if (error == ENOSPC || error == EDQUOT)
        return run_.collector.stop_full(link.where(), error);
      if (error == EPERM && link.directory->guarded) return run_.collector.fail_immutable(link.where(), "its directory is ");
      if (error == EPERM && run_.metadata.is_guarded_at(from->fd(), target.name.c_str()))
        return run_.collector.fail_immutable(link.where(), "the file that it is a hard link to is ");
      // Another file system, one without links or with no room for one more, or XFS between projects.
      if (error != EXDEV && error != EMLINK && error != EPERM && error != EOPNOTSUPP)
        return told(fmt::format("cannot be linked to {}: {}", first.path(), std::strerror(error)));
      if (error == EXDEV || error == EMLINK)
        run_.collector.warn(link.where().path(), fmt::format("cannot be linked to {} here ({}): it becomes a file of its own", first.path(), std::strerror(error)));
      else
        run_.collector.note_once("no links", link.where().path(), fmt::format("hard links cannot be made here ({}): each name becomes a file of its own (said once)", std::strerror(error)));
      DirectoryTree::hold(link.directory);
      return run_.again.add({link.directory, std::string(link.name, link.name_bytes), nullptr, AgainList::Why::kAlone});
    }
    if (!is_ours(place_it.name())) {
      ::unlinkat(pin_.fd(), place_it.name(), 0);
      return told(fmt::format("{}, which it is a hard link to, was replaced by somebody else during the restore",
                              first.path()));
    }
    struct stat made {};
    made.st_dev = target.device;
    made.st_ino = target.inode;
    if (!place(place_it, made, link.where())) {
      discard(place_it, target.device, target.inode);
      return run_.collector.count_failed();
    }
    count(false);
  };
  attempt();
  run_.links.release(link.target);
  run_.directories.release(link.directory);
}

}  // namespace coppice::restore
