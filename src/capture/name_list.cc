#include "name_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "capture/selection.h"

namespace coppice::capture {
namespace {

constexpr std::size_t kListingBytes = 256u << 10, kRunBytesMin = 16u << 10;

Result<platform::Fd> open_unlinked(const std::string& directory) {
  const char* temporary = std::getenv("TMPDIR");
  for (const std::string& place : {directory, std::string(temporary ? temporary : ""), std::string("/tmp")}) {
    if (place.empty()) continue;
    if (Result<platform::Fd> file = platform::open_at(AT_FDCWD, place.c_str(), O_TMPFILE | O_RDWR, 0600)) return file;
    std::string pattern = platform::join_path(place, "coppice-names-XXXXXX");
    platform::Fd file(::mkostemp(pattern.data(), O_CLOEXEC));
    if (!file) continue;
    ::unlink(pattern.c_str());
    return file;
  }
  return fail_errno(errno, "making a temporary file for the names of a huge directory");
}

bool later(const auto* a, const auto* b) { return a->name > b->name; }

}  // namespace

void NameList::add(std::string_view name) {
  starts_.push_back(static_cast<std::uint32_t>(text_.size()));
  text_.append(name);
  text_.push_back('\0');
  holds_cache_tag_ |= name == kCacheTagName;
}

void NameList::sort() {
  const char* text = text_.data();
  std::ranges::sort(starts_, [text](std::uint32_t a, std::uint32_t b) { return std::strcmp(text + a, text + b) < 0; });
}

Result<NameList> NameList::read(int directory_fd, const std::string& spill_directory, std::size_t memory_bytes) {
  thread_local std::vector<char> buffer(kListingBytes);
  NameList list;
  for (;;) {
    const long n = ::syscall(SYS_getdents64, directory_fd, buffer.data(), buffer.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "listing the directory");
    }
    if (n == 0) break;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const struct dirent64*>(buffer.data() + at);
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") list.add(name);
      at += entry->d_reclen;
    }
    if (list.text_.size() + list.starts_.size() * sizeof list.starts_[0] > memory_bytes) TRY(list.spill(spill_directory));
  }
  if (!list.file_) {
    list.sort();
    return list;
  }
  TRY(list.spill(spill_directory));
  TRY(list.begin_merge(memory_bytes));
  return list;
}

NameList NameList::of(const std::vector<std::string>& names) {
  NameList list;
  for (const std::string& name : names) list.add(name);
  list.sort();
  return list;
}

Result<> NameList::spill(const std::string& directory) {
  if (starts_.empty()) return {};
  if (!file_) file_ = TRY(open_unlinked(directory));
  sort();
  std::string sorted;
  sorted.reserve(text_.size());
  for (const std::uint32_t start : starts_) sorted.append(text_.data() + start).push_back('\0');
  TRY(within(platform::pwrite_full(file_.get(), as_bytes(sorted), file_bytes_), "keeping the names of a huge directory"));
  runs_.push_back({.at = file_bytes_, .end = file_bytes_ + sorted.size(), .buffer = {}, .begin = 0, .name = {}});
  file_bytes_ += sorted.size();
  text_.clear();
  starts_.clear();
  return {};
}

Result<> NameList::begin_merge(std::size_t memory_bytes) {
  text_ = {};
  starts_ = {};
  run_bytes_ = std::max(kRunBytesMin, memory_bytes / 4 / runs_.size());
  for (Run& run : runs_)
    if (TRY(advance(run))) heap_.push_back(&run);
  std::ranges::make_heap(heap_, later<Run, Run>);
  return {};
}

// To the run's next name; false at its end.
Result<bool> NameList::advance(Run& run) {
  run.begin += run.name.empty() ? 0 : run.name.size() + 1;
  std::size_t end = run.buffer.find('\0', run.begin);
  if (end == std::string::npos) {
    run.buffer.erase(0, run.begin);
    run.begin = 0;
    const std::size_t kept = run.buffer.size(), more = static_cast<std::size_t>(std::min<std::uint64_t>(run.end - run.at, run_bytes_ - std::min(kept, run_bytes_)));
    if (more == 0) return false;
    run.buffer.resize(kept + more);
    const MutableByteSpan into(reinterpret_cast<std::byte*>(run.buffer.data()) + kept, more);
    if (TRY(platform::pread_full(file_.get(), into, run.at)) != more) return fail(ErrorKind::kCorrupt, "the file with the names of a huge directory was cut short");
    run.at += more;
    end = run.buffer.find('\0');
    if (end == std::string::npos) return fail(ErrorKind::kCorrupt, "a name in the file of a huge directory has no end");
  }
  run.name = std::string_view(run.buffer).substr(run.begin, end - run.begin);
  return true;
}

Result<std::optional<std::string_view>> NameList::next_merged() {
  while (!heap_.empty()) {
    std::ranges::pop_heap(heap_, later<Run, Run>);
    Run& run = *heap_.back();
    const bool again = run.name == last_;   // a file system that lists a name twice would break the order of the tree
    last_ = run.name;
    if (TRY(advance(run)))
      std::ranges::push_heap(heap_, later<Run, Run>);
    else
      heap_.pop_back();
    if (!again) return std::optional<std::string_view>(last_);
  }
  return std::optional<std::string_view>();
}

Result<std::optional<std::string_view>> NameList::next() {
  if (file_) return next_merged();
  for (; next_ < starts_.size(); ++next_) {
    const char* name = text_.data() + starts_[next_];
    if (next_ > 0 && std::strcmp(name, text_.data() + starts_[next_ - 1]) == 0) continue;
    ++next_;
    return std::optional<std::string_view>(name);
  }
  return std::optional<std::string_view>();
}

}  // namespace coppice::capture
