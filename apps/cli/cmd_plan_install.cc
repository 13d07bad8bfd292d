// coppice plan install, coppice plan uninstall: plans and the host's scheduler.
#include <climits>
#include <unistd.h>

#include <algorithm>

#include "cli.h"
#include "platform/process.h"
#include "tasks/plan_install.h"
#include "tasks/plan_run.h"

namespace coppice::cli {

namespace {
struct InstallOptions {
  std::vector<std::string> names;
  std::string root, unit_directory, scheduler = "auto";
  bool dry_run = false;

  bool elsewhere() const { return !root.empty() || !unit_directory.empty(); }
  bool systemd() const { return scheduler == "systemd" || (scheduler == "auto" && (!unit_directory.empty() || tasks::systemd_runs())); }
  Result<tasks::SchedulerPlaces> places() const {
    tasks::SchedulerPlaces places;
    if (!root.empty()) {
      const std::string base = TRY(tasks::absolute_path(root));
      places.unit_directory = base + places.unit_directory;
      places.cron_file = base + places.cron_file;
    }
    if (!unit_directory.empty()) places.unit_directory = TRY(tasks::absolute_path(unit_directory));
    return places;
  }
};

// What is done to files, told as it is done; and systemd, when it is the one of this host.
class Work {
 public:
  Work(const Common& common, const InstallOptions& options) : common_(common), options_(options) {}

  Result<> put(const tasks::SchedulerFile& file) {
    if (options_.dry_run) {
      tell(file, "would_write");
      if (!common_.json) print(file.link_to.empty() ? file.text + "\n" : "");
      return {};
    }
    const bool written = TRY(tasks::put_file(file));
    changed_ = changed_ || written;
    tell(file, written ? "written" : "unchanged");
    return {};
  }
  Result<> remove(const tasks::SchedulerFile& file) {
    if (!options_.dry_run && !TRY(tasks::remove_file(file))) return {};
    changed_ = true;
    tell(file, options_.dry_run ? "would_remove" : "removed");
    return {};
  }
  bool changed() const { return changed_; }

  Result<> systemctl(std::vector<std::string> words) const {
    if (options_.dry_run || options_.elsewhere() || !tasks::systemd_runs()) return {};
    platform::ProcessRequest request{.argv = {"systemctl", "--quiet"}};
    request.argv.insert(request.argv.end(), words.begin(), words.end());
    request.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    request.timeout = std::chrono::seconds(60);
    const auto outcome = TRY(platform::run_process(request, nullptr));
    if (outcome.good()) return {};
    return fail(ErrorKind::kUnavailable, fmt::format("systemctl {} {}: {}", words.front(), outcome.describe(), outcome.output));
  }

 private:
  void tell(const tasks::SchedulerFile& file, std::string_view action) const {
    if (common_.json) {
      Json line{{"type", "file"}, {"action", action}};
      put_path(line, "path", file.path);
      if (options_.dry_run && !file.text.empty()) line["text"] = file.text;
      if (!file.link_to.empty()) line["link_to"] = file.link_to;
      emit(line);
    } else if (options_.dry_run || !common_.quiet) {
      std::string shown_action(action);
      std::replace(shown_action.begin(), shown_action.end(), '_', ' ');
      print(fmt::format("{}{}: {}{}\n", options_.dry_run ? "# " : "", shown_action, shown(file.path),
                        file.link_to.empty() ? "" : " -> " + file.link_to));
    }
  }

