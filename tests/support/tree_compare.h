// Compares two directory trees, property by property, and tells every difference as text. It shares no code with the
// product: it is the judge of what the product restored. Times of change and birth (ctime, btime) are never compared:
// no program can set them.
//
// Holes: what is a hole in A (64 KiB of slack at either end, for file systems that allocate in other units) must be one
// in B. Hard links: two names are one object in A exactly if they are in B.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace coppice::testing {

struct CompareOptions {
  bool atime = true;  // but not of symlinks: reading a target, here as in a backup, is an access
  bool owners = true, xattrs = true, flags = true, holes = true;
  bool top = true;  // the attributes of the two top directories themselves
  std::size_t differences_max = 200;
};

class TreeComparer {
 public:
  explicit TreeComparer(CompareOptions options) : options_(options) {}

  std::vector<std::string> compare(const std::string& a, const std::string& b) {
    int fds[2] = {open_directory(AT_FDCWD, a.c_str()), open_directory(AT_FDCWD, b.c_str())};
    if (fds[0] < 0) say("/", "A cannot be opened: " + std::string(strerror(errno)));
    if (fds[1] < 0) say("/", "B cannot be opened: " + std::string(strerror(errno)));
    if (fds[0] >= 0 && fds[1] >= 0) {
      struct stat st[2];
      bool known = fstat(fds[0], &st[0]) == 0 && fstat(fds[1], &st[1]) == 0;
      std::string self[2] = {"/proc/self/fd/" + std::to_string(fds[0]) + "/.",
                             "/proc/self/fd/" + std::to_string(fds[1]) + "/."};
      if (known && options_.top) compare_metadata("/", st, self, fds);
      compare_directories("", fds);
    }
    for (int fd : fds) {
      if (fd >= 0) close(fd);
    }
    return differences_;
  }
  std::size_t objects() const { return objects_; }  // how many were looked at

 private:
  using Attributes = std::map<std::string, std::string>;

  static std::string printable(const std::string& text) {
    std::string out;
    for (unsigned char c : text) {
      char hex[8];
      if (c < 0x20 || c >= 0x7f || c == '\\') {
        snprintf(hex, sizeof hex, "\\x%02x", c);
        out += hex;
      } else {
        out += static_cast<char>(c);
      }
    }
    if (out.size() > 300)
      out = out.substr(0, 100) + "...(" + std::to_string(out.size()) + ")..." + out.substr(out.size() - 100);
    return out;
  }
  void say(const std::string& path, const std::string& what) {
    if (differences_.size() < options_.differences_max) differences_.push_back(printable(path) + ": " + what);
  }
  template <class T>
  void expect_same(const std::string& path, const char* what, const T& a, const T& b) {
    if (a != b) say(path, std::string(what) + " " + std::to_string(a) + " in A, " + std::to_string(b) + " in B");
  }

