#include "metadata.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "platform/file.h"
#include "platform/file_flags.h"

namespace coppice::restore {
namespace {

constexpr unsigned kFlags = platform::kUserFileFlags;
constexpr unsigned kGuards = FS_IMMUTABLE_FL | FS_APPEND_FL;

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return data[capability / 32].effective >> (capability % 32) & 1;
}

std::string_view name_space(std::string_view name) { return name.substr(0, name.find('.')); }

// Namespaces whose attributes are part of what a user made of the object. security.* (but capabilities) belongs to this
// host's policy.
bool ours_to_remove(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("system.posix_acl_") || name == "security.capability";
}

ssize_t list_xattrs(int fd, HandleKind kind, char* names, std::size_t bytes) {
  return kind == HandleKind::kOpen ? ::flistxattr(fd, names, bytes) : ::listxattr(ProcPath(fd).text, names, bytes);
}

// NUL-terminated names, one behind the other. Most objects have few or none.
std::string xattr_names(int fd, HandleKind kind) {
  char few[1024];
  ssize_t n = list_xattrs(fd, kind, few, sizeof few);
  if (n >= 0 || errno != ERANGE) return std::string(few, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  std::string names(64u << 10, '\0');  // the kernel's own bound
  n = list_xattrs(fd, kind, names.data(), names.size());
  names.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return names;
}

template <class Each>
void for_each_name(const std::string& names, Each&& each) {
  for (const char* name = names.data(); name < names.data() + names.size(); name += std::strlen(name) + 1) each(name);
}

bool wants_xattr(const Attributes& a, const char* name) {
  bool wanted = false;
  for_each_xattr(a, [&](const char* ours, std::string_view) { wanted |= std::strcmp(ours, name) == 0; });
  return wanted;
}

bool has_xattr(int fd, HandleKind kind, const char* name, std::string_view value) {
  std::string there(value.size() + 1, '\0');
  const ssize_t n = kind == HandleKind::kOpen ? ::fgetxattr(fd, name, there.data(), there.size())
                                              : ::getxattr(ProcPath(fd).text, name, there.data(), there.size());
  return n >= 0 && std::string_view(there.data(), static_cast<std::size_t>(n)) == value;
}

int remove_xattr(int fd, HandleKind kind, const char* name) {
  return kind == HandleKind::kOpen ? ::fremovexattr(fd, name) : ::removexattr(ProcPath(fd).text, name);
}

// Only files and directories have flags; opening a device may set it going.
platform::Fd open_for_flags(int dir, const char* name) {
  struct stat st {};
  if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) return {};
  return platform::Fd(::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

timespec to_timespec(const Timestamp& t) { return {.tv_sec = t.seconds, .tv_nsec = static_cast<long>(t.nanoseconds)}; }

}  // namespace

ProcPath::ProcPath(int fd) { *fmt::format_to_n(text, sizeof text - 1, "/proc/self/fd/{}", fd).out = '\0'; }

Metadata::Metadata(Collector& collector, bool lift_guards)
    : collector_(collector),
      lift_guards_(lift_guards),
      euid_(::geteuid()),
      egid_(::getegid()),
      can_chown_(euid_ == 0 || has_capability(CAP_CHOWN)) {
  if (const int n = ::getgroups(0, nullptr); n > 0) {
    groups_.resize(static_cast<std::size_t>(n));
    groups_.resize(static_cast<std::size_t>(std::max(0, ::getgroups(n, groups_.data()))));
  }
  groups_.push_back(egid_);
}

bool Metadata::problem(const Where& where, const char* what, int error) {
  collector_.warn(where.path(), fmt::format("cannot set the {}: {}", what, std::strerror(error)));
  return false;
}

bool Metadata::apply(int fd, HandleKind kind, const struct stat& now, const Attributes& a, Situation situation,
                     const Where& where) {
  bool owner_right = true, group_right = true;
  bool right = apply_owner(fd, kind, now, a, where, owner_right, group_right);

  if (situation.inherited_acl) {
    remove_xattr(fd, kind, "system.posix_acl_access");
    if (a.directory()) remove_xattr(fd, kind, "system.posix_acl_default");
  }
  mode_t mode_now = now.st_mode & 07777;
  if (a.xattr_count > 0 && euid_ != 0 && !(mode_now & 0200) && a.type != format::EntryType::kSymlink) {
    mode_now |= 0200;
    right &= apply_mode(fd, kind, mode_now, where);
  }
  right &= apply_xattrs(fd, kind, a, situation, where);

  if (a.type != format::EntryType::kSymlink) {
    mode_t mode = a.mode;
    if (!owner_right) mode &= ~static_cast<mode_t>(S_ISUID);  // a program must not run as somebody it did not belong to
    if (!group_right && !a.directory()) mode &= ~static_cast<mode_t>(S_ISGID);
    const bool touched =
        situation.inherited_acl || a.xattr_count > 0 || (mode & (S_ISUID | S_ISGID));  // may not be `mode_now` any more
    if (mode != mode_now || touched) right &= apply_mode(fd, kind, mode, where);
  }
  if ((a.project != 0 || situation.existed || situation.inherited_flags) && kind == HandleKind::kOpen)
    right &= apply_project(fd, a, where);
  right &= apply_times(fd, kind, a, where);
  return right;
}

bool Metadata::apply_owner(int fd, HandleKind kind, const struct stat& now, const Attributes& a, const Where& where,
                           bool& owner_right, bool& group_right) {
  owner_right = now.st_uid == a.uid;
  group_right = now.st_gid == a.gid;
  if (owner_right && group_right) return true;
  const auto chown = [&](uid_t uid, gid_t gid) {
    return kind == HandleKind::kOpen ? ::fchown(fd, uid, gid) : ::fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
  };
  if (can_chown_) {
    if (chown(a.uid, a.gid) == 0) {
      owner_right = group_right = true;
      return true;
    }
    const int error = errno;
    if (error == EPERM || error == EINVAL || error == ENOTSUP ||
        error == ENOSYS) {  // a user namespace, or a file system without owners
      collector_.note_once("owner", where.path(),
                           fmt::format("owners cannot be set here: {} (said once)", std::strerror(error)));
      return true;
    }
    return problem(where, "owner", error);
  }
  if (!group_right && std::find(groups_.begin(), groups_.end(), a.gid) != groups_.end() &&
      chown(static_cast<uid_t>(-1), a.gid) == 0)
    group_right = true;
  if (!owner_right || !group_right)
    collector_.note_once("owner", where.path(), "owners are not restored: only root can set them (said once)");
  return true;
}

bool Metadata::apply_mode(int fd, HandleKind kind, mode_t mode, const Where& where) {
  const int result = kind == HandleKind::kOpen ? ::fchmod(fd, mode) : ::chmod(ProcPath(fd).text, mode);
  return result == 0 || problem(where, "mode", errno);
}

bool Metadata::apply_xattrs(int fd, HandleKind kind, const Attributes& a, Situation situation, const Where& where) {
  if (situation.existed) {
    for_each_name(xattr_names(fd, kind), [&](const char* name) {
      if (!wants_xattr(a, name) && ours_to_remove(name)) remove_xattr(fd, kind, name);
    });
  }
  bool right = true;
  for_each_xattr(a, [&](const char* name, std::string_view value) {
    const int result = kind == HandleKind::kOpen ? ::fsetxattr(fd, name, value.data(), value.size(), 0)
                                                 : ::setxattr(ProcPath(fd).text, name, value.data(), value.size(), 0);
    if (result == 0) return;
    const int error = errno;
    if (error == EPERM || error == ENOTSUP) {  // this user may not, or this file system cannot: for all of them alike
      const std::string group(name_space(name));
      collector_.note_once("xattr " + group, where.path(),
                           fmt::format("extended attributes of the namespace {} cannot be set here: {} (said once)",
                                       group, std::strerror(error)));
      return;
    }
    // An attribute may be larger than this file system lets them be; that the target is full shows elsewhere.
    const bool no_room = error == ENOSPC || error == E2BIG || error == ERANGE;
    collector_.warn(where.path(), fmt::format("cannot set the extended attribute {}: {}", name,
                                              no_room ? "there is no room for it on this file system" : std::strerror(error)));
    right = right && no_room;
  });
  return right;
}

bool Metadata::apply_project(int fd, const Attributes& a, const Where& where) {
  fsxattr extended{};
  if (::ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0) {
    if (extended.fsx_projid == a.project) return true;
    extended.fsx_projid = a.project;
    if (::ioctl(fd, FS_IOC_FSSETXATTR, &extended) == 0) return true;
  } else if (a.project == 0) {
    return true;
  }
  const int error = errno;
  collector_.note_once("project", where.path(),
                       fmt::format("project ids cannot be set here: {} (said once)", std::strerror(error)));
  return true;
}

bool Metadata::apply_times(int fd, HandleKind kind, const Attributes& a, const Where& where) {
  const timespec times[2] = {to_timespec(a.atime), to_timespec(a.mtime)};
  int result = kind == HandleKind::kOpen ? ::futimens(fd, times) : ::utimensat(fd, "", times, AT_EMPTY_PATH);
  if (result != 0 && errno == EINVAL &&
      kind == HandleKind::kPath)  // Linux before 5.8; the link leads to the object, symlinks too
    result = ::utimensat(AT_FDCWD, ProcPath(fd).text, times, 0);
  if (result != 0) return problem(where, "times", errno);
  // Of a time that a file system cannot keep the kernel sets the nearest that it can, and says nothing.
  const auto common = [](const Timestamp& t) { return t.seconds >= 0 && t.seconds <= INT32_MAX; };
  struct stat st {};
  if ((!common(a.mtime) || !common(a.atime)) && ::fstat(fd, &st) == 0 &&
      (st.st_mtim.tv_sec != times[1].tv_sec || st.st_mtim.tv_nsec != times[1].tv_nsec ||
       st.st_atim.tv_sec != times[0].tv_sec || st.st_atim.tv_nsec != times[0].tv_nsec))
    collector_.note_once("times", where.path(),
                         "times that this file system cannot keep are set to the nearest that it can (said once)");
  return true;
}

bool Metadata::apply_flags(int fd, const Attributes& a, bool take_off, const Where& where) {
  const unsigned wanted = a.flags & kFlags;
  if (wanted == 0 && !take_off) return true;
  int now = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &now) != 0) {
    if (wanted != 0)
      collector_.note_once("flags", where.path(),
                           fmt::format("file flags cannot be set here: {} (said once)", std::strerror(errno)));
    return true;
  }
  const unsigned then = (static_cast<unsigned>(now) & ~kFlags) | wanted;
  if (then == static_cast<unsigned>(now)) return true;
  int value = static_cast<int>(then);
  if (::ioctl(fd, FS_IOC_SETFLAGS, &value) == 0) return true;
  const int error = errno;
  // One flag that this file system or user cannot set must not cost the others.
  unsigned missed = 0;
  const auto try_bits = [&](unsigned mask) {
    for (unsigned bit = 1; bit != 0; bit <<= 1) {
      if (!((then ^ static_cast<unsigned>(now)) & mask & bit)) continue;
      value = static_cast<int>((static_cast<unsigned>(now) & ~bit) | (then & bit));
      if (::ioctl(fd, FS_IOC_SETFLAGS, &value) == 0)
        now = value;
      else
        missed |= then & bit;
    }
  };
  try_bits(~kGuards);
  try_bits(kGuards);
  if (missed != 0)
    collector_.note_once(
        fmt::format("flags {:x}", missed), where.path(),
        fmt::format("the file flags {:#x} cannot be set here: {} (said once)", missed, std::strerror(error)));
  return true;
}

