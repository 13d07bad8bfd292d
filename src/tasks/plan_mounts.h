// The file systems that a plan's sources stand on. A directory that was one of its own at the last good run and is none now is
// the empty place where it belongs: its snapshot would be good, and hold nothing.
#pragma once

#include <string>
#include <vector>

namespace coppice::tasks {

// Where they begin, other than at "/"; sorted. By device numbers: a file system that is seen at a second place of itself is
// none of its own.
std::vector<std::string> mount_points_of(const std::vector<std::string>& sources);

// Those of `known` that are there, are none now, and have a source at or below them.
std::vector<std::string> unmounted_of(const std::vector<std::string>& known, const std::vector<std::string>& sources);

}  // namespace coppice::tasks