  const Common& common_;
  const InstallOptions& options_;
  bool changed_ = false;
};

// systemd's half of an uninstall: `plan` empty means every one. True: there was something.
Result<bool> remove_units(Work& work, const std::string& plan, const tasks::SchedulerPlaces& places) {
  const auto files = TRY(tasks::installed_units(plan, places));
  for (const auto& file : files) {
    if (!file.link_to.empty()) continue;
    // systemd forgets too when the timer last fired (installed anew, it would make up for what was due in between), and that
    // the service failed. Nothing is lost if it does not.
    const std::string unit = file.path.substr(file.path.rfind('/') + 1);
    if (unit.ends_with(".timer")) {
      TRY(work.systemctl({"stop", unit}));
      static_cast<void>(work.systemctl({"clean", "--what=state", unit}));
    } else {
      static_cast<void>(work.systemctl({"reset-failed", unit}));
    }
  }
  for (const auto& file : files) TRY(work.remove(file));
  return !files.empty();
}

// Takes these plans from cron's file, and the file when it has no others. True: there was something.
Result<bool> remove_from_cron(Work& work, const std::vector<std::string>& plans, const tasks::SchedulerPlaces& places) {
  const std::string text = TRY(tasks::cron_text(places));
  std::vector<std::string> left = policy::plans_of_cron(text);
  if (std::erase_if(left, [&](const std::string& name) { return std::ranges::find(plans, name) != plans.end(); }) == 0) return false;
  tasks::SchedulerFile file{.path = places.cron_file, .text = "", .link_to = ""};
  if (left.empty()) {
    TRY(work.remove(file));
  } else {
    auto changed = policy::cron_with_plans(text, left);
    if (!changed)
      return fail(ErrorKind::kConflict, fmt::format("{} was changed by hand: take {} out of its lines", shown(places.cron_file), fmt::join(plans, ", ")));
    file.text = *std::move(changed);
    TRY(work.put(file));
  }
  return true;
}

Result<std::string> own_path() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) return fail_errno(errno, "finding this program");
  return std::string(path, static_cast<std::size_t>(length));
}

// Of a plan of the configuration; of none (cron's file is the same for all): what holds for any.
Result<policy::UnitFacts> facts_of(const Common& common, const ConfiguredPlans& plans, const policy::Plan& plan) {
  const std::string vault = TRY(plans.vault(common)), program = TRY(own_path());
  return tasks::unit_facts(plan, {.file = plans.file, .content = plans.configuration}, plans.places, vault,
                           tasks::plan_log_path(plan, plans.places, true), program, tasks::process_environment());
}

Result<> install(const Common& common, const InstallOptions& options, const ConfiguredPlans& plans,
                 const std::vector<const policy::Plan*>& chosen) {
  const auto places = TRY(options.places());
  Work work(common, options);
  for (const policy::Plan* plan : chosen) TRY(tasks::check_no_other_configuration(plan->name, plans.file, places, !options.systemd()));
  if (options.systemd()) {
    for (const policy::Plan* plan : chosen) {
      const auto facts = TRY(facts_of(common, plans, *plan));
      for (const auto& file : tasks::unit_files(*plan, facts, places)) TRY(work.put(file));
      if (!options.dry_run && !options.elsewhere()) TRY(tasks::make_log_directory(facts));
      TRY(remove_from_cron(work, {plan->name}, places));   // two schedulers would run it twice
    }
    if (work.changed()) TRY(work.systemctl({"daemon-reload"}));
    for (const policy::Plan* plan : chosen) TRY(work.systemctl({"restart", policy::unit_name(plan->name) + ".timer"}));
    return {};
  }
  const std::string text = TRY(tasks::cron_text(places));
  std::vector<std::string> names = policy::plans_of_cron(text);
  std::erase_if(names, [&](const std::string& name) { return !plans.configuration.find(name); });
  for (const policy::Plan* plan : chosen) {
    TRY(remove_units(work, plan->name, places));
    if (std::find(names.begin(), names.end(), plan->name) == names.end()) names.push_back(plan->name);
  }
  std::sort(names.begin(), names.end());
  const auto facts = TRY(facts_of(common, plans, *chosen.front()));
  return work.put({.path = places.cron_file, .text = policy::render_cron(names, facts), .link_to = ""});
}

