#include "tasks/places.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "platform/file.h"

namespace coppice::tasks {

namespace {
constexpr std::size_t kConfigurationBytesMax = 1u << 20;

std::optional<std::string> absolute_setting(const Environment& environment, const char* name) {
  auto value = environment(name);
  if (!value || value->empty() || value->front() != '/') return std::nullopt;  // XDG: a relative path is to be ignored
  while (value->size() > 1 && value->back() == '/') value->pop_back();
  return value;
}
}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (!value) return std::nullopt;
    return std::string(value);
  };
}

Result<Places> find_places(const Environment& environment, bool is_root) {
  Places places;
  const auto choose = [&](const char* own, const char* xdg, const char* below_home,
                          const char* of_root) -> Result<std::string> {
    if (auto chosen = environment(own); chosen && !chosen->empty()) {
      if (chosen->front() != '/')
        return fail(ErrorKind::kInvalid, fmt::format("{} must be an absolute path, not '{}'", own, *chosen));
      return *chosen;
    }
    if (is_root) return std::string(of_root);
    if (auto base = absolute_setting(environment, xdg)) return *base + "/coppice";
    if (auto home = absolute_setting(environment, "HOME")) return *home + below_home + "/coppice";
    return fail(ErrorKind::kInvalid,
                fmt::format("neither {} nor HOME is set, so there is no place for this host's keys and state", xdg));
  };
  places.config_directory = TRY(choose("COPPICE_CONFIG_DIR", "XDG_CONFIG_HOME", "/.config", "/etc/coppice"));
  places.state_directory = TRY(choose("COPPICE_STATE_DIR", "XDG_STATE_HOME", "/.local/state", "/var/lib/coppice"));
  return places;
}

Result<ReadConfiguration> read_configuration(const std::string& option, const Environment& environment,
                                             const Places& places) {
  std::string named = option;
  if (named.empty()) named = environment("COPPICE_CONFIG").value_or("");
  ReadConfiguration configuration;
  configuration.file = TRY(absolute_path(named.empty() ? places.config_file() : named));
  auto bytes = platform::read_file(configuration.file, kConfigurationBytesMax);
  if (!bytes) {
    if (bytes.error().kind() == ErrorKind::kNotFound && named.empty()) return configuration;
    return std::unexpected(std::move(bytes).error().within("reading the configuration"));
  }
  configuration.content = TRY(policy::parse_configuration(as_text(*bytes), configuration.file));
  return configuration;
}

Result<> check_hooks_are_ours(const ReadConfiguration& configuration) {
  const bool any = std::ranges::any_of(configuration.content.plans, [](const policy::Plan& plan) { return !plan.before.empty() || !plan.after.empty(); });
  struct stat status {};
  if (!any || geteuid() != 0 || ::stat(configuration.file.c_str(), &status) != 0) return {};
  if (status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return fail(ErrorKind::kDenied, fmt::format("{} names hooks, which root runs, and can be changed by others (it is of user {}, mode {:04o}): chown root and "
                                              "chmod go-w it first",
                                              configuration.file, status.st_uid, status.st_mode & 07777));
}

Result<std::string> choose_vault(const std::string& option, const std::string& config_option,
                                 const Environment& environment, const Places& places) {
  if (!option.empty()) return absolute_path(option);
  if (const auto set = environment("COPPICE_VAULT"); set && !set->empty()) return absolute_path(*set);
  const ReadConfiguration configuration = TRY(read_configuration(config_option, environment, places));
  if (!configuration.content.vault.empty()) return configuration.content.vault;
  return fail(ErrorKind::kNotFound, "no vault is named: not by --vault, nor COPPICE_VAULT, nor " + configuration.file);
}

std::string real_path(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  return error || path.empty() ? path : real.string();
}

Result<std::string> absolute_path(const std::string& path) {
  std::string full = path;
  if (full.empty()) return fail(ErrorKind::kInvalid, "an empty path");
  if (full.front() != '/') {
    char working[PATH_MAX];
    if (!getcwd(working, sizeof working)) return fail_errno(errno, "finding the working directory");
    full = std::string(working) + "/" + full;
  }
  std::string clean;
  for (std::size_t at = 0; at < full.size();) {
    const std::size_t end = std::min(full.find('/', at), full.size());
    const std::string_view part(full.data() + at, end - at);
    if (!part.empty() && part != ".") clean.append("/").append(part);
    at = end + 1;
  }
  return clean.empty() ? "/" : clean;
}

}  // namespace coppice::tasks
