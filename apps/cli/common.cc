#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "foundation/encoding.h"
#include "policy/patterns.h"

namespace coppice::cli {

namespace {
bool objects_to_stderr = false;

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// Without the name in front that the path tells already.
std::string_view told_of(const Warning& warning) {
  const std::string_view name = std::string_view(warning.path).substr(warning.path.find_last_of('/') + 1);
  std::string_view what = warning.what;
  for (const std::string_view said : {std::string_view(warning.path), name}) {
    if (!said.empty() && what.starts_with(said) && what.substr(said.size()).starts_with(": "))
      what.remove_prefix(said.size() + 2);
  }
  return what;
}
}  // namespace

CLI::Option* add_repeatable(CLI::App* command, const std::string& names, std::vector<std::string>& values,
                            const std::string& description) {
  return command->add_option(names, values, description)->allow_extra_args(false);
}

CLI::Validator is_snapshot() {
  return CLI::Validator(
      [](std::string& text) {
        const auto ref = tasks::parse_snapshot_ref(text);
        return ref ? std::string() : ref.error().message();
      },
      "");
}

CLI::Validator is_whole_snapshot() {
  return CLI::Validator(
      [](std::string& text) {
        const auto ref = tasks::parse_snapshot_ref(text);
        if (!ref) return ref.error().message();
        return ref->has_path
                   ? fmt::format("'{}': a snapshot is meant as a whole, without a path", render_printable(text))
                   : std::string();
      },
      "");
}

CLI::Validator is_pattern() {
  return CLI::Validator(
      [](std::string& text) {
        policy::PatternList patterns;
        const auto added = patterns.add(text);
        return added ? std::string() : added.error().message();
      },
      "");
}

CLI::Validator is_file_name() {
  return CLI::Validator(
      [](std::string& text) {
        return format::is_valid_name(text) ? std::string() : "a plain file name is needed, without a slash";
      },
      "");
}

CLI::Validator is_count() {
  return CLI::Validator(
      [](std::string& text) {
        const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        return digits && text.find_first_not_of('0') != std::string::npos ? "" : fmt::format("a number from 1 on, not '{}'", render_printable(text));
      },
      "");
}

CLI::Validator is_label() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        if (text.empty()) return "it must not be empty";
        if (text.size() > kLabelBytesMax) return fmt::format("it must have at most {} bytes", kLabelBytesMax);
        return is_utf8(text) ? "" : fmt::format("'{}' is not UTF-8", render_printable(text));
      },
      "");
}

void add_common_options(Cli& cli, CLI::App* command, Access access) {
  Common& common = cli.common;
  if (access != Access::kNone) {
    add_config_option(cli, command);
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
        ->add_option_function<std::string>(
            "--recovery-sheet", [&common](const std::string& file) { common.access.recovery_sheet = file; },
            "Open with the recovery sheet: its words in FILE (- is standard input), else typed on the terminal")
        ->expected(0, 1)
        ->type_name("[FILE]")
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

void add_config_option(Cli& cli, CLI::App* command) {
  command
      ->add_option("--config", cli.common.access.config,
                   "The configuration (else COPPICE_CONFIG, else coppice.toml in /etc/coppice or ~/.config/coppice)")
      ->type_name("FILE")
      ->group("Vault");
}

void add_filter_options(CLI::App* command, tasks::SnapshotFilter& filter) {
  add_repeatable(command, "-H,--host", filter.hosts, "Only snapshots of this host (repeat for any of several)")
      ->type_name("NAME")
      ->check(is_label())
      ->group("Snapshots");
  add_repeatable(command, "-t,--tag", filter.tags, "Only snapshots with this tag (repeat for all of several)")
      ->type_name("TAG")
      ->check(is_label())
      ->group("Snapshots");
  add_repeatable(command, "--signer", filter.signers, "Only snapshots signed by the key of this name (repeat for any of several)")
      ->type_name("NAME")
      ->check(is_label())
      ->group("Snapshots");
  add_repeatable(command, "--path", filter.paths, "Only snapshots of this path (a source is it, or holds it)")
      ->type_name("PATH")
      ->group("Snapshots");
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void note(std::string_view text) {
  if (objects_to_stderr) return;  // the objects say the same
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void emit(const Json& object) {
  const std::string line = tasks::render_json(object) + "\n";
  std::FILE* to = objects_to_stderr ? stderr : stdout;
  std::fwrite(line.data(), 1, line.size(), to);
  std::fflush(to);
}

void send_objects_to_stderr() { objects_to_stderr = true; }

bool stdout_is_terminal() {
  static const bool is = isatty(STDOUT_FILENO);
  return is;
}
std::size_t terminal_columns() {
  if (!stdout_is_terminal()) return 0;
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
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
      line["message"] = told_of(warnings[i]);
      emit(line);
    }
    if (i >= kShown) continue;
    const std::string path = warnings[i].path.empty() ? "" : render_printable(warnings[i].path) + ": ";
    note(fmt::format("coppice: warning: {}{}\n", path, told_of(warnings[i])));
  }
  if (total > std::min(warnings.size(), kShown)) {
    note(fmt::format("coppice: ... and {}\n", tasks::render_count(total - std::min(warnings.size(), kShown), "more warning")));
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

int usage(const CLI::App* command, std::string_view what, bool json) {
  std::string path;
  for (const CLI::App* at = command; at; at = at->get_parent())
    path.insert(0, path.empty() ? at->get_name() : at->get_name() + " ");
  const std::string message = trimmed(std::string(what)),
                    next_step = fmt::format("'{} --help' shows how it is used", path);
  const CLI::Option* option = command->get_option_no_throw("--json");
  if (json || (option && option->count() > 0))
    emit({{"type", "error"}, {"kind", "usage"}, {"message", message}, {"next_step", next_step}});
  note(fmt::format("{}: {}\n  {}\n", path, message, next_step));
  return kUsage;
}

std::string hex(ByteSpan bytes) { return render_hex(bytes); }

bool is_root() { return geteuid() == 0; }

Result<tasks::OpenedVault> open_vault(const Common& common) {
  auto opened = TRY(tasks::open_vault(common.access, tasks::process_environment(), is_root()));
  if (common.access.recovery_sheet && !common.quiet) {
    note(fmt::format("The recovery sheet opens this vault: fingerprint {}.\n",
                     keys::render_fingerprint(opened.vault->keys().anchor())));
  }
  std::vector<Warning> warnings;
  for (const std::string& notice : opened.vault->notices()) warnings.push_back({.path = "", .what = notice});
  print_warnings(common, warnings, warnings.size());
  return opened;
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
      return error.message().find("--memory-max") != std::string::npos
                 ? "give more with --memory-max, or use a key file"
                 : "";
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
