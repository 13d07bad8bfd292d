// Rules by place (device and inode) cost a comparison with a handful of numbers; rules by file system type are looked
// at only at mount points and subvolumes, which statx tells of for nothing.
#include "capture/selection.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "capture/metadata.h"
#include "format/tree.h"
#include "foundation/encoding.h"
#include "platform/file.h"

namespace coppice::capture {

namespace {
constexpr std::size_t kExcludeFileBytesMax = 16u << 20, kSwapListBytesMax = 1u << 20;
constexpr std::string_view kCacheTagSignature = "Signature: 8a477f597d28d172789f06886806bc55";
constexpr std::uint64_t kBtrfsSubvolumeInode = 256;

// File systems that hold no data of their own: views of the kernel, and triggers. devtmpfs calls itself tmpfs: it is
// found by its place.
constexpr std::uint32_t kPseudoFileSystems[] = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,    DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC,
    DEBUGFS_MAGIC,    TRACEFS_MAGIC,  BPF_FS_MAGIC,       PSTOREFS_MAGIC,     HUGETLBFS_MAGIC,     BINFMTFS_MAGIC,
    NSFS_MAGIC,       EFIVARFS_MAGIC, AUTOFS_SUPER_MAGIC, SELINUX_MAGIC,      SMACK_MAGIC,
    0x62656570,  // configfs
    0x65735543,  // fusectl
    0x19800202,  // mqueue
    0x67596969,  // rpc_pipefs
    0x5a3c69f0,  // apparmorfs
    0x07655821,  // resctrl
    0x6c6f6f70,  // binderfs
};

// 0 when it cannot be told. O_PATH: nothing is opened for reading, and an automount point is not set off.
std::uint32_t file_system_type(int parent_fd, const char* name) {
  platform::Fd fd(::openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct statfs fs;
  return fd && ::fstatfs(fd.get(), &fs) == 0 ? static_cast<std::uint32_t>(fs.f_type) : 0;
}

bool is_pseudo(std::uint32_t type) {
  return std::find(std::begin(kPseudoFileSystems), std::end(kPseudoFileSystems), type) != std::end(kPseudoFileSystems);
}

bool is_directory(const struct statx& st) { return S_ISDIR(st.stx_mode); }

// `other_device`: than the directory above. Kernels before 5.8 do not tell of mount points: there another device that
// is no subvolume is one.
std::uint32_t marks_of(const struct statx& st, bool other_device, std::uint32_t type) {
  bool subvolume = is_directory(st) && type == BTRFS_SUPER_MAGIC && st.stx_ino == kBtrfsSubvolumeInode;
  bool told = (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
  bool mounted = told ? (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 : other_device && !subvolume;
  return (mounted ? std::uint32_t{format::kMarkMountPoint} : 0) |
         (subvolume ? std::uint32_t{format::kMarkSubvolume} : 0);
}

// What is mounted at `name` is what lies there anyway: so sandboxes make one place writable, or keep it from being so. The
// directory above tells the inode below a mount.
bool is_bound_to_itself(const struct statx& st, int parent_fd, const char* name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> parent(::fdopendir(::openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), closedir);
  while (const dirent* entry = parent ? ::readdir(parent.get()) : nullptr)
    if (std::strcmp(entry->d_name, name) == 0) return entry->d_ino == st.stx_ino;
  return false;
}

// The files in use as swap, from the text of /proc/swaps: a heading, then lines whose first two fields are path
// (blanks, tabs, newlines and backslashes as \ooo) and "file" or "partition".
std::vector<std::string> swap_files(std::string_view text) {
  std::vector<std::string> paths;
  for (bool heading = true; !text.empty(); heading = false) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    std::size_t blank = line.find_first_of(" \t");
    if (heading || blank == std::string_view::npos) continue;
    std::string_view kind = line.substr(std::min(line.size(), line.find_first_not_of(" \t", blank)));
    if (!kind.starts_with("file")) continue;
    std::string path;
    std::string_view field = line.substr(0, blank);
    auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
    for (std::size_t i = 0; i < field.size(); ++i) {
      if (field[i] == '\\' && i + 3 < field.size() && is_octal(field[i + 1]) && is_octal(field[i + 2]) &&
          is_octal(field[i + 3])) {
        path.push_back(static_cast<char>((field[i + 1] - '0') << 6 | (field[i + 2] - '0') << 3 | (field[i + 3] - '0')));
        i += 3;
      } else {
        path.push_back(field[i]);
      }
    }
    paths.push_back(std::move(path));
  }
  return paths;
}

// Every directory from the real path of `source` up to "/".
std::vector<std::string> with_ancestors(const std::string& source) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(source.c_str(), nullptr), &std::free);
  std::vector<std::string> all;
  if (!real) return all;  // the scanner will tell
  for (std::string path = real.get(); path.size() > 1; path.resize(std::max<std::size_t>(path.rfind('/'), 1)))
    all.push_back(path);
  all.emplace_back("/");
  return all;
}
}  // namespace

std::string_view left_out_text(LeftOut reason) {
  switch (reason) {
    case LeftOut::kNot:
      return "not left out";
    case LeftOut::kPattern:
      return "matches an exclude pattern";
    case LeftOut::kNoDump:
      return "has the nodump flag";
    case LeftOut::kOtherFileSystem:
      return "on another file system";
    case LeftOut::kPseudoFileSystem:
      return "a file system of the kernel without data";
    case LeftOut::kVolatile:
      return "made anew at each boot";
    case LeftOut::kSwapFile:
      return "swap file in use";
    case LeftOut::kCacheDirectory:
      return "marked as a cache by CACHEDIR.TAG";
    case LeftOut::kOwnData:
      return "data of the backup itself";
    case LeftOut::kNotIncluded:
      return "matches no include pattern";
  }
  return "left out";
}

