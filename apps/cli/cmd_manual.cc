// coppice manual: the man page and the bash completion, written from the same definitions as --help. Hidden; the build calls it.
#include "cli.h"

namespace coppice::cli {

namespace {
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '-') out += '\\';
    if (c == '\n') {
      out += "\n.br\n";
      continue;
    }
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c;
  }
  return out;
}

void manual_of(const CLI::App& app, const std::string& name, std::string& out) {
  out += fmt::format(".SS {}\n{}\n", roff(name), roff(app.get_description()));
  for (const CLI::Option* option : app.get_options()) {
    const std::string names = option->get_name(option->get_positional(), true);
    out += fmt::format(".TP\n.B {} {}\n{}\n", roff(names), roff(option->get_type_name()), roff(option->get_description()));
  }
  if (!app.get_footer().empty()) out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(app.get_footer()));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* s) { return !s->get_group().empty(); })) manual_of(*sub, name + " " + sub->get_name(), out);
}

void completion_of(const CLI::App& app, const std::string& path, std::string& out) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* s) { return !s->get_group().empty(); })) {
    words += sub->get_name() + " ";
    completion_of(*sub, path + " " + sub->get_name(), out);
  }
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  out += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, words);
}
}  // namespace

void add_manual(Cli& cli) {
  CLI::App* command = cli.app.add_subcommand("manual", "Write the man page or the bash completion");
  command->group("");
  auto what = std::make_shared<std::string>("man");
  command->add_option("what", *what)->transform(CLI::IsMember({"man", "bash"}));
  command->callback([&cli, what] {
    cli.action = [&cli, what] {
      std::string out;
      if (*what == "man") {
        out = ".TH COPPICE 1 \"\" \"coppice " COPPICE_VERSION "\" \"User Commands\"\n.SH NAME\ncoppice \\- encrypted, deduplicated, verified backups of Linux hosts\n"
              ".SH SYNOPSIS\n.B coppice\n.I COMMAND\n[options]\n.SH COMMANDS\n";
        for (const CLI::App* sub : cli.app.get_subcommands([](const CLI::App* s) { return !s->get_group().empty(); })) manual_of(*sub, sub->get_name(), out);
        out += ".SH EXIT STATUS\n0 done, 1 failed or damage found, 2 usage, 3 done with warnings, 130 interrupted twice.\n";
      } else {
        out = "# bash completion for coppice\n_coppice() {\n  local path=coppice word words=\n  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
              "    case $word in -*) ;; *) case $path in coppice|'coppice key') path=\"$path $word\" ;; esac ;; esac\n  done\n  case $path in\n";
        completion_of(cli.app, "coppice", out);
        out += "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\") $(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
               "complete -o filenames -F _coppice coppice\n";
      }
      print(out);
      return kDone;
    };
  });
}

}  // namespace coppice::cli
