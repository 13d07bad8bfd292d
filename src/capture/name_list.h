// The names in one directory, in byte order, each once, within a budget of memory: what is beyond it goes, sorted, to an unlinked file and
// comes back merged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/result.h"
#include "platform/file.h"

namespace coppice::capture {

inline constexpr std::size_t kNameListBytes = 4u << 20;

// Not thread-safe.
class NameList {
 public:
  // Every name but "." and ".." of the open directory. `spill_directory`: where the file may be made (else TMPDIR, else /tmp).
  static Result<NameList> read(int directory_fd, const std::string& spill_directory, std::size_t memory_bytes = kNameListBytes);
  // These, sorted.
  static NameList of(const std::vector<std::string>& names);
  // The next name, valid until the next call; nothing at the end.
  Result<std::optional<std::string_view>> next();
  // Whether `name` was among them.
  bool holds_cache_tag() const { return holds_cache_tag_; }
  std::size_t memory_bytes() const { return text_.capacity() + starts_.capacity() * sizeof starts_[0] + runs_.size() * run_bytes_; }

 private:
  struct Run {                       // a sorted stretch of the file
    std::uint64_t at = 0, end = 0;   // what is not read yet
    std::string buffer;
    std::size_t begin = 0;           // of the current name in the buffer
    std::string_view name;
  };
  void add(std::string_view name);
  void sort();
  Result<> spill(const std::string& directory);
  Result<> begin_merge(std::size_t memory_bytes);
  Result<bool> advance(Run& run);
  Result<std::optional<std::string_view>> next_merged();

  std::string text_;                 // names, each with a NUL behind it
  std::vector<std::uint32_t> starts_;
  std::size_t next_ = 0;
  bool holds_cache_tag_ = false;
  platform::Fd file_;
  std::uint64_t file_bytes_ = 0;
  std::size_t run_bytes_ = 0;        // of each run's buffer
  std::vector<Run> runs_;
  std::vector<Run*> heap_;           // the run with the least name in front
  std::string last_;
};

}  // namespace coppice::capture
