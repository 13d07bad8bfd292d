// What a backup leaves out. Decisions are cheap where nothing applies: no path is built and no system call made for an
// object that is neither a mount point nor touched by a rule. What to leave out, and why, is told to users in
// docs/selection.md.
//
// How the scanner asks, for each object that is not itself a source:
//   1. if (selection.has_path_rules()) selection.excluded(path, is_directory): true means that the object is left out,
//   with all below it;
//   2. selection.decide(...) after statx, before the object is opened (opening an autofs directory would mount it);
//   3. for a directory whose list holds kCacheTagName: selection.is_cache_directory(fd): true means keep the tag, leave
//   out the rest.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/result.h"
#include "policy/patterns.h"

struct statx;

namespace coppice::capture {

struct SelectionOptions {
  std::vector<std::string> excludes;       // gitignore patterns over absolute paths; they come after those of the files
  std::vector<std::string> exclude_files;  // files of such patterns, in order
  std::vector<std::string> includes;       // gitignore patterns: when there are any, only what they match is taken
  bool one_file_system =
      false;  // as in tar, find and rsync: stay on the sources' st_dev (a btrfs subvolume is another)
  bool skip_cache_directories = true;  // CACHEDIR.TAG, https://bford.info/cachedir/
  bool skip_nodump = false;            // chattr +d
  bool skip_system = true;             // pseudo file systems, /run, /dev, active swap files
  std::vector<std::string>
      never;  // directories whose content is never taken (vault, state, cache); they need not exist
};

enum class Take : std::uint8_t {
  kAll,
  kHollow,  // a directory: itself, but nothing that is in it
  kNothing,
};

enum class LeftOut : std::uint8_t {
  kNot,
  kPattern,
  kNoDump,
  kOtherFileSystem,
  kPseudoFileSystem,
  kVolatile,
  kSwapFile,
  kCacheDirectory,
  kOwnData,
  kNotIncluded,
};
inline constexpr std::size_t kLeftOutReasons = 10;
std::string_view left_out_text(LeftOut reason);  // for a report: "swap file in use"
std::string_view left_out_name(LeftOut reason);  // for programs: "swap_file"

struct Decision {
  Take take = Take::kAll;
  LeftOut reason = LeftOut::kNot;
  std::uint32_t marks = 0;  // format::kMarkMountPoint, format::kMarkSubvolume
  bool operator==(const Decision&) const = default;
};

inline constexpr std::string_view kCacheTagName = "CACHEDIR.TAG";

// Immutable after create(): any thread may ask.
class Selection {
 public:
  // Reads the exclude files and /proc/swaps, and looks up the paths of `never` and of the system. `sources` are
  // absolute paths. kInvalid: a bad pattern, or a source inside a directory that is never taken.
  static Result<Selection> create(const SelectionOptions& options, const std::vector<std::string>& sources);

  bool has_path_rules() const { return !patterns_.empty() || !includes_.empty(); }
  bool has_includes() const { return !includes_.empty(); }
  // Whether an include pattern matches `path` (with all that is below it), or may match something below.
  bool included(std::string_view path, bool is_directory) const { return includes_.matches(path, is_directory); }
  bool may_include_below(std::string_view path) const { return includes_.may_match_below(path); }
  // `path` absolute. Pure, no allocation.
  bool excluded(std::string_view path, bool is_directory) const { return patterns_.matches(path, is_directory); }

  // Everything but patterns and cache tags. `parent_device` is the st_dev of the directory that holds the object, which
  // is `name` in `parent_fd`; these two are used only at a mount point or subvolume (an O_PATH open and fstatfs).
  Decision decide(const struct statx& st, std::uint64_t parent_device, int parent_fd, const char* name) const;
  // Whether the directory's CACHEDIR.TAG is a genuine one (a regular file with the signature). false where the option
  // is off.
  bool is_cache_directory(int directory_fd) const;

 private:
  struct Place {
    std::uint64_t device = 0, inode = 0;
    LeftOut reason = LeftOut::kNot;
  };
  Selection() = default;
  LeftOut place_rule(std::uint64_t inode, std::uint64_t device) const;  // the reason, when it is one of places_

  policy::PatternList patterns_, includes_;
  std::vector<Place> places_;   // a handful
  std::vector<Place> sources_;  // never subject to a rule
  bool one_file_system_ = false, skip_cache_directories_ = true, skip_nodump_ = false, skip_system_ = true;
};

}  // namespace coppice::capture
