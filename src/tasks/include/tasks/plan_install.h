// Gives plans to the host's scheduler, and takes them back: the files of systemd or cron. The programs that read them are
// told by the caller.
#pragma once

#include <string>
#include <vector>

#include "policy/units.h"
#include "tasks/places.h"

namespace coppice::tasks {

struct SchedulerPlaces {
  std::string unit_directory = "/etc/systemd/system";
  std::string cron_file = "/etc/cron.d/coppice";
};
// Whether systemd runs this host.
bool systemd_runs();
bool cron_is_installed();

// What the unit files of a plan say of this host. The environment of this process counts where it moves configuration,
// state or vault away from where a service would look.
policy::UnitFacts unit_facts(const policy::Plan& plan, const ReadConfiguration& configuration, const Places& places,
                             const std::string& vault, const std::string& log, const std::string& program,
                             const Environment& environment);

// Makes the directory of the log (0750) when it is missing: the sandbox would not let a run do it.
Result<> make_log_directory(const policy::UnitFacts& facts);

// A file of the scheduler, as it is to be. An empty text: it is to be removed. `link_to`: a symlink instead.
struct SchedulerFile {
  std::string path, text, link_to;
};
std::vector<SchedulerFile> unit_files(const policy::Plan& plan, const policy::UnitFacts& facts, const SchedulerPlaces& places);

// True: it was written; false: it is so already. kConflict: a file is there that 'plan install' did not write.
Result<bool> put_file(const SchedulerFile& file);
// True: it was removed; false: there is none. Nothing that install did not write is ever removed: kConflict.
Result<bool> remove_file(const SchedulerFile& file);

// The files of systemd that install wrote for this plan, or for any (empty), whether the configuration still has it or not.
// Services before their timers; a link before what it names.
Result<std::vector<SchedulerFile>> installed_units(const std::string& plan, const SchedulerPlaces& places);
// kConflict: systemd or cron runs a plan of that name by another configuration, or cron has a line of another one at all (`cron`).
Result<> check_no_other_configuration(const std::string& plan, const std::string& config_file, const SchedulerPlaces& places, bool cron);
// Cron's file; empty when there is none. kConflict: it is not install's.
Result<std::string> cron_text(const SchedulerPlaces& places);

}  // namespace coppice::tasks