std::string_view left_out_name(LeftOut reason) {
  switch (reason) {
    case LeftOut::kNot:
      return "not";
    case LeftOut::kPattern:
      return "pattern";
    case LeftOut::kNoDump:
      return "nodump";
    case LeftOut::kOtherFileSystem:
      return "other_file_system";
    case LeftOut::kPseudoFileSystem:
      return "pseudo_file_system";
    case LeftOut::kVolatile:
      return "volatile";
    case LeftOut::kSwapFile:
      return "swap_file";
    case LeftOut::kCacheDirectory:
      return "cache_directory";
    case LeftOut::kOwnData:
      return "own_data";
    case LeftOut::kNotIncluded:
      return "not_included";
  }
  return "other";
}

Result<Selection> Selection::create(const SelectionOptions& options, const std::vector<std::string>& sources) {
  Selection selection;
  selection.one_file_system_ = options.one_file_system;
  selection.skip_cache_directories_ = options.skip_cache_directories;
  selection.skip_nodump_ = options.skip_nodump;
  selection.skip_system_ = options.skip_system;
  for (const std::string& file : options.exclude_files) {
    auto text = TRY(within(platform::read_file(file, kExcludeFileBytesMax), fmt::format("exclude file {}", file)));
    TRY(within(selection.patterns_.add_lines(as_text(text)), fmt::format("exclude file {}", file)));
  }
  for (const std::string& pattern : options.excludes) TRY(selection.patterns_.add(pattern));
  for (const std::string& pattern : options.includes) TRY(selection.includes_.add(pattern));

  struct stat st;
  auto add_place = [&](LeftOut reason) {
    selection.places_.push_back({.device = st.st_dev, .inode = st.st_ino, .reason = reason});
  };
  for (const std::string& path : options.never) {
    if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) add_place(LeftOut::kOwnData);
  }
  for (const std::string& source : sources) {
    if (::lstat(source.c_str(), &st) == 0) selection.sources_.push_back({.device = st.st_dev, .inode = st.st_ino});
    for (const std::string& path : with_ancestors(source)) {
      if (::stat(path.c_str(), &st) != 0 || selection.place_rule(st.st_ino, st.st_dev) != LeftOut::kOwnData) continue;
      return fail(ErrorKind::kInvalid, fmt::format("{} lies in {}, which holds data of the backup itself",
                                                   render_printable(source), render_printable(path)));
    }
  }
  if (options.skip_system) {
    if (::lstat("/run", &st) == 0 && S_ISDIR(st.st_mode)) add_place(LeftOut::kVolatile);
    // A /dev on the disk (nothing mounted there) holds nodes that somebody made: data.
    struct stat root;
    if (::lstat("/dev", &st) == 0 && S_ISDIR(st.st_mode) && ::stat("/", &root) == 0 && root.st_dev != st.st_dev) {
      add_place(LeftOut::kVolatile);
    }
    if (auto swaps = platform::read_file("/proc/swaps", kSwapListBytesMax)) {
      for (const std::string& path : swap_files(as_text(*swaps))) {
        if (::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode)) add_place(LeftOut::kSwapFile);
      }
    }
  }
  return selection;
}

LeftOut Selection::place_rule(std::uint64_t inode, std::uint64_t device) const {
  for (const Place& place : places_) {
    if (place.inode == inode && place.device == device) return place.reason;
  }
  return LeftOut::kNot;
}

Decision Selection::decide(const struct statx& st, std::uint64_t parent_device, int parent_fd, const char* name) const {
  Decision decision;
  std::uint64_t device = device_of(st);
  LeftOut reason = place_rule(st.stx_ino, device);
  bool other_device = device != parent_device;
  bool mounted = (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;  // a bind mount of the same file system too
  if (mounted && !other_device && is_bound_to_itself(st, parent_fd, name)) mounted = false;
  if (other_device || mounted) [[unlikely]] {
    std::uint32_t type = file_system_type(parent_fd, name);
    decision.marks = marks_of(st, other_device, type);
    if (reason == LeftOut::kNot && skip_system_ && is_pseudo(type)) reason = LeftOut::kPseudoFileSystem;
    if (reason == LeftOut::kNot && one_file_system_) reason = LeftOut::kOtherFileSystem;
  }
  bool nodump = skip_nodump_ && (st.stx_attributes & STATX_ATTR_NODUMP) != 0;
  if (reason == LeftOut::kNot && !nodump) return decision;

  auto is_source = [&](const Place& source) { return source.inode == st.stx_ino && source.device == device; };
  if (std::any_of(sources_.begin(), sources_.end(), is_source)) return decision;
  if (nodump) {
    decision.take = Take::kNothing;
    decision.reason = LeftOut::kNoDump;
  } else {
    decision.take = is_directory(st) ? Take::kHollow : Take::kNothing;
    decision.reason = reason;
  }
  return decision;
}

bool Selection::is_cache_directory(int directory_fd) const {
  if (!skip_cache_directories_) return false;
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int opened = ::openat(directory_fd, kCacheTagName.data(), kFlags | O_NOATIME);
  if (opened < 0 && errno == EPERM) opened = ::openat(directory_fd, kCacheTagName.data(), kFlags);
  platform::Fd fd(opened);
  struct stat st;
  if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  char text[kCacheTagSignature.size()];
  auto n = platform::pread_full(fd.get(), {reinterpret_cast<std::byte*>(text), sizeof text}, 0);
  return n && *n == sizeof text && std::string_view(text, sizeof text) == kCacheTagSignature;
}

}  // namespace coppice::capture