int run_plan_install(const Common& common, const InstallOptions& options) {
  const auto plans = read_plans(common);
  if (!plans) return report(common, plans.error());
  auto chosen = plans->choose(options.names);
  if (!chosen) return report(common, chosen.error());
  for (const policy::Plan* plan : *chosen) {
    if (plan->schedule || options.names.empty()) continue;
    return report(common, Error(ErrorKind::kInvalid, fmt::format("plan {} has no schedule: {}:{}", plan->name, plans->file, plan->line)),
                  "write schedule = \"08:00\" there, or run it by hand: coppice plan run " + plan->name);
  }
  std::erase_if(*chosen, [](const policy::Plan* plan) { return !plan->schedule; });
  if (chosen->empty())
    return report(common, Error(ErrorKind::kNotFound, fmt::format("no plan in {} has a schedule", plans->file)), "");
  if (!options.elsewhere() && !options.dry_run && !is_root())
    return report(common, Error(ErrorKind::kDenied, "only root may install plans on this host"), "--dry-run shows what would be written");
  if (auto done = install(common, options, *plans, *chosen); !done)
    return report(common, done.error(), done.error().kind() == ErrorKind::kNotFound ? opening_hint(common, done.error()) : "");
  if (!options.systemd() && !options.elsewhere() && !options.dry_run && !tasks::cron_is_installed())
    note("coppice: warning: neither systemd nor a cron is on this host, so nothing will start the plans: install cron, or have "
         "'coppice plan due' called every five minutes\n");
  if (!common.json && !common.quiet && !options.dry_run)
    note(fmt::format("'coppice plan test' tells whether they can run{}.\n",
                     options.systemd() ? ", 'systemctl list-timers' when they do" : ""));
  return kDone;
}

Result<bool> uninstall(const Common& common, const InstallOptions& options) {
  const auto places = TRY(options.places());
  Work work(common, options);
  bool found = false;
  const std::vector<std::string> wanted = options.names.empty() ? std::vector<std::string>{""} : options.names;
  for (const std::string& name : wanted) {
    const bool units = TRY(remove_units(work, name, places));
    const auto of_cron = name.empty() ? policy::plans_of_cron(TRY(tasks::cron_text(places))) : std::vector{name};
    const bool lines = TRY(remove_from_cron(work, of_cron, places));
    if (!name.empty() && !units && !lines)
      return fail(ErrorKind::kNotFound, fmt::format("plan {} is not installed", shown(name)));
    found = found || units || lines;
  }
  if (work.changed()) TRY(work.systemctl({"daemon-reload"}));
  return found;
}

int run_plan_uninstall(const Common& common, const InstallOptions& options) {
  if (!options.elsewhere() && !options.dry_run && !is_root())
    return report(common, Error(ErrorKind::kDenied, "only root may uninstall plans on this host"), "--dry-run shows what would be removed");
  const auto done = uninstall(common, options);
  if (!done) return report(common, done.error());
  if (!*done && !common.json && !common.quiet) print("Nothing was installed.\n");
  return kDone;
}

void add_install_options(CLI::App* command, InstallOptions& options) {
  command->add_option("plan", options.names, "Only these plans")->type_name("NAME");
  command->add_flag("-n,--dry-run", options.dry_run, "Show what would be done to which files, and do nothing");
  command->add_option("--root", options.root, "Below this directory instead of /; nothing is started")->type_name("DIR");
  command->add_option("--unit-dir", options.unit_directory, "Units in this directory; nothing is started")->type_name("DIR");
}
}  // namespace

void add_plan_install(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(
      parent, "install", "Have the host run the plans by their schedules: systemd timers, else a line for cron",
      {"coppice plan install               all that have a schedule", "coppice plan install data --dry-run"},
      {.remark = "After a change of schedule or sources in the configuration, install again."});
  auto options = std::make_shared<InstallOptions>();
  add_install_options(command, *options);
  command->add_option("--scheduler", options->scheduler, "auto: systemd where it runs, else cron")
      ->type_name("NAME")
      ->transform(CLI::IsMember({"auto", "systemd", "cron"}))
      ->capture_default_str();
  add_common_options(cli, command, Access::kStore);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_plan_install(cli.common, *options); }; });
}

void add_plan_uninstall(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(
      parent, "uninstall", "Take plans away from the host's scheduler: removes what install wrote, and nothing else",
      {"coppice plan uninstall data", "coppice plan uninstall            all of them"});
  auto options = std::make_shared<InstallOptions>();
  add_install_options(command, *options);
  add_common_options(cli, command, Access::kStore);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_plan_uninstall(cli.common, *options); }; });
}

}  // namespace coppice::cli
