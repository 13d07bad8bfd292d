// coppice manual: the man page and the bash completion, written from the same definitions as --help. Hidden: the build calls it, and the
// completion for the names of plans.
#include <algorithm>

#include "cli.h"

namespace coppice::cli {

namespace {
constexpr std::size_t kPageColumns = 71;  // what a page of 78 columns has behind its margin

std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '-') out += '\\';
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c;
  }
  return out;
}

// Several lines, each on its own.
std::string roff_lines(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += (at == 0 ? "" : "\n") + roff(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void option_of(const CLI::Option& option, std::string& out) {
  const std::string names = option.get_name(option.get_positional(), true), type = option.get_type_name();
  out += fmt::format(".TP\n.B {}{}\n{}\n", roff(names), type.empty() ? "" : " " + roff(type),
                     roff(option.get_description()));
}

bool same(const CLI::Option& a, const CLI::Option& b) {
  return a.get_name(true, true) == b.get_name(true, true) && a.get_description() == b.get_description();
}

// Options that many commands share are told once: those that `list` and `ls` have alike.
std::vector<const CLI::Option*> shared_options(const CLI::App& app) {
  std::vector<const CLI::Option*> shared;
  const auto others = app.get_subcommand("ls")->get_options();
  for (const CLI::Option* option : app.get_subcommand("list")->get_options()) {
    if (std::any_of(others.begin(), others.end(), [&](auto* other) { return same(*option, *other); }))
      shared.push_back(option);
  }
  return shared;
}

void manual_of(const CLI::App& app, const std::string& name, const std::vector<const CLI::Option*>& shared,
               std::string& out) {
  std::string synopsis = name;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string more = option->get_expected_max() > 1 ? " ..." : "";
    synopsis += option->get_required() ? fmt::format(" {}{}", option->get_type_name(), more)
                                       : fmt::format(" [{}{}]", option->get_type_name(), more);
  }
  out += fmt::format(".SS coppice {}\n{}.\n", roff(synopsis), roff(app.get_description()));
  for (const CLI::Option* option : app.get_options()) {
    if (std::any_of(shared.begin(), shared.end(), [&](auto* one) { return same(*one, *option); })) continue;
    option_of(*option, out);
  }
  if (!app.get_footer().empty()) out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff_lines(wrap_lines(app.get_footer(), kPageColumns)));
  for (const CLI::App* command : visible_commands(app))
    manual_of(*command, name + " " + command->get_name(), shared, out);
}

std::string manual(const CLI::App& app) {
  std::string out = ".TH COPPICE 1 \"\" \"coppice " COPPICE_VERSION
                    "\" \"User Commands\"\n"
                    ".SH NAME\ncoppice \\- encrypted, deduplicated, verified backups of Linux hosts\n"
                    ".SH SYNOPSIS\n.B coppice\n.I COMMAND\n[options]\n.SH DESCRIPTION\n";
  out += roff(app.get_description()) + "\n.PP\n.nf\n" + roff_lines(wrap_lines(app.get_footer(), kPageColumns)) + "\n.fi\n";
  out +=
      ".PP\nA snapshot (SNAP) is named by the first digits of its id (four at least), by \\fBlatest\\fR, or by "
      "\\fB@\\fR and a time: "
      "\\fB@2026\\-11\\-22T08:00\\fR is the newest at the end of that minute. A path in it follows \\fB:/\\fR.\n";
  const auto shared = shared_options(app);
  for (const bool choosing : {false, true}) {
    out += choosing ? ".SH CHOOSING SNAPSHOTS\nCommands that look at snapshots take these options too.\n"
                    : ".SH OPTIONS\nNearly every command takes these options.\n";
    for (const CLI::Option* option : shared)
      if ((option->get_group() == "Snapshots") == choosing) option_of(*option, out);
  }
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : visible_commands(app)) manual_of(*command, command->get_name(), shared, out);
  out +=
      ".SH EXIT STATUS\n.TP\n.B 0\ndone\n.TP\n.B 1\nfailed, or damage found\n.TP\n.B 2\nthe command was not "
      "understood\n"
      ".TP\n.B 3\ndone, with warnings: something could not be read, or is not as it should be\n.TP\n.B "
      "130\ninterrupted twice\n"
      ".SH ENVIRONMENT\n.TP\n.B COPPICE_VAULT\nthe vault, when \\-\\-vault does not name it\n.TP\n.B "
      "COPPICE_PASSPHRASE_FILE\n"
      "a file whose first line is the passphrase\n.TP\n.B COPPICE_CONFIG\nthe configuration, when \\-\\-config does not "
      "name it\n.TP\n.B COPPICE_CONFIG_DIR, COPPICE_STATE_DIR\nreplace the "
      "directories below\n"
      ".SH FILES\nroot has them in /etc/coppice and /var/lib/coppice; others in ~/.config/coppice and "
      "~/.local/state/coppice "
      "(XDG_CONFIG_HOME, XDG_STATE_HOME).\n.TP\n.B coppice.toml\nvault = \"/path/to/vault\"\n.TP\n.B "
      "keys/VAULT\\-ID.key\n"
      "this host's key to a vault (0600)\n";
  return out;
}

// The names of the plans that there are, one a line: what the completion asks for.
int print_plans(const Common& common) {
  const auto plans = read_plans(common);
  if (!plans) return report(common, plans.error());
  for (const policy::Plan& plan : plans->configuration.plans) print(plan.name + "\n");
  return kDone;
}
}  // namespace

void add_manual(Cli& cli) {
  CLI::App* command = cli.app.add_subcommand("manual", "Write the man page or the bash completion, or name the plans for it");
  command->group("");
  auto what = std::make_shared<std::string>("man");
  command->add_option("what", *what)->transform(CLI::IsMember({"man", "bash", "plans"}));
  add_config_option(cli, command);
  command->callback([&cli, what] {
    cli.action = [&cli, what] {
      if (*what == "plans") return print_plans(cli.common);
      print(*what == "man" ? manual(cli.app) : bash_completion(cli.app));
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace coppice::cli