void Metadata::apply_early_flags(int fd, const Attributes& a) {
  const unsigned early = a.flags & (a.directory() ? FS_CASEFOLD_FL : FS_NOCOW_FL | FS_COMPR_FL);
  int now = 0;
  if (early == 0 || ::ioctl(fd, FS_IOC_GETFLAGS, &now) != 0) return;
  now |= static_cast<int>(early);
  ::ioctl(fd, FS_IOC_SETFLAGS, &now);  // apply_flags() tries again at the end, and tells
}

unsigned Metadata::flags_of(int fd) const {
  int now = 0;
  return ::ioctl(fd, FS_IOC_GETFLAGS, &now) == 0 ? static_cast<unsigned>(now) & kFlags : 0;
}

void Metadata::take_off_inherited_flags(int fd) {
  fsxattr extended{};
  if (::ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0 && extended.fsx_projid != 0) {
    extended.fsx_projid = 0;
    ::ioctl(fd, FS_IOC_FSSETXATTR, &extended);
  }
  int now = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &now) != 0 || !(static_cast<unsigned>(now) & kFlags)) return;
  now &= ~static_cast<int>(kFlags);
  ::ioctl(fd, FS_IOC_SETFLAGS, &now);
}

bool Metadata::is_right(int fd, HandleKind kind, const struct stat& now, const Attributes& a) const {
  if (!owner_and_mode_are(now, a.uid, a.gid, a.mode, root()) || now.st_mtim.tv_sec != a.mtime.seconds ||
      now.st_mtim.tv_nsec != static_cast<long>(a.mtime.nanoseconds))
    return false;
  bool right = true;
  for_each_name(xattr_names(fd, kind), [&](const char* name) { right &= !ours_to_remove(name) || wants_xattr(a, name); });
  for_each_xattr(a, [&](const char* name, std::string_view value) { right = right && has_xattr(fd, kind, name, value); });
  if (!right || kind != HandleKind::kOpen) return right;
  if (flags_of(fd) != (a.flags & kFlags)) return false;
  fsxattr extended{};
  return ::ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0 ? extended.fsx_projid == a.project : a.project == 0;
}

