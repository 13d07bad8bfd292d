// The pages of --help. CLI11 says what belongs on them; this lays it out: no line is wider than the terminal, and what is too long goes on
// under the column where it began.
#include <algorithm>
#include <cstdlib>

#include "cli.h"

namespace coppice::cli {

namespace {
constexpr std::size_t kNameColumns = 34, kNameColumnsNarrow = 10, kNarrow = 72;
constexpr std::size_t kWidthMin = 40, kWidthMax = 100, kWidthElse = 80;
constexpr std::size_t kRemarkColumnsMin = 26, kRemarkIndent = 6;

std::size_t help_columns() {
  std::size_t columns = 0;
  if (const char* told = std::getenv("COLUMNS")) columns = std::strtoul(told, nullptr, 10);
  if (columns == 0) columns = terminal_columns();
  return columns == 0 ? kWidthElse : std::clamp(columns, kWidthMin, kWidthMax);
}

// The words of `text` from column `at` on; further lines begin at `indent`. `mark` ends a line that goes on.
std::string wrap(std::string_view text, std::size_t at, std::size_t indent, std::size_t width, std::string_view mark = "") {
  std::string out;
  std::size_t column = at;
  bool first = true;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const std::size_t end = column + (first ? 0 : 1) + word.size() + (text.empty() ? 0 : mark.size());
    if (!first && end > width) {
      out.append(mark).append("\n").append(indent, ' ');
      column = indent;
      first = true;
    }
    if (!first) out += ' ';
    out += word;
    column += (first ? 0 : 1) + word.size();
    first = false;
  }
  return out;
}

// One line of an example: a command, and behind a gap what it does; or a sentence.
std::string wrap_line(std::string_view line, std::size_t width) {
  const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
  if (line.size() <= width) return std::string(line);
  const std::size_t gap = line.rfind("  ");
  const std::string blanks(indent, ' ');
  if (gap == std::string_view::npos || gap < indent) {
    const bool command = line.find("coppice ") != std::string_view::npos && indent > 0;
    return blanks + (command ? wrap(line.substr(indent), indent, indent + 4, width, " \\") : wrap(line.substr(indent), indent, indent, width));
  }
  const std::size_t remark = gap + 2;
  if (remark + kRemarkColumnsMin <= width) return std::string(line.substr(0, remark)) + wrap(line.substr(remark), remark, remark, width);
  const std::string_view command = line.substr(0, line.find_last_not_of(' ', gap) + 1);
  return wrap_line(command, width) + "\n" + std::string(kRemarkIndent, ' ') +
         wrap(line.substr(remark), kRemarkIndent, kRemarkIndent, width);
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool positional) const override {
    return entry(make_option_name(option, positional) + make_option_opts(option), make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_display_name(true), command->get_description());
  }
  std::string make_usage(const CLI::App* app, std::string) const override { return wrap("Usage: " + synopsis(*app), 0, 7, help_columns()) + "\n"; }
  std::string make_group(std::string group, bool positional, std::vector<const CLI::Option*> options) const override {
    std::string out = "\n" + wrap(group + ":", 0, 2, help_columns()) + "\n";
    for (const CLI::Option* option : options) out += make_option(option, positional);
    return out;
  }
  std::string make_description(const CLI::App* app) const override { return wrap(app->get_description(), 0, 0, help_columns()) + "\n"; }
  std::string make_footer(const CLI::App* app) const override {
    return app->get_footer().empty() ? "" : wrap_lines(app->get_footer(), help_columns()) + "\n";
  }

 private:
  static std::string entry(const std::string& name, const std::string& description) {
    const std::size_t width = help_columns(), column = width < kNarrow ? kNameColumnsNarrow : kNameColumns;
    std::string out = "  " + name;
    if (description.empty()) return out + "\n";
    if (out.size() + 1 > column) out += "\n" + std::string(column, ' ');
    else out.append(column - out.size(), ' ');
    return out + wrap(description, column, column, width) + "\n";
  }
};
}  // namespace

std::string wrap_lines(std::string_view text, std::size_t width) {
  std::string out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += (at == 0 ? "" : "\n") + wrap_line(text.substr(at, end - at), width);
    at = end + 1;
  }
  return out;
}

std::string fitted(std::string_view text) {
  const std::size_t columns = terminal_columns();
  return columns == 0 ? std::string(text) : wrap_lines(text, std::max(columns, kWidthMin));
}

std::string synopsis(const CLI::App& command) {
  std::string text = command.get_name();
  for (const CLI::App* at = command.get_parent(); at; at = at->get_parent()) text.insert(0, " ").insert(0, at->get_name());
  text += " [OPTIONS]";
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    const std::string what = option->get_type_name() + (option->get_expected_max() > 1 ? " ..." : "");
    text += option->get_required() ? " " + what : " [" + what + "]";
  }
  return text + (visible_commands(command).empty() ? "" : " COMMAND");
}

std::vector<const CLI::App*> visible_commands(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description, const std::vector<std::string>& examples,
                      const MoreHelp& more) {
  CLI::App* command = parent.add_subcommand(name, description);
  std::string footer = "Examples:";
  for (const auto& line : examples) footer += "\n  " + line;
  if (!more.remark.empty()) footer += "\n\n" + more.remark;
  if (!more.exit_status.empty()) footer += "\n\nExit status:";
  for (const auto& line : more.exit_status) footer += "\n  " + line;
  command->footer(footer);
  return command;
}

}  // namespace coppice::cli
