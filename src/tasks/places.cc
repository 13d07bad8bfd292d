#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "tasks/places.h"

#include <fmt/format.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

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

Result<Configuration> parse_configuration(std::string_view text) {
  Configuration configuration;
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return fail(ErrorKind::kInvalid,
                fmt::format("line {}: {}", parsed.error().source().begin.line, parsed.error().description()));
  }
  for (const auto& [key, value] : parsed.table()) {
    if (key.str() != "vault") {
      return fail(ErrorKind::kInvalid,
                  fmt::format("line {}: there is no setting '{}' (known: vault)", key.source().begin.line, key.str()));
    }
    const auto vault = value.value<std::string>();
    if (!vault || vault->empty() || vault->front() != '/') {
      return fail(ErrorKind::kInvalid,
                  fmt::format("line {}: vault must be an absolute path in quotes", value.source().begin.line));
    }
    configuration.vault = *vault;
  }
  return configuration;
}

Result<Configuration> read_configuration(const std::string& path) {
  auto bytes = platform::read_file(path, kConfigurationBytesMax);
  if (!bytes) {
    if (bytes.error().kind() == ErrorKind::kNotFound) return Configuration{};
    return std::unexpected(std::move(bytes).error());
  }
  return within(parse_configuration(as_text(*bytes)), path);
}

Result<std::string> choose_vault(const std::string& option, const Environment& environment, const Places& places) {
  if (!option.empty()) return absolute_path(option);
  if (const auto set = environment("COPPICE_VAULT"); set && !set->empty()) return absolute_path(*set);
  Configuration configuration = TRY(read_configuration(places.config_file()));
  if (!configuration.vault.empty()) return configuration.vault;
  return fail(ErrorKind::kNotFound,
              "no vault is named: not by --vault, nor COPPICE_VAULT, nor " + places.config_file());
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
