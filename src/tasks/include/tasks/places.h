// Where this program keeps its things on a host: configuration, key files, local state. Pure: the environment arrives
// as a function.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "foundation/result.h"
#include "policy/plan.h"

namespace coppice::tasks {

using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

// root: /etc/coppice and /var/lib/coppice. Anyone else: coppice/ below XDG_CONFIG_HOME (~/.config) and XDG_STATE_HOME
// (~/.local/state). COPPICE_CONFIG_DIR and COPPICE_STATE_DIR replace either, for anyone.
struct Places {
  std::string config_directory;  // 0700 when we make it
  std::string state_directory;   // 0700; local state of all vaults, one directory each below it
  std::string config_file() const { return config_directory + "/coppice.toml"; }
  std::string keys_directory() const { return config_directory + "/keys"; }
  std::string key_file(const std::string& vault_id_hex) const { return keys_directory() + "/" + vault_id_hex + ".key"; }
};
Result<Places> find_places(const Environment& environment, bool is_root);

// The configuration: the file that was named (`option`, else COPPICE_CONFIG), else the one of `places`. Of a missing file
// that nobody named: an empty configuration. kInvalid names file and line.
struct ReadConfiguration {
  std::string file;  // absolute path
  policy::Configuration content;
};
Result<ReadConfiguration> read_configuration(const std::string& option, const Environment& environment,
                                             const Places& places);
// For whoever may run the plans' hooks: root runs them, so whoever can change the file is root. kDenied when others can.
Result<> check_hooks_are_ours(const ReadConfiguration& configuration);

// The vault's location: the option, else COPPICE_VAULT, else the configuration's (its file as above). kNotFound says how
// to make one.
Result<std::string> choose_vault(const std::string& option, const std::string& config_option,
                                 const Environment& environment, const Places& places);

// `path` from the working directory, without "." and doubled slashes; symlinks stay.
Result<std::string> absolute_path(const std::string& path);
// Without symlinks, "..", and doubled slashes, as far as it is there.
std::string real_path(const std::string& path);

}  // namespace coppice::tasks
