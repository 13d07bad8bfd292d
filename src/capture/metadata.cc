// Metadata of one object, with few system calls: an ordinary file without extended attributes costs one flistxattr and
// one or two ioctls.
//
// Flags and project ids come from two ioctls whose bits differ. FS_IOC_GETFLAGS knows all that chattr sets but no
// project; FS_IOC_FSGETXATTR knows the project but only some flags. XFS has only flags that the second knows: one call
// there. btrfs and tmpfs have no projects: one call. ext4 and f2fs may have everything: both.
#include "capture/metadata.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "foundation/encoding.h"
#include "platform/file_flags.h"

namespace coppice::capture {

namespace {
using format::Entry;
using format::EntryType;

constexpr std::uint32_t kXfsMagic = 0x58465342;

bool says_unsupported(int error) {
  return error == ENOTTY || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

Timestamp to_timestamp(const statx_timestamp& t) { return {.seconds = t.tv_sec, .nanoseconds = t.tv_nsec}; }

// One way to reach the object's attributes: by descriptor, or by a path that does not follow a symlink at its end. The
// path goes through /proc/self/fd so that it stays short however deep the object lies.
class Attributes {
 public:
  Attributes(int fd, int dir_fd, const char* name) : fd_(fd) {
    if (fd_ >= 0) return;
    auto end = fmt::format_to_n(path_, sizeof path_ - 1, "/proc/self/fd/{}/{}", dir_fd, name);
    *end.out = '\0';
  }
  ssize_t list(char* into, std::size_t size) const {
    return fd_ >= 0 ? ::flistxattr(fd_, into, size) : ::llistxattr(path_, into, size);
  }
  ssize_t get(const char* name, void* into, std::size_t size) const {
    return fd_ >= 0 ? ::fgetxattr(fd_, name, into, size) : ::lgetxattr(path_, name, into, size);
  }

 private:
  int fd_;
  char path_[sizeof "/proc/self/fd/2147483647/" + format::kNameBytesMax];
};

bool is_gone(int dir_fd, const char* name) {
  struct stat st;
  return ::fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 &&
         (errno == ENOENT || errno == ENOTDIR);
}

// The value of one attribute into `value`; 0, or the errno. Most values are short: the kernel clears a buffer of the
// size asked for, so a large one is asked for only when needed.
int read_value(const Attributes& attributes, const char* name, std::string& value) {
  char small[512];
  ssize_t n = attributes.get(name, small, sizeof small);
  if (n >= 0) {
    value.assign(small, static_cast<std::size_t>(n));
    return 0;
  }
  if (errno != ERANGE) return errno;
  value.resize(format::kXattrValueBytesMax);
  n = attributes.get(name, value.data(), value.size());
  if (n < 0) return errno;
  value.resize(static_cast<std::size_t>(n));
  value.shrink_to_fit();
  return 0;
}

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", render_printable(text)); }

// XFS shows an ACL a second time as it is on the disk. It would be a stray attribute anywhere else.
bool is_shadow(std::string_view name) { return name == "trusted.SGI_ACL_FILE" || name == "trusted.SGI_ACL_DEFAULT"; }

// The attributes that `list` (names, each ended by NUL) tells of, in the order of their names, within the limits of the
// format.
void read_values(const Attributes& attributes, std::string_view list, Entry& entry,
                 std::vector<std::string>& problems) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    std::string_view name(list.data());  // the kernel ends each name with NUL
    names.push_back(name);
    list.remove_prefix(std::min(list.size(), name.size() + 1));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::size_t total = 0;
  for (std::string_view name : names) {
    if (name.empty() || is_shadow(name)) continue;
    if (name.size() > format::kXattrNameBytesMax) {
      problems.push_back(fmt::format("extended attribute {} left out: its name is longer than {} bytes", quoted(name),
                                     format::kXattrNameBytesMax));
      continue;
    }
    format::Xattr attribute{.name = std::string(name), .value = {}};
    int error = read_value(attributes, name.data(), attribute.value);
    if (error == ENODATA) continue;  // removed since it was listed
    if (error == ERANGE || error == E2BIG) {
      problems.push_back(fmt::format("extended attribute {} left out: its value is larger than {} bytes", quoted(name),
                                     format::kXattrValueBytesMax));
      continue;
    }
    if (error != 0) {
      problems.push_back(
          fmt::format("extended attribute {} could not be read: {}", quoted(name), std::strerror(error)));
      continue;
    }
    total += attribute.name.size() + attribute.value.size();
    if (total > format::kXattrsBytesMax) {
      problems.push_back(fmt::format("extended attribute {} left out: together they are larger than {} bytes",
                                     quoted(name), format::kXattrsBytesMax));
      total -= attribute.name.size() + attribute.value.size();
      continue;
    }
    entry.xattrs.push_back(std::move(attribute));
  }
}

Result<> fill_xattrs(int fd, int dir_fd, const char* name, FileSystemMemo& memo, Entry& entry,
                     std::vector<std::string>& problems) {
  entry.xattrs.clear();
  if (memo.known(entry.device) & FileSystemMemo::kNoXattrs) {
    if (fd < 0 && is_gone(dir_fd, name)) return fail(ErrorKind::kNotFound, "removed while it was read");
    return {};
  }
  Attributes attributes(fd, dir_fd, name);
  char small[1024];
  ssize_t n = attributes.list(small, sizeof small);
  if (n == 0) return {};
  if (n > 0) {
    read_values(attributes, {small, static_cast<std::size_t>(n)}, entry, problems);
    return {};
  }
  if (errno == ERANGE) {
    auto large = std::make_unique<char[]>(XATTR_LIST_MAX);
    n = attributes.list(large.get(), XATTR_LIST_MAX);
    if (n >= 0) {
      read_values(attributes, {large.get(), static_cast<std::size_t>(n)}, entry, problems);
      return {};
    }
  }
  int error = errno;
  if (error == EOPNOTSUPP || error == ENOSYS) {
    memo.learn(entry.device, FileSystemMemo::kNoXattrs);
    return {};
  }
  if (fd < 0 && error == ENOENT) {
    if (is_gone(dir_fd, name)) return fail(ErrorKind::kNotFound, "removed while it was read");
    problems.push_back("extended attributes could not be read: they need /proc, which is not mounted");
    return {};
  }
  problems.push_back(fmt::format("extended attributes could not be listed: {}", std::strerror(error)));
  return {};
}

// What a file system can be asked, by its type; others are asked everything until they say that they do not know it.
std::uint32_t facilities_of(int fd) {
  struct statfs fs;
  std::uint32_t facilities = FileSystemMemo::kAsked;
  if (::fstatfs(fd, &fs) != 0) return facilities;
  switch (static_cast<std::uint32_t>(fs.f_type)) {
    case kXfsMagic:
      return facilities | FileSystemMemo::kFlagsFromXflags;
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
      return facilities | FileSystemMemo::kNoProjects;
    default:
      return facilities;
  }
}

std::uint32_t flags_from_xflags(std::uint32_t xflags) {
  static constexpr struct {
    std::uint32_t xflag, flag;
  } kPairs[] = {{FS_XFLAG_IMMUTABLE, FS_IMMUTABLE_FL},    {FS_XFLAG_APPEND, FS_APPEND_FL}, {FS_XFLAG_SYNC, FS_SYNC_FL},
                {FS_XFLAG_NOATIME, FS_NOATIME_FL},        {FS_XFLAG_NODUMP, FS_NODUMP_FL}, {FS_XFLAG_DAX, FS_DAX_FL},
                {FS_XFLAG_PROJINHERIT, FS_PROJINHERIT_FL}};
  std::uint32_t flags = 0;
  for (auto [xflag, flag] : kPairs) {
    if (xflags & xflag) flags |= flag;
  }
  return flags;
}

void fill_flags(int fd, FileSystemMemo& memo, Entry& entry, std::vector<std::string>& problems) {
  entry.flags = entry.project = 0;
  std::uint32_t known = memo.known(entry.device);
  if (!(known & FileSystemMemo::kAsked)) {
    known |= facilities_of(fd);
    memo.learn(entry.device, known);
  }
  auto ask = [&](unsigned long request, void* into, std::uint32_t lack, const char* what) {
    if (::ioctl(fd, request, into) == 0) return true;
    if (says_unsupported(errno)) {
      memo.learn(entry.device, lack);
    } else {
      problems.push_back(fmt::format("{} could not be read: {}", what, std::strerror(errno)));
    }
    return false;
  };
  bool flags_from_xflags_only = (known & FileSystemMemo::kFlagsFromXflags) != 0;
  if (!(known & FileSystemMemo::kNoProjects)) {
    fsxattr attributes{};
    if (ask(FS_IOC_FSGETXATTR, &attributes, FileSystemMemo::kNoProjects, "project id")) {
      entry.project = attributes.fsx_projid;
      if (flags_from_xflags_only) entry.flags = flags_from_xflags(attributes.fsx_xflags) & restorable_flags();
    }
  }
  if (!(known & FileSystemMemo::kNoFlags) && !flags_from_xflags_only) {
    unsigned long room = 0;  // the kernel writes an int, some FUSE servers what the request's number says: a long
    if (ask(FS_IOC_GETFLAGS, &room, FileSystemMemo::kNoFlags, "file flags")) {
      std::uint32_t flags;
      std::memcpy(&flags, &room, sizeof flags);
      entry.flags = flags & restorable_flags();
    }
  }
}

Result<> fill_target(int dir_fd, const char* name, Entry& entry) {
  char target[format::kTargetBytesMax + 1];
  ssize_t n = ::readlinkat(dir_fd, name, target, sizeof target);
  if (n < 0) {
    int error = errno;
    if (error == EINVAL) return fail(ErrorKind::kConflict, "replaced by another object while it was read");
    return fail_errno(error, "reading the symbolic link");
  }
  if (static_cast<std::size_t>(n) > format::kTargetBytesMax) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("the symbolic link's target is longer than {} bytes", format::kTargetBytesMax));
  }
  entry.target.assign(target, static_cast<std::size_t>(n));
  return {};
}
}  // namespace

