// coppice manual: the man page and the bash completion, written from the same definitions as --help. Hidden: the build calls it, and the
// completion for names.
#include <algorithm>
#include <set>

#include "cli.h"
#include "keys/roster.h"

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

void manual_of(const CLI::App& app, const std::vector<const CLI::Option*>& shared, std::string& out) {
  out += fmt::format(".SS {}\n{}.\n", roff(synopsis(app)), roff(app.get_description()));
  for (const CLI::Option* option : app.get_options()) {
    if (std::any_of(shared.begin(), shared.end(), [&](auto* one) { return same(*one, *option); })) continue;
    option_of(*option, out);
  }
  if (!app.get_footer().empty()) out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff_lines(wrap_lines(app.get_footer(), kPageColumns)));
  for (const CLI::App* command : visible_commands(app)) manual_of(*command, shared, out);
}

std::string manual(const CLI::App& app) {
  std::string out = ".TH COPPICE 1 \"\" \"coppice " COPPICE_VERSION
                    "\" \"User Commands\"\n"
                    ".SH NAME\ncoppice \\- encrypted, deduplicated, verified backups of Linux hosts\n"
                    ".SH SYNOPSIS\n.B coppice\n[OPTIONS]\n.I COMMAND\n.SH DESCRIPTION\n";
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
  for (const CLI::App* command : visible_commands(app)) manual_of(*command, shared, out);
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

// What the completion asks for: names of plans, keys, hosts or tags, one a line. Only such as a shell takes for plain words, since bash
// expands what is offered, and others chose these names. Nothing is asked for; where there is no vault or no key, there are no names.
Result<> print_names(const Common& common, std::string_view what) {
  std::set<std::string> names;
  if (what == "plans") {
    const auto plans = TRY(read_plans(common));
    for (const policy::Plan& plan : plans.configuration.plans) names.insert(plan.name);
  } else {
    tasks::AccessOptions access = common.access;
    access.ask = false;
    const auto opened = TRY(tasks::open_vault(access, tasks::process_environment(), is_root()));
    if (what == "keys") {
      for (const auto& member : opened.vault->roster().members)
        if (keys::is_living(member)) names.insert(member.name);
    } else if (opened.vault->keys().can_read()) {
      const auto list = TRY(opened.vault->snapshots());
      for (const auto& snapshot : list.snapshots) {
        if (snapshot.body && what == "hosts") names.insert(snapshot.body->host);
        if (snapshot.body && what == "tags") names.insert(snapshot.body->tags.begin(), snapshot.body->tags.end());
      }
    }
  }
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@%+,/=-";
  for (const std::string& name : names)
    if (name.find_first_not_of(kPlain) == std::string::npos) print(name + "\n");
  return {};
}
}  // namespace

void add_manual(Cli& cli) {
  CLI::App* command = cli.app.add_subcommand("manual", "Write the man page or the bash completion, or names for it");
  command->group("");
  auto what = std::make_shared<std::string>("man");
  command->add_option("what", *what)->transform(CLI::IsMember({"man", "bash", "plans", "keys", "hosts", "tags"}));
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, what] {
    cli.action = [&cli, what] {
      if (*what == "man" || *what == "bash")
        print(*what == "man" ? manual(cli.app) : bash_completion(cli.app));
      else if (const auto printed = print_names(cli.common, *what); !printed)
        return report(cli.common, printed.error());
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace coppice::cli