  static int open_quietly(int dir, const char* name, int flags) {
    int fd = openat(dir, name, flags | O_NOATIME | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == EPERM) fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd;
  }
  static int open_directory(int dir, const char* name) {
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC);
    if (fd < 0 && errno == EPERM) fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd;
  }

  bool list(const std::string& path, int fd, const char* side, std::vector<std::string>& names) {
    DIR* stream = fdopendir(open_directory(fd, "."));
    if (stream == nullptr) {
      say(path, std::string("cannot be listed in ") + side + ": " + strerror(errno));
      return false;
    }
    while (dirent* entry = readdir(stream)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    closedir(stream);
    std::sort(names.begin(), names.end());
    return true;
  }

  void compare_directories(const std::string& path, const int (&fds)[2]) {
    std::vector<std::string> names[2], both;
    if (!list(path, fds[0], "A", names[0]) || !list(path, fds[1], "B", names[1])) return;
    std::set_intersection(names[0].begin(), names[0].end(), names[1].begin(), names[1].end(), std::back_inserter(both));
    for (int side : {0, 1}) {
      for (const std::string& name : names[side]) {
        if (!std::binary_search(both.begin(), both.end(), name))
          say(path + "/" + name, side == 0 ? "only in A" : "only in B");
      }
    }
    for (const std::string& name : both) compare_objects(path + "/" + name, name, fds);
  }

  void compare_objects(const std::string& path, const std::string& name, const int (&dirs)[2]) {
    ++objects_;
    struct stat st[2];
    std::string at[2];
    for (int side : {0, 1}) {
      if (fstatat(dirs[side], name.c_str(), &st[side], AT_SYMLINK_NOFOLLOW) != 0) {
        say(path, std::string("stat: ") + strerror(errno));
        return;
      }
      at[side] = "/proc/self/fd/" + std::to_string(dirs[side]) + "/" + name;
    }
    mode_t type = st[0].st_mode & S_IFMT;
    if (type != (st[1].st_mode & S_IFMT)) {
      char text[64];
      snprintf(text, sizeof text, "type %o in A, %o in B", type, st[1].st_mode & S_IFMT);
      say(path, text);
      return;
    }
    int fds[2] = {-1, -1};
    if (type == S_IFREG || type == S_IFDIR) {
      for (int side : {0, 1}) {
        fds[side] = open_quietly(dirs[side], name.c_str(), O_RDONLY | (type == S_IFDIR ? O_DIRECTORY : 0));
        if (fds[side] < 0) say(path, std::string("cannot be opened in ") + "AB"[side] + ": " + strerror(errno));
      }
    }
    compare_metadata(path, st, at, fds);
    if (type != S_IFDIR) compare_links(path, st);
    if (type == S_IFLNK) compare_targets(path, name, dirs);
    if (type == S_IFCHR || type == S_IFBLK) {
      expect_same(path, "device major", major(st[0].st_rdev), major(st[1].st_rdev));
      expect_same(path, "device minor", minor(st[0].st_rdev), minor(st[1].st_rdev));
    }
    if (fds[0] >= 0 && fds[1] >= 0) {
      if (type == S_IFREG) compare_content(path, st, fds);
      if (type == S_IFDIR) compare_directories(path, fds);
    }
    for (int fd : fds) {
      if (fd >= 0) close(fd);
    }
  }

  void compare_metadata(const std::string& path, const struct stat (&st)[2], const std::string (&at)[2],
                        const int (&fds)[2]) {
    if ((st[0].st_mode & 07777) != (st[1].st_mode & 07777)) {
      char text[64];
      snprintf(text, sizeof text, "mode %04o in A, %04o in B", st[0].st_mode & 07777, st[1].st_mode & 07777);
      say(path, text);
    }
    if (options_.owners) {
      expect_same(path, "owner", st[0].st_uid, st[1].st_uid);
      expect_same(path, "group", st[0].st_gid, st[1].st_gid);
    }
    compare_times(path, "mtime", st[0].st_mtim, st[1].st_mtim);
    if (options_.atime && !S_ISLNK(st[0].st_mode)) compare_times(path, "atime", st[0].st_atim, st[1].st_atim);
    if (options_.xattrs) compare_attributes(path, at);
    if (options_.flags && fds[0] >= 0 && fds[1] >= 0) compare_flags(path, fds);
  }

  void compare_times(const std::string& path, const char* what, const timespec& a, const timespec& b) {
    if (a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec) return;
    char text[128];
    snprintf(text, sizeof text, "%s %lld.%09ld in A, %lld.%09ld in B", what, static_cast<long long>(a.tv_sec),
             a.tv_nsec, static_cast<long long>(b.tv_sec), b.tv_nsec);
    say(path, text);
  }

  Attributes attributes(const std::string& path, const std::string& at, char side) {
    Attributes found;
    std::string names(65536, '\0'), value(65536, '\0');
    ssize_t n = llistxattr(at.c_str(), names.data(), names.size());
    if (n < 0) {
      if (errno != EOPNOTSUPP)
        say(path, std::string("attributes cannot be listed in ") + side + ": " + strerror(errno));
      return found;
    }
    for (const char* name = names.data(); name < names.data() + n; name += strlen(name) + 1) {
      if (strncmp(name, "trusted.SGI_ACL_", 16) == 0) continue;  // XFS shows an ACL twice
      ssize_t size = lgetxattr(at.c_str(), name, value.data(), value.size());
      if (size < 0) {
        say(path, std::string("attribute ") + printable(name) + " cannot be read in " + side + ": " + strerror(errno));
      } else {
        found[name] = value.substr(0, static_cast<std::size_t>(size));
      }
    }
    return found;
  }
  void compare_attributes(const std::string& path, const std::string (&at)[2]) {
    Attributes a = attributes(path, at[0], 'A'), b = attributes(path, at[1], 'B');
    if (a == b) return;
    for (const auto& [name, value] : a) {
      auto other = b.find(name);
      if (other == b.end()) {
        say(path, "attribute " + printable(name) + " only in A");
      } else if (other->second != value) {
        say(path, "attribute " + printable(name) + " \"" + printable(value) + "\" in A, \"" + printable(other->second) +
                      "\" in B");
      }
    }
    for (const auto& [name, value] : b) {
      if (!a.contains(name)) say(path, "attribute " + printable(name) + " only in B");
    }
  }

  void compare_flags(const std::string& path, const int (&fds)[2]) {
    // What chattr can set (s u c S i a d A m j t D T C x P F); the rest is the file system's own affair.
    constexpr unsigned kSettable = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x400 | 0x4000 | 0x8000 |
                                   0x10000 | 0x20000 | 0x800000 | 0x2000000 | 0x20000000 | 0x40000000;
    long flags[2] = {0, 0};
    fsxattr projects[2] = {};
    bool known = true, projects_known = true;
    for (int side : {0, 1}) {
      known = ioctl(fds[side], FS_IOC_GETFLAGS, &flags[side]) == 0 && known;
      projects_known = ioctl(fds[side], FS_IOC_FSGETXATTR, &projects[side]) == 0 && projects_known;
    }
    if (known) {
      unsigned a = static_cast<unsigned>(flags[0]) & kSettable, b = static_cast<unsigned>(flags[1]) & kSettable;
      if (a != b) {
        char text[64];
        snprintf(text, sizeof text, "flags %#x in A, %#x in B", a, b);
        say(path, text);
      }
    }
    if (projects_known) expect_same(path, "project", projects[0].fsx_projid, projects[1].fsx_projid);
  }

  void compare_links(const std::string& path, const struct stat (&st)[2]) {
    std::string first[2];
    for (int side : {0, 1}) {
      first[side] = st[side].st_nlink > 1
                        ? first_path_[side].try_emplace({st[side].st_dev, st[side].st_ino}, path).first->second
                        : path;
    }
    if (first[0] == first[1]) return;
    say(path, "the same object as " + printable(first[0]) + " in A, as " + printable(first[1]) + " in B (hard links)");
  }

  void compare_targets(const std::string& path, const std::string& name, const int (&dirs)[2]) {
    std::string targets[2];
    for (int side : {0, 1}) {
      targets[side].resize(65536);
      ssize_t n = readlinkat(dirs[side], name.c_str(), targets[side].data(), targets[side].size());
      targets[side].resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    }
    if (targets[0] != targets[1])
      say(path, "target \"" + printable(targets[0]) + "\" in A, \"" + printable(targets[1]) + "\" in B");
  }

  static ssize_t read_all(int fd, char* into, std::size_t size, off_t at) {
    std::size_t done = 0;
    while (done < size) {
      ssize_t n = pread(fd, into + done, size - done, at + static_cast<off_t>(done));
      if (n < 0) return -1;
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return static_cast<ssize_t>(done);
  }

  // Bytes are compared where either file has data; where both have a hole they are alike.
  void compare_content(const std::string& path, const struct stat (&st)[2], const int (&fds)[2]) {
    if (st[0].st_size != st[1].st_size) {
      expect_same(path, "size", st[0].st_size, st[1].st_size);
      return;
    }
    constexpr std::size_t kStep = 1 << 20;
    buffers_[0].resize(kStep);
    buffers_[1].resize(kStep);
    for (off_t at = 0; at < st[0].st_size;) {
      off_t data = st[0].st_size;
      for (int fd : fds) {
        off_t next = lseek(fd, at, SEEK_DATA);
        if (next < 0 && errno != ENXIO) next = at;
        if (next >= 0) data = std::min(data, next);
      }
      at = data;
      if (at >= st[0].st_size) break;
      ssize_t n[2];
      for (int side : {0, 1}) {
        n[side] = read_all(fds[side], buffers_[side].data(), kStep, at);
        if (n[side] < 0) say(path, std::string("cannot be read in ") + "AB"[side] + ": " + strerror(errno));
      }
      if (n[0] < 0 || n[1] < 0) return;
      std::size_t common = static_cast<std::size_t>(std::min(n[0], n[1]));
      auto differ = std::mismatch(buffers_[0].begin(), buffers_[0].begin() + static_cast<std::ptrdiff_t>(common),
                                  buffers_[1].begin());
      auto same = differ.first - buffers_[0].begin();
      if (static_cast<std::size_t>(same) < common || n[0] != n[1]) {
        say(path, "content differs at byte " + std::to_string(at + same));
        return;
      }
      if (n[0] == 0) return;  // cut short meanwhile, both alike
      at += n[0];
    }
    if (options_.holes) compare_holes(path, st, fds);
  }

  void compare_holes(const std::string& path, const struct stat (&st)[2], const int (&fds)[2]) {
    constexpr off_t kSlack = 64 << 10;
    off_t size = st[0].st_size;
    for (off_t at = 0; at < size;) {
      off_t hole = lseek(fds[0], at, SEEK_HOLE);
      if (hole < 0 || hole >= size) return;
      off_t end = lseek(fds[0], hole, SEEK_DATA);
      if (end < 0) end = size;
      if (end - hole > 2 * kSlack) {
        off_t data = lseek(fds[1], hole + kSlack, SEEK_DATA);
        if (data >= 0 && data < end - kSlack) {
          say(path, "a hole of " + std::to_string(end - hole) + " bytes at " + std::to_string(hole) +
                        " in A holds data in B");
          return;
        }
      }
      at = end;
    }
  }

  CompareOptions options_;
  std::vector<std::string> differences_;
  std::size_t objects_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> first_path_[2];  // of objects with several links
  std::string buffers_[2];
};

// Nothing: the trees are alike.
inline std::vector<std::string> compare_trees(const std::string& a, const std::string& b, CompareOptions options = {}) {
  return TreeComparer(options).compare(a, b);
}

}  // namespace coppice::testing
