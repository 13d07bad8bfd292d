// A plan's log file: one line for each thing that happened, for people and for grep.
//
//   2026-11-22T08:00:00+08:00 data[4711] start: coppice 0.1.0, process 4711, sources /data
//
// Opened anew by each run, so whatever rotates it needs to tell nobody. A line is one write to the end of the file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/file.h"
#include "policy/time_zone.h"

namespace coppice::tasks {

// "2026-11-22T08:00:00+08:00"
std::string render_stamp(Timestamp t, const policy::TimeZone& zone);

class PlanLog {
 public:
  // Makes the file (0600) and its directory (0700) when they are missing.
  static Result<PlanLog> open(const std::string& path, const std::string& plan, const policy::TimeZone& zone);
  // What is not printable is escaped: a file's name cannot forge a line.
  void line(Timestamp now, std::string_view text);
  // The first failure to write, which lines do not tell.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  PlanLog(platform::Fd file, std::string path, std::string name, const policy::TimeZone& zone)
      : file_(std::move(file)), path_(std::move(path)), name_(std::move(name)), zone_(zone) {}
  platform::Fd file_;
  std::string path_, name_;
  policy::TimeZone zone_;
  std::optional<Error> failure_;
};

}  // namespace coppice::tasks
