#include "cli.h"

#include <fcntl.h>
#include <unistd.h>

#include "foundation/encoding.h"

namespace coppice::cli {

namespace {
std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}
}  // namespace

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::vector<std::string>& examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  std::string footer;
  for (const auto& line : examples) footer += (footer.empty() ? "Examples:\n  " : "\n  ") + line;
  command->footer(footer);
  command->get_formatter()->column_width(34);
  return command;
}

CLI::Option* add_repeatable(CLI::App* command, const std::string& names, std::vector<std::string>& values,
                            const std::string& description) {
  return command->add_option(names, values, description)->allow_extra_args(false);
}

void add_common_options(Cli& cli, CLI::App* command, Access access) {
  Common& common = cli.common;
  if (access != Access::kNone) {
    command
        ->add_option("-V,--vault", common.access.vault,
                     "The vault's directory (else COPPICE_VAULT, else the configuration's)")
        ->type_name("PATH")
        ->group("Vault");
  }
  if (access == Access::kVault) {
    command
        ->add_option("--key-file", common.access.key_file,
                     "Open with this key file or identity (else this host's key file)")
        ->type_name("FILE")
        ->group("Vault");
    command
        ->add_option(
            "--passphrase-file", common.access.passphrase_file,
            "Open with the passphrase in the first line of FILE (else COPPICE_PASSPHRASE_FILE, else asked for)")
        ->type_name("FILE")
        ->group("Vault");
    command
        ->add_option("--recovery-sheet", common.access.recovery_sheet,
                     "Open with the words of the recovery sheet in FILE")
        ->type_name("FILE")
        ->group("Vault");
    command->add_option("--fingerprint", common.access.fingerprint, "Open only the vault with this fingerprint")
        ->type_name("HEX")
        ->group("Vault");
  }
  command->add_option("--memory-max", common.memory_text, "Stay below this much memory (256M unless told)")
      ->type_name("SIZE");
  command->add_flag("--json", common.json, "Write JSON, one object a line, to standard output");
  command->add_flag("-q,--quiet", common.quiet, "Show no progress and no remarks");
}

void add_filter_options(CLI::App* command, tasks::SnapshotFilter& filter) {
  add_repeatable(command, "-H,--host", filter.hosts, "Only snapshots of this host (repeat for any of several)")
      ->type_name("NAME")
      ->group("Snapshots");
  add_repeatable(command, "-t,--tag", filter.tags, "Only snapshots with this tag (repeat for all of several)")
      ->type_name("TAG")
      ->group("Snapshots");
  add_repeatable(command, "--path", filter.paths, "Only snapshots of which this path is a source")
      ->type_name("PATH")
      ->group("Snapshots");
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void note(std::string_view text) {
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void emit(const Json& object) {
  print(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  std::fflush(stdout);
}

void put_path(Json& object, const std::string& key, std::string_view bytes) {
  if (is_utf8(bytes))
    object[key] = std::string(bytes);
  else
    object[key + "_b64"] = render_base64(as_bytes(bytes));
}

bool stdout_is_terminal() {
  static const bool is = isatty(STDOUT_FILENO);
  return is;
}
bool stderr_is_terminal() {
  static const bool is = isatty(STDERR_FILENO);
  return is;
}

std::string shown(std::string_view name) { return stdout_is_terminal() ? render_printable(name) : std::string(name); }

void print_warnings(const Common& common, const std::vector<Warning>& warnings, std::uint64_t total) {
  constexpr std::size_t kShown = 20;
  for (std::size_t i = 0; i < warnings.size(); ++i) {
    if (common.json) {
      Json line{{"type", "warning"}};
      if (!warnings[i].path.empty()) put_path(line, "path", warnings[i].path);
      line["what"] = warnings[i].what;
      emit(line);
    }
    if (i >= kShown) continue;
    const std::string path = warnings[i].path.empty() ? "" : render_printable(warnings[i].path) + ": ";
    note(fmt::format("coppice: warning: {}{}\n", path, warnings[i].what));
  }
  if (total > std::min(warnings.size(), kShown)) {
    note(fmt::format("coppice: ... and {} more warnings\n",
                     tasks::render_count(total - std::min(warnings.size(), kShown))));
  }
}

bool confirm(const std::string& question) {
  const int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return false;
  const std::string prompt = question + " [y/N] ";
  char answer[64];
  ssize_t n = write(fd, prompt.data(), prompt.size());
  if (n > 0) n = read(fd, answer, sizeof answer);
  close(fd);
  const std::string text = trimmed(std::string(answer, n > 0 ? static_cast<std::size_t>(n) : 0));
  return text == "y" || text == "Y" || text == "yes" || text == "Yes" || text == "YES";
}

int report(const Common& common, const Error& error, std::string_view next_step) {
  if (common.json) {
    Json line{{"type", "error"}, {"kind", error_kind_name(error.kind())}, {"message", error.message()}};
    if (!next_step.empty()) line["next_step"] = next_step;
    emit(line);
  }
  note(fmt::format("coppice: {}\n", error.message()));
  if (!next_step.empty()) note(fmt::format("  {}\n", next_step));
  return kFailed;
}

int usage(const CLI::App* command, std::string_view what) {
  std::string path;
  for (const CLI::App* at = command; at; at = at->get_parent())
    path = path.empty() ? at->get_name() : at->get_name() + " " + path;
  note(fmt::format("{}: {}\n  '{} --help' shows how it is used\n", path, trimmed(std::string(what)), path));
  return kUsage;
}

std::string hex(ByteSpan bytes) { return render_hex(bytes); }

bool is_root() { return geteuid() == 0; }

Result<tasks::OpenedVault> open_vault(const Common& common) {
  return tasks::open_vault(common.access, tasks::process_environment(), is_root());
}

std::string opening_hint(const Common& common, const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kNotFound:
      if (error.message().starts_with("no vault is named"))
        return "name it with --vault PATH; if there is none yet, make one: coppice init --vault /path/to/new/vault";
      if (error.message().starts_with("there is no vault"))
        return "is it mounted? To make a new one there: coppice init --vault PATH";
      return "";
    case ErrorKind::kDenied:
      if (common.access.owner)
        return "the owner's passphrase (--passphrase-file) or the recovery sheet (--recovery-sheet) opens it";
      if (error.message().find("key") != std::string::npos || error.message().find("passphrase") != std::string::npos)
        return "open it with --key-file, --passphrase-file or --recovery-sheet";
      return "";
    case ErrorKind::kExhausted:
      return "give more with --memory-max, or use a key file";
    case ErrorKind::kUnsupported:
      return "a newer coppice can open it";
    default:
      return "";
  }
}

int report_opening(const Common& common, const Error& error) {
  const int status = report(common, error, opening_hint(common, error));
  return error.message().starts_with("no vault is named") ? kUsage : status;
}

}  // namespace coppice::cli
