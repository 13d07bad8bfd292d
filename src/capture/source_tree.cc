#include "source_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <memory>

#include "capture/file_reader.h"

namespace coppice::capture {
namespace {

// Symlinks resolved as far as the path exists.
Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> real(::realpath(path.c_str(), nullptr), &free);
  if (real) return std::string(real.get());
  std::error_code error;
  std::string clean = std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error).string();
  if (error) return fail_errno(error.value(), path);
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

}  // namespace

Result<Sources> find_sources(const std::vector<std::string>& given) {
  Sources sources;
  for (const std::string& source : given) {
    if (source.empty()) return fail(ErrorKind::kInvalid, "a source is an empty path");
    const std::size_t slash = source.find_last_of('/');
    const std::string last = slash == std::string::npos ? source : source.substr(slash + 1);
    if (last.empty() || last == "." || last == "..") {
      sources.paths.push_back(TRY(real_path(source)));
    } else {
      const std::string parent = TRY(real_path(slash == std::string::npos ? "." : slash == 0 ? "/" : source.substr(0, slash)));
      sources.paths.push_back((parent == "/" ? "" : parent) + "/" + last);
    }
  }
  std::ranges::sort(sources.paths);
  sources.paths.erase(std::ranges::unique(sources.paths).begin(), sources.paths.end());
  for (const std::string& path : sources.paths) {
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) continue;   // the scan tells
      sources.missing.push_back(path);
    } else if (S_ISLNK(st.st_mode) && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      sources.links.push_back(path);
    }
  }
  if (sources.missing.size() == sources.paths.size()) return fail(ErrorKind::kNotFound, sources.missing.front() + ": there is no such file or directory");
  return sources;
}

// Not by reading the content: that is the walk's work. Times of access stay.
static int read_error(const std::string& path) {
  struct statx status;
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status) != 0) return errno;
  if (!S_ISDIR(status.stx_mode) && !S_ISREG(status.stx_mode)) return 0;
  platform::Fd fd = open_to_read(AT_FDCWD, path.c_str(), status);
  if (!fd) return errno == EWOULDBLOCK ? 0 : errno;   // a lease: the walk waits for its holder
  DIR* const list = S_ISDIR(status.stx_mode) ? ::fdopendir(fd.get()) : nullptr;
  if (!list) return 0;
  (void)fd.release();   // closedir closes it
  errno = 0;
  const int error = ::readdir(list) ? 0 : errno;
  ::closedir(list);
  return error;
}

std::vector<std::string> unreadable_of(const std::vector<std::string>& paths) {
  std::vector<std::string> bad;
  std::ranges::copy_if(paths, std::back_inserter(bad), [](const std::string& path) { return read_error(path) != 0; });
  return bad;
}

SourceTree make_source_tree(const std::vector<std::string>& absolute) {
  SourceTree root;
  for (const std::string& path : absolute) {
    SourceTree* at = &root;
    for (std::size_t begin = 0; (begin = path.find_first_not_of('/', begin)) != std::string::npos;) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      at = &at->children[path.substr(begin, end - begin)];
      begin = end;
    }
    at->whole = true;
  }
  return root;
}

}  // namespace coppice::capture
