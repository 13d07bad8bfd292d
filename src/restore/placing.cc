// Names: temporaries, renames over what stands there, taking back what failed; and the bookkeeping at the end of a
// record.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "entry_writer.h"

namespace coppice::restore {

// Pins the directory, unless it is the one that is pinned.
bool EntryWriter::enter(Directory* directory, Record* record, Where where) {
  if (pin_.directory() == directory) return true;
  pin_.reset();
  auto pin = run_.directories.pin(directory);
  if (pin) {
    pin_ = std::move(*pin);
    return true;
  }
  if (record)
    fail(*record, pin.error().message());
  else
    run_.collector.fail(where.path(), pin.error().message());
  return false;
}

EntryWriter::Target EntryWriter::target_of(const Record& record) {
  Target target;
  target.directory_fd = pin_.fd();
  target.final_name = record.name;
  if (record.action == Action::kReplace)
    target.temporary.emplace(std::string_view(record.name, record.name_bytes), record.temporary);
  return target;
}

// Something has the temporary's name: an earlier run left it, and it goes, or it is an entry of the snapshot, and stays.
void EntryWriter::take_other_temporary(Record& record, Target& target) {
  record.temporary = run_.temporaries.next(record.directory, {record.name, record.name_bytes}, record.temporary);
  target = target_of(record);
  ::unlinkat(target.directory_fd, target.name(), 0);
}

// Renames the finished object to its name. `made` is its stat: another object under the temporary name is not ours to
// place.
bool EntryWriter::place(Target& target, const struct stat& made, Where where) {
  if (!target.temporary) return true;
  struct stat st {};
  const int dir = target.directory_fd;
  if (::fstatat(dir, target.temporary->text, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != made.st_dev ||
      st.st_ino != made.st_ino) {
    run_.collector.warn(where.path(),
                        "somebody else changed the temporary name during the restore: the old object was kept");
    return false;
  }
  if (::renameat(dir, target.temporary->text, dir, target.final_name) == 0) return true;
  int error = errno;
  if (error == EPERM || error == EACCES) {  // what stands there may be immutable
    if (run_.metadata.take_off_guards_at(dir, target.final_name)) {
      if (::renameat(dir, target.temporary->text, dir, target.final_name) == 0) return true;
      error = errno;
    } else if (run_.metadata.is_guarded_at(dir, target.final_name)) {
      run_.collector.warn_immutable(where, "what is there is ");
      return false;
    }
  } else if (error == EISDIR || error == ENOTEMPTY ||
             error == EEXIST) {  // an empty directory gives way, a full one never
    if (::unlinkat(dir, target.final_name, AT_REMOVEDIR) == 0) {
      if (::renameat(dir, target.temporary->text, dir, target.final_name) == 0) return true;
      error = errno;
    } else if (errno == ENOTEMPTY || errno == EEXIST) {
      run_.collector.warn(where.path(), kFullDirectory);
      return false;
    }
  }
  run_.collector.warn(where.path(), fmt::format("cannot replace what is there: {}", std::strerror(error)));
  return false;
}

bool EntryWriter::may_replace(Record& record, const Target& target) {
  if (!target.temporary || !record.directory->guarded) return true;
  fail_errno(record, "", EPERM);
  return false;
}

bool EntryWriter::lift_guards(Record& record, int fd) {
  run_.metadata.take_off_guards(fd);
  if (!run_.metadata.is_guarded(fd)) return true;
  if (!record.failed.exchange(true)) run_.collector.fail_immutable(record.where(), "it is right but for its attributes, ");
  return false;
}

// Takes an unfinished object away, if it is still the one we made.
void EntryWriter::discard(const Target& target, dev_t device, ino_t inode) {
  struct stat st {};
  if (::fstatat(target.directory_fd, target.name(), &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == device &&
      st.st_ino == inode)
    ::unlinkat(target.directory_fd, target.name(), 0);
}

// Tells the later names of this inode what became of the first.
void EntryWriter::settle(Record& record, const struct stat* there) {
  if (!record.link) return;
  if (there) {
    record.link->device = there->st_dev;
    record.link->inode = there->st_ino;
    record.link->existed = (record.action != Action::kCreate && record.action != Action::kReplace) ||
                            record.directory->inherits_flags;
  }
  record.link->state.store(there ? LinkTarget::State::kThere : LinkTarget::State::kFailed, std::memory_order_release);
}

void EntryWriter::fail(Record& record, std::string what) {
  if (record.failed.exchange(true)) return;
  if (run_.collector.stopped()) return;  // told once, by what stopped us
  run_.collector.fail(record.where().path(), std::move(what));
}

void EntryWriter::fail_errno(Record& record, const char* what, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    run_.collector.stop_full(record.where(), error);
    record.failed = true;
    return;
  }
  if (error == EPERM && record.directory->guarded) {
    if (!record.failed.exchange(true)) run_.collector.fail_immutable(record.where(), "its directory is ");
    return;
  }
  fail(record, fmt::format("{}: {}", what, std::strerror(error)));
}

// The record is done with, whatever became of it. It may be gone afterwards.
void EntryWriter::close_record(Record& record) {
  Directory* directory = record.directory;
  if (record.link) run_.links.release(record.link);
  if (record.huge) delete record.huge;
  run_.directories.release(directory);
}

}  // namespace coppice::restore
