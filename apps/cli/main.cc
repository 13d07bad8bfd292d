// coppice: the command line. What a command does stands in its own file; what it is made of, in the layers below.
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <system_error>

#include "cli.h"
#include "crypto/secret.h"
#include "policy/nearest.h"

namespace coppice::cli {
namespace {

// What nobody caught: as a rule the system gives no more threads or memory. No core dump; the vault is as after a kill.
[[noreturn]] void give_up() {
  const auto end = [](const char* what) {
    note(fmt::format("coppice: {}\n", what));
    _exit(kFailed);
  };
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::system_error& error) {
    end(error.code() == std::errc::resource_unavailable_try_again ? "no further thread can be started: a limit of processes (ulimit -u, pids.max) is reached"
                                                                   : error.what());
  } catch (const std::exception& error) {
    end(error.what());
  } catch (...) {
  }
  note("coppice: an unexpected error\n");
  std::abort();
}

void harden_process() {
  // Keys are in this memory: no core dump, no reading by other processes of the same user.
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  umask(077);
  // Each arena keeps what was freed in it; with one per thread the ceiling would not hold, with a single one threads
  // wait for it. Block and pack buffers stay in the heap between uses: giving them back to the kernel each time costs
  // more in page faults than compressing their content.
  mallopt(M_ARENA_MAX, 4);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  crypto::initialise();
  // A limit on the size of files is an error of the write like any other, with a message.
  signal(SIGXFSZ, SIG_IGN);
  std::set_terminate(give_up);
}

// The command that was asked for, as deep as it was named.
const CLI::App* chosen_command(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return at;
}

// The command or option whose name is near to `word`, if there is one.
std::optional<std::string> nearest_name(const CLI::App& command, std::string_view word) {
  std::vector<std::string> names;
  if (word.starts_with('-')) {
    for (const CLI::Option* option : command.get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  } else {
    for (const CLI::App* one : visible_commands(command)) names.push_back(one->get_name());
  }
  if (word.size() < 3) return std::nullopt;
  const auto near = policy::nearest(word.substr(0, word.find('=')), {names.begin(), names.end()});
  return near ? std::optional<std::string>(*near) : std::nullopt;
}

std::string guess(const std::optional<std::string>& name) { return name ? fmt::format(" (is '{}' meant?)", *name) : ""; }

// "coppice help restore" is "coppice restore --help".
std::vector<const char*> as_understood(int argc, char** argv) {
  std::vector<const char*> words(argv, argv + argc);
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    words.erase(words.begin() + 1);
    words.push_back("--help");
  }
  return words;
}

// A sentence of CLI11 becomes a part of one of ours.
std::string told(const CLI::ParseError& error, const CLI::App& command) {
  constexpr std::string_view kUnexpected = "The following argument was not expected: ",
                             kUnexpectedMany = "The following arguments were not expected: ";
  std::string what = error.what();
  for (const std::string_view start : {kUnexpected, kUnexpectedMany}) {
    if (!what.starts_with(start)) continue;
    what.erase(0, start.size());
    // An option is what was meant to be one; the words behind it are its values.
    if (const std::size_t option = (" " + what).find(" -"); option != std::string::npos) what = what.substr(option, what.find(' ', option) - option);
    else what.erase(0, what.rfind(' ') + 1);   // they come backwards
    const std::optional<std::string> near = nearest_name(command, what);
    if (near == what.substr(0, what.find('='))) return fmt::format("'{0}' comes behind the command: coppice COMMAND {0} ...", what);
    return fmt::format("'{}' is not understood here{}", what, guess(near));
  }
  if (what.size() > 1 && what[0] >= 'A' && what[0] <= 'Z' && !(what[1] >= 'A' && what[1] <= 'Z'))
    what[0] = static_cast<char>(what[0] - 'A' + 'a');
  return what;
}

// "add, list or remove"
std::string list_of_subcommands(const CLI::App& command) {
  const auto all = visible_commands(command);
  std::string text;
  for (std::size_t i = 0; i < all.size(); ++i)
    text += (i == 0 ? "" : i + 1 == all.size() ? " or " : ", ") + all[i]->get_name();
  return text;
}

// What somebody gets who types no more than the program's name.
std::string first_words() {
  std::string text = "Coppice " COPPICE_VERSION ": encrypted, deduplicated, verified backups of this host.\n\n";
  const auto environment = tasks::process_environment();
  const auto places = tasks::find_places(environment, is_root());
  const auto vault = places ? tasks::choose_vault("", "", environment, *places) : std::unexpected(places.error());
  if (vault) {
    text += fmt::format("The vault is {}.\n\n", shown(*vault));
  } else {
    text +=
        "  coppice init --vault /mnt/backup/vault    make a vault, once\n"
        "  export COPPICE_VAULT=/mnt/backup/vault    name it for the commands below\n";
  }
  return text +
         "  coppice backup /home /etc                 back up\n"
         "  coppice list                              see what is there\n"
         "  coppice restore latest --to /mnt/new      bring it back\n\n"
         "'coppice help' lists all commands, 'coppice help COMMAND' explains one, with examples.\n";
}

int parse_and_run(int argc, char** argv) {
  Cli cli;
  cli.app.name("coppice");
  cli.app.description("Coppice: encrypted, deduplicated, verified backups of this host.");
  cli.app.footer(
      "First steps:\n"
      "  coppice init --vault /mnt/backup/vault      make a vault, once\n"
      "  coppice backup --vault /mnt/backup/vault /  back up this host\n"
      "  coppice list --vault /mnt/backup/vault      see what is there\n\n"
      "COPPICE_VAULT, or vault = \"/path\" in coppice.toml (/etc/coppice, or ~/.config/coppice for a user), "
      "saves typing --vault. 'coppice help COMMAND' (or 'coppice COMMAND --help') tells more, with examples.");
  cli.app.require_subcommand(0, 1);
  cli.app.formatter(help_formatter());
  bool version = false;
  cli.app.add_flag("--version", version, "Show the version, as 'coppice version' does");
  for (auto* add : {add_init, add_backup, add_list, add_ls, add_find, add_diff, add_cat, add_restore, add_tar,
                    add_check, add_stats, add_forget, add_plan, add_status, add_key, add_version, add_manual}) {
    add(cli);
  }
  const std::vector<const char*> words = as_understood(argc, argv);
  const std::string_view first = words.size() > 1 ? words[1] : "";
  const auto no_command = [&](bool json) {
    return usage(&cli.app, fmt::format("there is no command '{}'{}", first, guess(nearest_name(cli.app, first))), json);
  };
  try {
    cli.app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::Success& help) {
    if (chosen_command(cli.app) == &cli.app && !first.empty() && first[0] != '-') return no_command(false);
    return cli.app.exit(help) == 0 ? kDone : kFailed;
  } catch (const CLI::ParseError& error) {
    const bool json = std::any_of(argv, argv + argc, [](std::string_view word) { return word == "--json"; });
    const CLI::App* command = chosen_command(cli.app);
    if (command == &cli.app && !first.empty() && first[0] != '-') return no_command(json);
    return usage(command, told(error, *command), json);
  }
  if (version) {
    print("coppice " COPPICE_VERSION "\n");
    return kDone;
  }
  if (!cli.action) {
    const auto chosen = cli.app.get_subcommands();
    if (!chosen.empty())
      return usage(chosen.front(), "say what to do: " + list_of_subcommands(*chosen.front()));
    note(first_words());
    return kUsage;
  }
  if (!cli.common.memory_text.empty()) {
    const auto parsed = tasks::parse_size(cli.common.memory_text);
    if (!parsed) return usage(chosen_command(cli.app), "--memory-max: " + parsed.error().message());
    if (*parsed < tasks::kMemoryBytesMin)
      return usage(chosen_command(cli.app), "--memory-max: at least 128M is needed");
    cli.common.memory_bytes = *parsed;
  }
  cli.common.access.memory_bytes = cli.common.memory_bytes;
  return cli.action();
}

// What was printed is written, or the status says that it was not.
int flush_output(int status) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
  note("coppice: the output could not be written in full\n");
  return status == kDone ? kFailed : status;
}

}  // namespace
}  // namespace coppice::cli

int main(int argc, char** argv) {
  coppice::cli::harden_process();
  return coppice::cli::flush_output(coppice::cli::parse_and_run(argc, argv));
}
