// The sources of one backup as a tree from "/": intermediate directories hold only the way, leaves are taken whole.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "foundation/result.h"

namespace coppice::capture {

struct SourceTree {
  std::map<std::string, SourceTree> children;   // by name, in byte order
  bool whole = false;                           // a source: taken with all that is below; `children` then are sources in it
};

struct Sources {
  std::vector<std::string> paths;               // absolute, clean, sorted, each once; those that are missing too
  std::vector<std::string> missing;             // of these, as the file system says now
  std::vector<std::string> links;               // symlinks to directories: only the link is taken
};
// The parent of a source is resolved (symlinks on the way are followed, so that the tree records real places); the source itself is not,
// unless it ends in "/". kNotFound when none of them is there.
Result<Sources> find_sources(const std::vector<std::string>& given);
// Those of `paths` that are there and cannot be read at all: a dead network file system, a broken disk, no permission.
std::vector<std::string> unreadable_of(const std::vector<std::string>& paths);
// A source inside another keeps its place in the tree: it is taken whatever the rules say of it.
SourceTree make_source_tree(const std::vector<std::string>& absolute);

}  // namespace coppice::capture
