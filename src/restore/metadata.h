// Puts attributes on objects that are open: owner, xattrs, mode, project, times; flags apart, because they come last of
// all.
//
// Always by descriptor, so that nobody can put another object under the name in between. Files and directories are open
// for real; symlinks, devices, FIFOs and sockets are held by O_PATH descriptors, and reached through /proc/self/fd
// where no call takes one.
//
// The order has reasons: chown clears setuid bits and file capabilities, so owner comes first; without root a user
// xattr needs write permission, so xattrs come before the mode; anything that touches the object may move its times, so
// times come after that; and an immutable file takes nothing at all any more.
#pragma once

#include <sys/stat.h>

#include <vector>

#include "attributes.h"
#include "collector.h"
#include "where.h"

namespace coppice::restore {

enum class HandleKind { kOpen, kPath };

inline bool same_time(const struct stat& st, const Timestamp& t) {
  return st.st_mtim.tv_sec == t.seconds && st.st_mtim.tv_nsec == static_cast<long>(t.nanoseconds);
}
// Whether an object's owner (for root, who can set it) and mode are those.
inline bool owner_and_mode_are(const struct stat& st, uid_t uid, gid_t gid, mode_t mode, bool root) {
  if (root && (st.st_uid != uid || st.st_gid != gid)) return false;
  return S_ISLNK(st.st_mode) || (st.st_mode & 07777) == mode;
}

// Names an O_PATH descriptor to calls that take only paths: the link leads to the object itself, whatever its name is
// by now.
struct ProcPath {
  explicit ProcPath(int fd);
  char text[32];
};

class Metadata {
 public:
  // `lift_guards`: take_off_guards() does as it says; else it takes nothing off.
  Metadata(Collector& collector, bool lift_guards);

  // The mode to create an object with: the final one where that lets nobody in who will not be let in anyway, else
  // 0600.
  mode_t creation_mode(const Attributes& a) const {
    return a.uid == euid_ && a.gid == egid_ && a.xattr_count == 0 ? a.mode & 0777 : 0600;
  }

  struct Situation {
    bool inherited_acl = false;    // made in a directory with a default ACL: what it brought is taken off
    bool inherited_flags = false;  // made in a directory that hands down a project id: taken off too
    bool existed = false;          // was there before: what the snapshot does not have is taken off
  };
  // `now`: the object's stat. False when something is not as it should be; the warnings were told then. What this user
  // cannot do at all (owners without root...) is told once and is no failure.
  bool apply(int fd, HandleKind kind, const struct stat& now, const Attributes& a, Situation situation,
             const Where& where);

  // Whether the object that was there has all that apply() and apply_flags() would give it, and nothing else that they
  // would take off; but for its atime, which is read away. Changes nothing.
  bool is_right(int fd, HandleKind kind, const struct stat& now, const Attributes& a) const;

  // chattr flags. `take_off`: those that the snapshot does not have go. For files and directories open for real.
  bool apply_flags(int fd, const Attributes& a, bool take_off, const Where& where);
  // Those that mean something only while the file is empty (no copy-on-write, compression) or the directory is (case
  // folding).
  void apply_early_flags(int fd, const Attributes& a);
  // The flags of an existing object; 0 where there are none.
  unsigned flags_of(int fd) const;
  // What a directory handed down to one that was just made in it is taken off again.
  void take_off_inherited_flags(int fd);
  // Takes immutable and append-only off, so that what stands there can be replaced or changed. What was taken off.
  unsigned take_off_guards(int fd);
  unsigned take_off_guards_at(int dir, const char* name);
  void put_on_guards(int fd, unsigned guards);
  void put_on_guards_at(int dir, const char* name, unsigned guards);
  // Whether it is immutable or append-only.
  bool is_guarded(int fd) const;
  bool stays_guarded(int fd) const { return !lift_guards_ && is_guarded(fd); }   // whatever this run does
  bool is_immutable(int fd) const;
  bool is_guarded_at(int dir, const char* name) const;

  bool root() const { return euid_ == 0; }
  uid_t euid() const { return euid_; }

 private:
  bool apply_owner(int fd, HandleKind kind, const struct stat& now, const Attributes& a, const Where& where,
                   bool& owner_right, bool& group_right);
  bool apply_mode(int fd, HandleKind kind, mode_t mode, const Where& where);
  bool apply_xattrs(int fd, HandleKind kind, const Attributes& a, Situation situation, const Where& where);
  bool apply_project(int fd, const Attributes& a, const Where& where);
  bool apply_times(int fd, HandleKind kind, const Attributes& a, const Where& where);
  bool problem(const Where& where, const char* what, int error);

  Collector& collector_;
  const bool lift_guards_;
  uid_t euid_;
  gid_t egid_;
  bool can_chown_;
  std::vector<gid_t> groups_;
};

}  // namespace coppice::restore