std::uint32_t FileSystemMemo::known(std::uint64_t device) const {
  std::uint64_t key = slots_[device % slots_.size()].key.load(std::memory_order_relaxed);
  return key >> 8 == device ? static_cast<std::uint32_t>(key & 0xff) : 0;
}

void FileSystemMemo::learn(std::uint64_t device, std::uint32_t facilities) {
  auto& slot = slots_[device % slots_.size()].key;
  std::uint64_t old = slot.load(std::memory_order_relaxed), next;
  do {
    next = device << 8 | facilities | (old >> 8 == device ? old & 0xff : 0);
  } while (!slot.compare_exchange_weak(old, next, std::memory_order_relaxed));
}

std::uint64_t device_of(const struct statx& st) { return makedev(st.stx_dev_major, st.stx_dev_minor); }

std::uint64_t data_bytes(const struct statx& st) { return std::min<std::uint64_t>(st.stx_size, st.stx_blocks * 512); }

Result<> fill_from_statx(const struct statx& st, OwnerNames& names, Entry& entry) {
  switch (st.stx_mode & S_IFMT) {
    case S_IFREG:
      entry.type = EntryType::kFile;
      break;
    case S_IFDIR:
      entry.type = EntryType::kDirectory;
      break;
    case S_IFLNK:
      entry.type = EntryType::kSymlink;
      break;
    case S_IFCHR:
      entry.type = EntryType::kCharDevice;
      break;
    case S_IFBLK:
      entry.type = EntryType::kBlockDevice;
      break;
    case S_IFIFO:
      entry.type = EntryType::kFifo;
      break;
    case S_IFSOCK:
      entry.type = EntryType::kSocket;
      break;
    default:
      return fail(ErrorKind::kUnsupported, fmt::format("a file of unknown type (mode {:o})", st.stx_mode));
  }
  entry.mode = st.stx_mode & 07777;
  entry.owner.uid = st.stx_uid;
  entry.owner.gid = st.stx_gid;
  entry.owner.user = names.user(st.stx_uid);
  entry.owner.group = names.group(st.stx_gid);
  entry.size = entry.type == EntryType::kFile ? st.stx_size : 0;
  entry.mtime = to_timestamp(st.stx_mtime);
  entry.atime = to_timestamp(st.stx_atime);
  entry.ctime = to_timestamp(st.stx_ctime);
  entry.btime.reset();
  if (st.stx_mask & STATX_BTIME) entry.btime = to_timestamp(st.stx_btime);
  entry.device = device_of(st);
  entry.inode = st.stx_ino;
  // An open file whose last name is gone has no links.
  entry.links = entry.type == EntryType::kDirectory ? 1 : std::max(1u, st.stx_nlink);
  bool is_device = entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice;
  entry.rdev = is_device ? makedev(st.stx_rdev_major, st.stx_rdev_minor) : 0;
  return {};
}

Result<> fill_extended(int fd, int dir_fd, const char* name, FileSystemMemo& memo, Entry& entry,
                       std::vector<std::string>& problems) {
  entry.flags = entry.project = 0;
  entry.target.clear();
  if (fd >= 0) fill_flags(fd, memo, entry, problems);
  if (entry.type == EntryType::kSymlink) TRY(fill_target(dir_fd, name, entry));
  return fill_xattrs(fd, dir_fd, name, memo, entry, problems);
}

std::uint32_t restorable_flags() {
  return platform::kUserFileFlags;
}

}  // namespace coppice::capture