unsigned Metadata::take_off_guards(int fd) {
  int now = 0;
  if (!lift_guards_ || ::ioctl(fd, FS_IOC_GETFLAGS, &now) != 0) return 0;
  const unsigned guards = static_cast<unsigned>(now) & kGuards;
  if (guards == 0) return 0;
  now &= ~static_cast<int>(kGuards);
  return ::ioctl(fd, FS_IOC_SETFLAGS, &now) == 0 ? guards : 0;
}

unsigned Metadata::take_off_guards_at(int dir, const char* name) {
  const platform::Fd fd = open_for_flags(dir, name);
  return fd ? take_off_guards(fd.get()) : 0;
}

void Metadata::put_on_guards_at(int dir, const char* name, unsigned guards) {
  if (const platform::Fd fd = open_for_flags(dir, name)) put_on_guards(fd.get(), guards);
}

bool Metadata::is_guarded(int fd) const { return (flags_of(fd) & kGuards) != 0; }

bool Metadata::is_immutable(int fd) const { return (flags_of(fd) & FS_IMMUTABLE_FL) != 0; }

bool Metadata::is_guarded_at(int dir, const char* name) const {
  const platform::Fd fd = open_for_flags(dir, name);
  return fd && is_guarded(fd.get());
}

void Metadata::put_on_guards(int fd, unsigned guards) {
  int now = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &now) != 0) return;
  now |= static_cast<int>(guards);
  ::ioctl(fd, FS_IOC_SETFLAGS, &now);
}

}  // namespace coppice::restore
