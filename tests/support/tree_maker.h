// Makes, from a seed, a directory tree with everything that a backup must bring back (docs: fidelity): every type, odd
// modes, owners and times, hard links across directories, holes, attributes, ACLs, capabilities, flags, odd names,
// sizes around the cutting limits, paths beyond PATH_MAX. The same seed and options give the same tree, to the
// nanosecond. What the file system or the user may not have (owners, devices, attributes) is left out in silence: a
// comparison is with what is there.
//
// The top directory holds one of each kind ("catalogue"); below it random directories hold random ones. Throws
// std::system_error.
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace coppice::testing {

struct TreeOptions {
  unsigned directories = 12, files_per_directory = 8;
  bool privileged = geteuid() == 0;  // owners, devices, capabilities, trusted attributes
  bool locked = false;               // immutable and append-only ones too: unlock_tree() before removal
  bool deep = true;                  // a path longer than PATH_MAX
  bool large = true;                 // contents beyond 128 KiB
};

class TreeMaker {
 public:
  TreeMaker(std::uint64_t seed, TreeOptions options) : state_(seed), options_(options) {}
  ~TreeMaker() {
    for (int fd : link_pool_) close(fd);
  }
  TreeMaker(const TreeMaker&) = delete;
  TreeMaker& operator=(const TreeMaker&) = delete;

  // Into `path`, which is made when it is not there.
  void make(const std::string& path) {
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir " + path);
    int root = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) fail("open " + path);
    catalogue(root);
    directories_left_ = options_.directories;
    while (directories_left_ > 0) random_directory(root, 1);
    if (options_.deep) deep_path(root);
    finish_directory(root, false);
    close(root);
  }

 private:
  [[noreturn]] static void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
  }

  std::uint64_t next() {  // splitmix64
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool chance(unsigned one_in) { return below(one_in) == 0; }

  // ---- content

  static constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * 1024;
  static const std::vector<std::uint64_t>& cutting_sizes() {
    static const std::vector<std::uint64_t> sizes{0,
                                                  1,
                                                  4095,
                                                  4096,
                                                  65535,
                                                  65536,
                                                  65537,
                                                  128 * kKiB - 1,
                                                  128 * kKiB,
                                                  128 * kKiB + 1,
                                                  2 * kMiB - 1,
                                                  2 * kMiB,
                                                  2 * kMiB + 1,
                                                  5 * kMiB};
    return sizes;
  }
  enum class Content { kRandom, kText, kZeros };

  void write_at(int fd, std::uint64_t offset, std::uint64_t length, Content content) {
    std::string buffer;
    while (length > 0) {
      std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(length, kMiB));
      buffer.assign(n, '\0');
      if (content == Content::kRandom) {
        for (std::size_t i = 0; i < n; i += 8) {
          std::uint64_t word = next();
          std::memcpy(buffer.data() + i, &word, std::min<std::size_t>(8, n - i));
        }
      } else if (content == Content::kText) {
        static const char* words[] = {"oak ", "ash ", "hazel ", "willow ", "chestnut\n", "root ", "stool ", "shoot "};
        for (std::size_t i = 0; i < n;) {
          const char* word = words[below(8)];
          std::size_t size = std::min(std::strlen(word), n - i);
          std::memcpy(buffer.data() + i, word, size);
          i += size;
        }
      }
      for (std::size_t done = 0; done < n;) {
        ssize_t written = pwrite(fd, buffer.data() + done, n - done, static_cast<off_t>(offset + done));
        if (written < 0) fail("write");
        done += static_cast<std::size_t>(written);
      }
      offset += n;
      length -= n;
    }
  }

  // ---- metadata, in the order that keeps it: owner (clears suid and capabilities), mode, attributes, times, flags

  static std::string acl(std::uint32_t user, bool readable) {
    std::string bytes{2, 0, 0, 0};
    auto add = [&](std::uint16_t tag, std::uint16_t permissions, std::uint32_t id) {
      for (int i = 0; i < 2; ++i) bytes.push_back(static_cast<char>(tag >> 8 * i));
      for (int i = 0; i < 2; ++i) bytes.push_back(static_cast<char>(permissions >> 8 * i));
      for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(id >> 8 * i));
    };
    constexpr std::uint32_t kNobody = 0xffffffff;
    add(0x01, 7, kNobody);                 // owner
    add(0x02, readable ? 5 : 0, user);     // a named user
    add(0x04, 5, kNobody);                 // group
    add(0x10, 7, kNobody);                 // mask
    add(0x20, readable ? 4 : 0, kNobody);  // others
    return bytes;
  }

  // "/proc/self/fd/<dir>/<name>": reaches anything without following it, however deep.
  static std::string path_of(int dir, const std::string& name) {
    return "/proc/self/fd/" + std::to_string(dir) + "/" + name;
  }

  static void attribute(const std::string& path, const std::string& name, const std::string& value) {
    if (lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) return;
    if (errno != EOPNOTSUPP && errno != EPERM && errno != ENOSPC && errno != E2BIG && errno != EACCES)
      fail("setxattr " + name);
  }

  timespec some_time() {
    static const std::int64_t seconds[] = {-2'145'916'800 /* 1902 */,
                                           -2'147'483'000 /* 1901 */,
                                           -1,
                                           0,
                                           1,
                                           951'782'400 /* 2000 */,
                                           1'700'000'000,
                                           2'147'483'648 /* 2038 */,
                                           4'102'444'800 /* 2100 */};
    static const long nanoseconds[] = {0, 1, 999'999'999, 123'456'789, 500'000'000};
    std::int64_t at =
        chance(2) ? seconds[below(std::size(seconds))] : static_cast<std::int64_t>(1'000'000'000 + below(700'000'000));
    return {
        .tv_sec = at,
        .tv_nsec = chance(2) ? nanoseconds[below(std::size(nanoseconds))] : static_cast<long>(below(1'000'000'000))};
  }

  void finish(int dir, const std::string& name, mode_t mode, bool is_symlink = false) {
    static const std::uint32_t owners[] = {0, 1, 1000, 1001, 65534, 100'000, 2'147'483'648u, 4'000'000'000u};
    const std::string path = path_of(dir, name);
    // Every draw is made whatever the options, so that they do not change what comes after.
    std::uint32_t uid = owners[below(std::size(owners))], gid = owners[below(std::size(owners))];
    bool with_attributes = chance(4), with_acl = chance(6);
    timespec times[2] = {some_time(), some_time()};
    std::string value(below(200), static_cast<char>('a' + below(26)));
    if (options_.privileged && fchownat(dir, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) fail("chown " + name);
    if (!options_.privileged) mode |= 0400;  // or it could be neither backed up nor compared
    if (!is_symlink && fchmodat(dir, name.c_str(), mode, 0) != 0) fail("chmod " + name);
    if (with_attributes) {
      if (!is_symlink) attribute(path, "user.some", value);
      if (options_.privileged) attribute(path, "trusted.some", value);
    }
    if (with_acl && !is_symlink) attribute(path, "system.posix_acl_access", acl(1234, true));
    if (utimensat(dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail("utimens " + name);
  }

  void finish_directory(int fd, bool inherited_acl) {
    static const mode_t modes[] = {0755, 0700, 01777, 02775, 0555, 0711};
    const mode_t mode = modes[below(std::size(modes))];
    const timespec times[2] = {some_time(), some_time()};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (options_.privileged && chance(3)) {
      if (fchown(fd, static_cast<uid_t>(below(3000)), static_cast<gid_t>(below(3000))) != 0)
        fail("chown of a directory");
    }
    if (fchmod(fd, mode | 0500) != 0) fail("chmod of a directory");
    auto with = [&](const char* name, const std::string& value) {
      if (fsetxattr(fd, name, value.data(), value.size(), 0) != 0 && errno != EOPNOTSUPP && errno != EPERM)
        fail("setxattr");
    };
    if (chance(4)) with("user.directory", "yes");
    if (inherited_acl) with("system.posix_acl_default", acl(4321, true));
    if (futimens(fd, times) != 0) fail("utimens of a directory");
  }

  static void flags(int dir, const std::string& name, int add) {
    int fd = openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    int now = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &now) == 0) {
      now |= add;
      (void)ioctl(fd, FS_IOC_SETFLAGS, &now);
    }
    close(fd);
  }

  // ---- objects

  void file(int dir, const std::string& name, std::uint64_t size, Content content, mode_t mode = 0644) {
    int fd = openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail("create " + name);
    write_at(fd, 0, size, content);
    close(fd);
    finish(dir, name, mode);
  }

  struct Run {
    std::uint64_t offset, length;
  };
  void sparse_file(int dir, const std::string& name, std::uint64_t size, const std::vector<Run>& data) {
    int fd = openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail("create " + name);
    if (ftruncate(fd, static_cast<off_t>(size)) != 0) fail("truncate " + name);
    for (const Run& run : data) write_at(fd, run.offset, run.length, Content::kRandom);
    close(fd);
    finish(dir, name, 0600);
  }

  void symlink(int dir, const std::string& name, const std::string& target) {
    if (symlinkat(target.c_str(), dir, name.c_str()) != 0) {
      if (errno != ENAMETOOLONG) fail("symlink " + name);  // XFS holds 1023 bytes
      return;
    }
    finish(dir, name, 0, true);
  }

  void node(int dir, const std::string& name, mode_t type, dev_t device) {
    bool is_device = type == S_IFCHR || type == S_IFBLK;
    if (is_device && !options_.privileged) return;
    if (mknodat(dir, name.c_str(), type | 0600, device) != 0) {
      if (is_device && (errno == EPERM || errno == EINVAL)) return;  // a container without the right; XFS takes majors up to 511
      fail("mknod " + name);
    }
    finish(dir, name, 0640);
  }

  void remember_for_links(int dir, const std::string& name) {
    int fd = openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) fail("open " + name);
    if (link_pool_.size() < 16) {
      link_pool_.push_back(fd);
    } else {
      int& place = link_pool_[below(link_pool_.size())];
      close(place);
      place = fd;
    }
  }
  void link_of_something(int dir, const std::string& name) {
    if (link_pool_.empty()) return;
    std::string from = "/proc/self/fd/" + std::to_string(link_pool_[below(link_pool_.size())]);
    if (linkat(AT_FDCWD, from.c_str(), dir, name.c_str(), AT_SYMLINK_FOLLOW) != 0) fail("link " + name);
  }

  static std::vector<std::string> odd_names() {
    return {"new\nline",
            "tab\there",
            "\xff\xfe not utf-8",
            "-dash",
            "--",
            "trailing ",
            " ",
            "...",
            ".hidden",
            "back\\slash",
            "quote\"'",
            "*star?[x]",
            "$(echo)",
            "\xc3\xa9\xe2\x82\xac",
            "e\xcc\x81",
            std::string("\x01\x1b[31m\x7f"),
            std::string(255, 'n'),
            std::string(127, '\xc3') + std::string(128, '\n'),
            "CACHE",
            "cache",
            "0",
            "~",
            "#hash",
            "!bang",
            "nul-like\\0"};
  }

  void catalogue(int root) {
    int number = 0;
    for (std::uint64_t size : cutting_sizes()) {
      if (size > 128 * kKiB + 1 && !options_.large) continue;
      file(root, "random-" + std::to_string(size), size, Content::kRandom);
      file(root, "text-" + std::to_string(size), size, ++number % 4 == 0 ? Content::kZeros : Content::kText);
    }
    sparse_file(root, "hole-start", 3 * kMiB, {{2 * kMiB, kMiB}});
    sparse_file(root, "hole-middle", 4 * kMiB + 17, {{0, kMiB}, {3 * kMiB, kMiB + 17}});
    sparse_file(root, "hole-end", 3 * kMiB + 1, {{0, 256 * kKiB}});
    sparse_file(root, "hole-all", 8 * kMiB, {});
    sparse_file(root, "hole-small", 60 * kKiB, {{56 * kKiB, 4 * kKiB}});
    sparse_file(root, "hole-huge", 6ull << 30, {{0, 4096}, {5ull << 30, 64 * kKiB}});
    sparse_file(root, "hole-many", 16 * kMiB, many_runs());
    file(root, "suid", 100, Content::kText, 04755);
    file(root, "sgid", 100, Content::kText, 02755);
    file(root, "sticky", 100, Content::kText, 01644);
    file(root, "no-rights", 100, Content::kText, 0);
    symlink(root, "link-relative", "text-1");
    symlink(root, "link-dangling", "../no/such/thing");
    symlink(root, "link-absolute", "/etc/passwd");
    symlink(root, "link-odd", "\xff\n ");
    symlink(root, "link-long", std::string(4000, 't'));
    symlink(root, "link-to-itself", "link-to-itself");
    node(root, "fifo", S_IFIFO, 0);
    node(root, "socket", S_IFSOCK, 0);
    node(root, "char-device", S_IFCHR, makedev(1, 3));
    node(root, "block-device", S_IFBLK, makedev(259, 70'000));
    for (const std::string& name : odd_names()) file(root, name, below(3000), Content::kText);
    attributes_catalogue(root);
    empty_directories(root);
    years(root);
    if (options_.privileged) flags_catalogue(root);
    for (const char* name : {"text-1", "random-131072", "fifo", "link-relative", "hole-middle"})
      remember_for_links(root, name);
    link_of_something(root, "hard-link");
  }

  std::vector<Run> many_runs() {
    std::vector<Run> runs;
    for (std::uint64_t at = 0; at + 256 * kKiB < 16 * kMiB; at += 256 * kKiB) {
      if (chance(2)) runs.push_back({at + 64 * kKiB * below(3), 64 * kKiB});
    }
    return runs;
  }

  // An attribute may follow finish(): setting it leaves mtime and atime alone.
  void attributes_catalogue(int root) {
    auto on = [&](const char* file_name, const char* name, const std::string& value) {
      if (faccessat(root, file_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) file(root, file_name, 1000, Content::kText);
      attribute(path_of(root, file_name), name, value);
    };
    on("xattr-empty", "user.empty", "");
    on("xattr-binary", "user.binary", std::string("\0\xff\n", 3));
    on("xattr-odd-name", "user.\xff odd\n", "x");
    on("xattr-large", "user.large", std::string(3500, 'L'));
    on("xattr-huge", "user.huge", std::string(60'000, 'H'));
    for (int i = 0; i < 12; ++i)
      on("xattr-many", ("user.many" + std::to_string(i * 7 % 12)).c_str(), std::to_string(i));
    on("acl", "system.posix_acl_access", acl(1000, true));
    on("acl-none", "system.posix_acl_access", acl(65534, false));
    if (options_.privileged) {
      on("capability", "security.capability", std::string("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
      on("trusted", "trusted.overlay.opaque", "y");
      attribute(path_of(root, "link-dangling"), "trusted.on.symlink", "1");
      attribute(path_of(root, "char-device"), "trusted.on.device", "1");
    }
    file(root, "flag-nodump", 10, Content::kText);
    flags(root, "flag-nodump", FS_NODUMP_FL);
    file(root, "flag-noatime-sync", 10, Content::kText);
    flags(root, "flag-noatime-sync", FS_NOATIME_FL | FS_SYNC_FL);
    if (options_.locked) {
      file(root, "flag-immutable", 10, Content::kText);
      flags(root, "flag-immutable", FS_IMMUTABLE_FL);
      file(root, "flag-append", 10, Content::kText);
      flags(root, "flag-append", FS_APPEND_FL);
    }
  }

  // The edges of what file systems keep, and beyond them (a file system that cannot keep it takes its nearest).
  void years(int root) {
    static constexpr std::pair<const char*, std::int64_t> kYears[] = {
        {"1850", -3'786'825'600}, {"1901", -2'147'483'648}, {"1969", -1},           {"2038", 2'147'483'648},
        {"2100", 4'102'444'800},  {"2446", 15'000'000'000}, {"3000", 32'503'680'000}};
    for (const auto& [name, seconds] : kYears) {
      const std::string as_file = std::string("year-") + name, as_directory = as_file + "-directory";
      file(root, as_file, 10, Content::kText);
      close(sub_directory(root, as_directory));
      const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 1}, {.tv_sec = seconds, .tv_nsec = 999'999'999}};
      for (const std::string& each : {as_file, as_directory})
        if (utimensat(root, each.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail("utimens " + each);
    }
  }

  // Each flag on a file and a directory of its own, before there is content: some are refused later.
  void flags_catalogue(int root) {
    static constexpr std::pair<const char*, int> kFlags[] = {
        {"compress", FS_COMPR_FL}, {"nocompress", FS_NOCOMP_FL}, {"nocow", FS_NOCOW_FL},     {"journal", FS_JOURNAL_DATA_FL},
        {"notail", FS_NOTAIL_FL},  {"dirsync", FS_DIRSYNC_FL},   {"topdir", FS_TOPDIR_FL},   {"secrm", FS_SECRM_FL},
        {"undelete", FS_UNRM_FL},  {"sync", FS_SYNC_FL},         {"noatime", FS_NOATIME_FL}, {"nodump", FS_NODUMP_FL}};
    const timespec times[2] = {{.tv_sec = 1'600'000'000, .tv_nsec = 1}, {.tv_sec = 1'600'000'000, .tv_nsec = 2}};
    for (const auto& [name, flag] : kFlags) {
      const std::string as_file = std::string("flag-file-") + name, as_directory = std::string("flag-dir-") + name;
      file(root, as_file, 0, Content::kText);
      flags(root, as_file, flag);
      int fd = openat(root, as_file.c_str(), O_WRONLY | O_CLOEXEC);
      if (fd < 0) fail("open " + as_file);
      write_at(fd, 0, 100'000, Content::kText);
      close(fd);
      close(sub_directory(root, as_directory));
      flags(root, as_directory, flag);
      for (const std::string& each : {as_file, as_directory})
        if (utimensat(root, each.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail("utimens " + each);
    }
    node(root, "device-of-large-number", S_IFCHR, makedev(4095, 900'000));
    close(sub_directory(root, "project-directory"));
    file(root, "project-file", 10, Content::kText);
    project(root, "project-file", 4711, 0);
    project(root, "project-directory", 4712, FS_XFLAG_PROJINHERIT);
    if (utimensat(root, "project-directory", times, AT_SYMLINK_NOFOLLOW) != 0) fail("utimens project-directory");
    if (!options_.locked) return;
    for (const auto& [name, flag] : {std::pair("flag-immutable-dir", FS_IMMUTABLE_FL), std::pair("flag-append-dir", FS_APPEND_FL)}) {
      int fd = sub_directory(root, name);
      file(fd, "inside", 10, Content::kText);
      finish_directory(fd, false);
      close(fd);
      flags(root, name, flag);
    }
  }

  static void project(int dir, const std::string& name, unsigned id, unsigned xflags) {
    int fd = openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    fsxattr attributes{};
    if (fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0) {
      attributes.fsx_projid = id;
      attributes.fsx_xflags |= xflags;
      (void)ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
    }
    if (fd >= 0) close(fd);
  }

  int sub_directory(int parent, const std::string& name) {
    if (mkdirat(parent, name.c_str(), 0700) != 0) fail("mkdir " + name);
    int fd = openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) fail("open " + name);
    return fd;
  }

  void empty_directories(int root) {
    for (const char* name : {"empty", "empty-acl", "empty\nodd"}) {
      int fd = sub_directory(root, name);
      finish_directory(fd, std::strcmp(name, "empty-acl") == 0);
      close(fd);
    }
  }

  void random_directory(int parent, unsigned depth) {
    --directories_left_;
    int fd = sub_directory(parent, "dir-" + std::to_string(directories_left_) + (chance(4) ? " \xff\n" : ""));
    for (unsigned i = 0; i < options_.files_per_directory; ++i) {
      std::string name = std::to_string(next() & 0xffff) + "-" + std::to_string(i);
      switch (below(12)) {
        case 0:
          symlink(fd, name, std::string(1 + below(300), 's'));
          break;
        case 1:
          node(fd, name, chance(2) ? S_IFIFO : S_IFSOCK, 0);
          break;
        case 2:
          link_of_something(fd, name);
          break;
        case 3:
          sparse_file(fd, name, kMiB + below(kMiB), {{below(kMiB), 1 + below(9000)}});
          break;
        case 4:
          file(fd, name, cutting_sizes()[below(options_.large ? 12 : 10)], Content::kRandom);
          break;
        case 5:
          file(fd, name, below(600'000), Content::kText);
          break;
        case 6:
          node(fd, name, S_IFCHR, makedev(static_cast<unsigned>(below(512)), static_cast<unsigned>(below(262'144))));
          break;
        default:
          file(fd, name, below(8000), chance(2) ? Content::kRandom : Content::kText,
               static_cast<mode_t>(below(010000)));
          break;
      }
      if (chance(3) && faccessat(fd, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) remember_for_links(fd, name);
    }
    while (directories_left_ > 0 && depth < 6 && !chance(3)) random_directory(fd, depth + 1);
    finish_directory(fd, chance(5));
    close(fd);
  }

  void deep_path(int root) {
    std::vector<int> chain{root};
    for (int i = 0; i < 20; ++i)
      chain.push_back(sub_directory(chain.back(), std::string(240, static_cast<char>('a' + i))));
    file(chain.back(), "at the bottom", 100, Content::kText);
    symlink(chain.back(), "link", "at the bottom");
    node(chain.back(), "fifo", S_IFIFO, 0);
    link_of_something(chain.back(), "hard-link");
    while (chain.size() > 1) {
      finish_directory(chain.back(), false);
      close(chain.back());
      chain.pop_back();
    }
  }

  std::uint64_t state_;
  TreeOptions options_;
  unsigned directories_left_ = 0;
  std::vector<int> link_pool_;  // O_PATH descriptors of what may be linked again
};

inline void make_tree(std::uint64_t seed, const std::string& path, TreeOptions options = {}) {
  TreeMaker(seed, options).make(path);
}

// Takes immutable and append-only off what is in the top directory (the only ones that have them), so that the tree
// can be removed.
inline void unlock_tree(const std::string& path) {
  for (const char* name : {"flag-immutable", "flag-append", "flag-immutable-dir", "flag-append-dir"}) {
    int fd = open((path + "/" + name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    int now = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &now) == 0) {
      now &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
      (void)ioctl(fd, FS_IOC_SETFLAGS, &now);
    }
    close(fd);
  }
}

}  // namespace coppice::testing
