// The sources of one backup as a tree from "/": intermediate directories hold only the way, leaves are taken whole.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "foundation/result.h"

namespace coppice::capture {

struct SourceTree {
  std::map<std::string, SourceTree> children;   // by name, in byte order
  bool whole = false;                           // a source: taken with all that is below
};

// Absolute, clean paths. The parent of a source is resolved (symlinks on the way are followed, so that the tree records real places); the
// source itself is not, unless it ends in "/". kNotFound names the source that is not there.
Result<std::vector<std::string>> absolute_sources(const std::vector<std::string>& sources);
// Sources inside other sources vanish in them.
SourceTree make_source_tree(const std::vector<std::string>& absolute);

}  // namespace coppice::capture
