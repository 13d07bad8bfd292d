#include "tasks/plan_install.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "platform/file.h"

namespace coppice::tasks {

namespace {
constexpr std::size_t kFileBytesMax = 64u << 10;
constexpr std::string_view kWants = "/timers.target.wants/";

bool is_foreign(const std::string& path) {
  struct stat status {};
  return !path.empty() && ::stat(path.c_str(), &status) == 0 && status.st_uid != 0;
}

Result<std::string> link_target(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  if (length < 0) return fail_errno(errno, path);
  return std::string(target, static_cast<std::size_t>(length));
}

// What is at the file's path now. kNotFound: nothing. kConflict: it is not install's.
Result<std::string> present(const SchedulerFile& file) {
  struct stat status {};
  if (::lstat(file.path.c_str(), &status) != 0) return fail_errno(errno, file.path);
  const auto foreign = [&] {
    return fail(ErrorKind::kConflict, fmt::format("{} is there, and 'coppice plan install' did not write it", file.path));
  };
  if (!file.link_to.empty()) {
    if (!S_ISLNK(status.st_mode)) return foreign();
    return link_target(file.path);
  }
  if (!S_ISREG(status.st_mode)) return foreign();
  const Bytes bytes = TRY(platform::read_file(file.path, kFileBytesMax));
  if (!policy::is_written_by_install(as_text(bytes))) return foreign();
  return std::string(as_text(bytes));
}

SchedulerFile wants_link(const std::string& timer, const SchedulerPlaces& places) {
  return {.path = fmt::format("{}{}{}", places.unit_directory, kWants, timer), .text = "", .link_to = "../" + timer};
}
}  // namespace

bool systemd_runs() {
  struct stat status {};
  return ::lstat("/run/systemd/system", &status) == 0;
}

bool cron_is_installed() {
  return std::ranges::any_of(std::array{"/usr/sbin/cron", "/usr/sbin/crond", "/usr/bin/crond", "/usr/sbin/fcron", "/usr/sbin/bcron-start"},
                             [](const char* path) { return ::access(path, X_OK) == 0; });
}

policy::UnitFacts unit_facts(const policy::Plan& plan, const ReadConfiguration& configuration, const Places& places,
                             const std::string& vault, const std::string& log, const std::string& program,
                             const Environment& environment) {
  policy::UnitFacts facts;
  facts.program = program;
  facts.config_file = configuration.file;
  // systemd wants them so.
  facts.vault = real_path(vault);
  facts.state_directory = real_path(places.state_directory);
  facts.log_directory = real_path(log.substr(0, std::max<std::size_t>(log.rfind('/'), 1)));
  for (const std::string& source : plan.sources) {
    if (::access(source.c_str(), F_OK) == 0) facts.real_sources.push_back(real_path(source));
  }
  facts.foreign_owner = is_foreign(vault) || is_foreign(facts.state_directory) || is_foreign(facts.log_directory) || is_foreign(log);
  const auto passed_on = [&](const char* name, const std::string& value) { facts.environment.emplace_back(name, value); };
  if (environment("COPPICE_CONFIG_DIR")) passed_on("COPPICE_CONFIG_DIR", places.config_directory);
  if (environment("COPPICE_STATE_DIR")) passed_on("COPPICE_STATE_DIR", places.state_directory);
  if (configuration.content.vault != vault) passed_on("COPPICE_VAULT", vault);
  if (const auto file = environment("COPPICE_PASSPHRASE_FILE"); file && !file->empty()) passed_on("COPPICE_PASSPHRASE_FILE", *file);
  return facts;
}

Result<> make_log_directory(const policy::UnitFacts& facts) { return platform::make_directories(facts.log_directory, 0750); }

std::vector<SchedulerFile> unit_files(const policy::Plan& plan, const policy::UnitFacts& facts, const SchedulerPlaces& places) {
  const std::string name = policy::unit_name(plan.name);
  return {{.path = fmt::format("{}/{}.service", places.unit_directory, name), .text = policy::render_service(plan, facts), .link_to = ""},
          {.path = fmt::format("{}/{}.timer", places.unit_directory, name), .text = policy::render_timer(plan), .link_to = ""},
          wants_link(name + ".timer", places)};
}

Result<bool> put_file(const SchedulerFile& file) {
  const auto now = present(file);
  if (now && *now == (file.link_to.empty() ? file.text : file.link_to)) return false;
  if (!now && now.error().kind() != ErrorKind::kNotFound) return std::unexpected(now.error());
  TRY(platform::make_directories(file.path.substr(0, file.path.rfind('/')), 0755));
  if (file.link_to.empty()) {
    TRY(platform::write_file_durably(file.path, as_bytes(file.text), 0644));
    return true;
  }
  if (now && ::unlink(file.path.c_str()) != 0) return fail_errno(errno, file.path);
  if (::symlink(file.link_to.c_str(), file.path.c_str()) != 0) return fail_errno(errno, file.path);
  return true;
}

Result<bool> remove_file(const SchedulerFile& file) {
  const auto now = present(file);
  if (!now) {
    if (now.error().kind() == ErrorKind::kNotFound) return false;
    return std::unexpected(now.error());
  }
  if (::unlink(file.path.c_str()) != 0) return fail_errno(errno, file.path);
  return true;
}

Result<std::vector<SchedulerFile>> installed_units(const std::string& plan, const SchedulerPlaces& places) {
  std::vector<SchedulerFile> files;
  std::vector<std::string> names;
  const std::string prefix = policy::unit_name(plan);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(places.unit_directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !(name.ends_with(".service") || name.ends_with(".timer"))) continue;
    if (plan.empty() || name.substr(0, name.rfind('.')) == prefix) names.push_back(name);
  }
  if (error && error != std::errc::no_such_file_or_directory) return fail_errno(error.value(), places.unit_directory);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    SchedulerFile file{.path = places.unit_directory + "/" + name, .text = "", .link_to = ""};
    const auto now = present(file);
    if (!now && now.error().kind() == ErrorKind::kConflict && plan.empty()) continue;  // somebody's own, not asked for
    if (!now) return std::unexpected(now.error());
    if (name.ends_with(".timer")) files.push_back(wants_link(name, places));
    files.push_back(std::move(file));
  }
  return files;
}

Result<> check_no_other_configuration(const std::string& plan, const std::string& config_file, const SchedulerPlaces& places, bool cron) {
  const auto taken = [&](const std::string& path, const std::string& what) {
    return fail(ErrorKind::kConflict, fmt::format("{} runs {} of another configuration: put all plans into one, or take those away first by 'coppice plan uninstall'", path, what));
  };
  const auto service = present({.path = fmt::format("{}/{}.service", places.unit_directory, policy::unit_name(plan)), .text = "", .link_to = ""});
  if (service && !policy::service_is_of(*service, config_file)) return taken(policy::unit_name(plan) + ".service", "a plan");
  const std::string text = TRY(cron_text(places));
  const std::vector<std::string> plans = policy::plans_of_cron(text);
  const bool has_it = std::ranges::find(plans, plan) != plans.end();
  if (!plans.empty() && (cron || has_it) && !policy::cron_is_of(text, config_file)) return taken(places.cron_file, fmt::format("plans ({})", fmt::join(plans, ", ")));
  return {};
}

Result<std::string> cron_text(const SchedulerPlaces& places) {
  auto now = present({.path = places.cron_file, .text = "", .link_to = ""});
  if (!now && now.error().kind() == ErrorKind::kNotFound) return std::string();
  return now;
}

}  // namespace coppice::tasks
