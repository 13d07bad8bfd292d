#include "source_tree.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

namespace coppice::capture {
namespace {

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> real(::realpath(path.c_str(), nullptr), &free);
  if (!real) return fail_errno(errno, path);
  return std::string(real.get());
}

}  // namespace

Result<std::vector<std::string>> absolute_sources(const std::vector<std::string>& sources) {
  std::vector<std::string> absolute;
  for (const std::string& source : sources) {
    if (source.empty()) return fail(ErrorKind::kInvalid, "a source is an empty path");
    const std::size_t slash = source.find_last_of('/');
    const std::string last = slash == std::string::npos ? source : source.substr(slash + 1);
    if (last.empty() || last == "." || last == "..") {
      absolute.push_back(TRY(real_path(source)));
      continue;
    }
    const std::string parent = TRY(within(real_path(slash == std::string::npos ? "." : slash == 0 ? "/" : source.substr(0, slash)), source));
    absolute.push_back((parent == "/" ? "" : parent) + "/" + last);
    struct stat st;
    if (::lstat(absolute.back().c_str(), &st) != 0) return fail_errno(errno, source);
  }
  return absolute;
}

SourceTree make_source_tree(const std::vector<std::string>& absolute) {
  SourceTree root;
  for (const std::string& path : absolute) {
    SourceTree* at = &root;
    std::size_t begin = 0;
    while (!at->whole) {
      begin = path.find_first_not_of('/', begin);
      if (begin == std::string::npos) break;
      const std::size_t end = std::min(path.find('/', begin), path.size());
      at = &at->children[path.substr(begin, end - begin)];
      begin = end;
    }
    if (!at->whole) {
      at->whole = true;
      at->children.clear();
    }
  }
  return root;
}

}  // namespace coppice::capture
