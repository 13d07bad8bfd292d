// What the host's scheduler is given to run a plan: a service and a timer for systemd, a line for cron. Pure: text out.
//
// The service may do what its plan needs and no more. Without hooks that is: read everything (also what only owners and
// kernels read), write to the vault, the state and the log. Hooks do what they do, so with hooks little is taken away, and
// the service sees the mounts of the host itself. A sandbox must never change what is backed up: what would hide or mount
// over a part of a source is left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/plan.h"

namespace coppice::policy {

// Of the host, all absolute paths.
struct UnitFacts {
  std::string program, config_file;
  std::string vault, state_directory, log_directory;
  std::vector<std::string> real_sources;  // the plan's, with symlinks resolved
  bool foreign_owner = false;             // something that is written to belongs to another user than root
  std::vector<std::pair<std::string, std::string>> environment;  // for the program: what differs from a service's own
};

// "coppice-plan-data": the name of service and timer without ".service" and ".timer". Escaped as systemd-escape does, but
// '-' stays: no '/' can be meant by it, and unit names are typed.
std::string unit_name(std::string_view plan);

// The first line of all files here: by it they are known when they are to be removed.
inline constexpr std::string_view kWrittenByInstall = "# Written by 'coppice plan install'.";
bool is_written_by_install(std::string_view text);

std::string render_service(const Plan& plan, const UnitFacts& facts);
std::string render_timer(const Plan& plan);  // which has a schedule

// A file for /etc/cron.d that asks every five minutes whether one of the plans is due; and the plans that such a file names.
std::string render_cron(const std::vector<std::string>& plans, const UnitFacts& facts);
std::vector<std::string> plans_of_cron(std::string_view text);
// Such a file with other plans; the rest of it stays as it is. Nothing when its lines are not as install wrote them.
std::optional<std::string> cron_with_plans(std::string_view text, const std::vector<std::string>& plans);
// Whether such a file, or a service, is of that configuration.
bool cron_is_of(std::string_view text, std::string_view config_file);
bool service_is_of(std::string_view text, std::string_view config_file);

}  // namespace coppice::policy
