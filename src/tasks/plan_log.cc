#include "plan_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foundation/encoding.h"

namespace coppice::tasks {

namespace {
// A full disk leaves a part of a line.
bool ends_within_a_line(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return false;
  const auto file = platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK);
  char last = '\n';
  return file && ::pread(file->get(), &last, 1, status.st_size - 1) == 1 && last != '\n';
}
}  // namespace

std::string render_stamp(Timestamp t, const policy::TimeZone& zone) {
  const std::int64_t offset = zone.wall(t).time_since_epoch().count() - t.seconds;
  std::string text = render_utc({.seconds = t.seconds + offset});
  if (text.ends_with('Z')) text.pop_back();
  const std::int64_t minutes = (offset < 0 ? -offset : offset) / 60;
  return text + fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

Result<PlanLog> PlanLog::open(const std::string& path, const std::string& plan, const policy::TimeZone& zone) {
  const std::size_t slash = path.find_last_of('/');
  if (slash != std::string::npos && slash > 0) TRY(platform::make_directories(path.substr(0, slash), 0700));
  auto file = TRY(platform::open_at(AT_FDCWD, path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0600));
  if (ends_within_a_line(path)) TRY(platform::write_full(file.get(), as_bytes("\n")));
  return PlanLog(std::move(file), path, fmt::format("{}[{}]", plan, getpid()), zone);
}

void PlanLog::line(Timestamp now, std::string_view text) {
  const std::string whole = fmt::format("{} {} {}\n", render_stamp(now, zone_), name_, render_printable(text));
  auto written = platform::write_full(file_.get(), as_bytes(whole));
  if (!written && !failure_) failure_ = std::move(written).error().within(path_);
}

}  // namespace coppice::tasks
