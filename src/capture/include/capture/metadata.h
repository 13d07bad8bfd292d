// Everything about one file system object but its content (design: "Fidelity").
#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "format/tree.h"
#include "foundation/mutex.h"
#include "foundation/result.h"

struct statx;

namespace coppice::capture {

// User and group names by number, looked up once each. Thread-safe; a name that was seen before costs no lock.
// References stay valid as long as the object. Empty: the host knows no such name.
class OwnerNames {
 public:
  const std::string& user(std::uint32_t uid);
  const std::string& group(std::uint32_t gid);

 private:
  using Known = std::map<std::uint32_t, std::string>;
  // What was found last for ids that share a slot; points into the map, whose nodes never move.
  using Recent = std::array<std::atomic<const Known::value_type*>, 64>;
  template <class LookUp>
  const std::string& find(std::uint32_t id, Recent& recent, Known& known, LookUp look_up);

  Recent recent_users_{}, recent_groups_{};
  Mutex mutex_;
  Known users_, groups_;  // changed under mutex_; nodes are read without it
};

// Which facilities the file systems of one run lack, by st_dev, so that each is asked once instead of once per file.
// One object per run: device numbers are given out again after an unmount. Thread-safe, lock-free; a cache: forgetting
// costs a system call.
class FileSystemMemo {
 public:
  enum Facility : std::uint32_t { kAsked = 1, kNoXattrs = 2, kNoFlags = 4, kNoProjects = 8, kFlagsFromXflags = 16 };
  // What is known of `device` (Facility bits; 0: nothing yet).
  std::uint32_t known(std::uint64_t device) const;
  void learn(std::uint64_t device, std::uint32_t facilities);  // adds to what is known

 private:
  struct Slot {
    std::atomic<std::uint64_t> key{0};  // device << 8 | facilities
  };
  std::array<Slot, 256> slots_{};
};

// The statx mask that fill_from_statx needs.
inline constexpr unsigned kStatxMask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;

// st_dev of `st`, as stat(2) would give it.
std::uint64_t device_of(const struct statx& st);

// What reading a file of this status brings: its size, less its holes.
std::uint64_t data_bytes(const struct statx& st);

// Type, mode, owner, size, times, inode, links, rdev. kUnsupported for a type that is none of ours. Other fields are
// left as they are.
Result<> fill_from_statx(const struct statx& st, OwnerNames& names, format::Entry& entry);

// xattrs, flags, project id, symlink target: what statx does not tell. `fd` is an O_RDONLY descriptor of a file or
// directory, or -1: then the object is reached as `name` in `dir_fd` without being opened for reading (symlinks,
// devices, sockets, unreadable files); flags and project id cannot be asked that way and stay 0. `entry` must come from
// fill_from_statx (type, device). What could not be read is told in `problems` and left out; an error when the
// object is gone (kNotFound), when a symlink's name is another object's now (kConflict) or its target cannot be read.
Result<> fill_extended(int fd, int dir_fd, const char* name, FileSystemMemo& memo, format::Entry& entry,
                       std::vector<std::string>& problems);

// The FS_IOC_GETFLAGS bits worth restoring: all that chattr(1) sets (append, immutable, nodump, noatime, sync, dirsync,
// nocow, compress, casefold, project inheritance ...); extents, encrypt, index, inline data and the like, which the
// file system sets itself, are not.
std::uint32_t restorable_flags();

}  // namespace coppice::capture
