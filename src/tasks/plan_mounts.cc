#include "plan_mounts.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "policy/paths.h"

namespace coppice::tasks {

namespace {
std::string above(const std::string& path) { return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)); }

// Of the directory at `path`; nothing: there is none.
std::optional<dev_t> device_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return status.st_dev;
}

// As far as it is there. A symlink at its end is taken as such by a backup.
std::string resolved(const std::filesystem::path& path) {
  std::error_code error;
  const auto way = std::filesystem::weakly_canonical(path.parent_path(), error);
  if (error) return path;
  return path.has_filename() ? way / path.filename() : way;
}
}  // namespace

std::vector<std::string> mount_points_of(const std::vector<std::string>& sources) {
  std::vector<std::string> points;
  for (const std::string& source : sources) {
    std::string path = resolved(source);
    if (!device_of(path)) path = above(path);  // a file: overlayfs gives it another number
    const auto device = device_of(path);
    while (device && path != "/" && device_of(above(path)) == device) path = above(path);
    if (device && path != "/") points.push_back(std::move(path));
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return points;
}

std::vector<std::string> unmounted_of(const std::vector<std::string>& known, const std::vector<std::string>& sources) {
  std::vector<std::string> unmounted;
  for (const std::string& point : known) {
    const auto device = device_of(point);
    const bool wanted = std::any_of(sources.begin(), sources.end(), [&](const auto& source) {
      return policy::lies_in(source, point) || policy::lies_in(resolved(source), point);
    });
    if (wanted && device && device == device_of(above(point))) unmounted.push_back(point);
  }
  return unmounted;
}

}  // namespace coppice::tasks
