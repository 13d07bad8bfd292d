// The completion for bash, from the same definitions as --help: a table of what may follow each command, and a function that looks into it.
#include "cli.h"

namespace coppice::cli {

namespace {
// What the shell offers for a value, separated by blanks: @file, @dir, @plan, @key, @host, @tag (names, which `coppice manual` tells), or words with commas between them. Empty: nothing.
std::string offered_for(const CLI::Option& option) {
  const std::string type = option.get_type_name();  // CLI11 adds the words of a closed set: ROLE:{owner,reader}
  if (const std::size_t open = type.find('{'); open != std::string::npos) return type.substr(open + 1, type.find('}') - open - 1);
  const std::string name = option.get_positional() ? option.get_name(true, false) : option.get_lnames().empty() ? "" : option.get_lnames()[0];
  if (option.get_positional() && name == "plan") return "@plan";
  if (name == "signer" || (option.get_positional() && type == "KEY")) return "@key";
  if (name == "host" || name == "tag") return "@" + name;
  if (type == "FILE" || type == "[FILE]" || type == "PATH") return "@file";
  if (type == "DIR") return "@dir";
  return type.starts_with("SNAP") ? "latest" : "";
}

// One line for each command: what may follow it.
void completion_of(const CLI::App& app, const std::string& path, std::string& out) {
  std::string commands, options, values, others, below;
  for (const CLI::App* sub : visible_commands(app)) {
    commands += sub->get_name() + " ";
    completion_of(*sub, path + " " + sub->get_name(), below);
  }
  for (const CLI::Option* option : app.get_options()) {
    const std::string offered = offered_for(*option);
    if (option->get_positional()) others += offered.empty() ? "" : offered + " ";
    const bool takes_value = option->get_items_expected_max() > 0, may_stand_alone = option->get_items_expected_min() == 0;
    for (const bool is_long : {true, false}) {
      for (const std::string& bare : is_long ? option->get_lnames() : option->get_snames()) {
        const std::string name = (is_long ? "--" : "-") + bare;
        if (is_long) options += name + " ";
        if (takes_value && !(may_stand_alone && offered.empty())) values += fmt::format("{}={}{} ", name, may_stand_alone ? "?" : "", offered);
      }
    }
  }
  out += fmt::format("    \"{}\") commands=\"{}\" options=\"{}\" values=\" {}\" others=\"{}\" ;;\n", path, commands, options, values, others);
  out += below;
}

// The table that completion_of makes goes between these.
constexpr std::string_view kCompletionHead = R"bash(# bash completion for coppice
_coppice_at() {  # sets what may follow the command "$1"; fails when there is none
  case $1 in
)bash",
                           kCompletionTail = R"bash(    *) return 1 ;;
  esac
}
_coppice() {
  local cur=${COMP_WORDS[COMP_CWORD]} path=coppice help='' option='' open=() word i kind offers=''
  local commands options values others
  _coppice_at "$path"
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      =) ;;
      -*) option=; [[ $values == *" $word="* ]] && option=$word ;;
      *)
        if [[ -n $option ]]; then
          [[ $option == --config || $option == --vault || $option == -V || $option == --key-file ]] && open+=("$option" "$word")
          option=
        elif [[ $i == 1 && $word == help ]]; then
          help=1
        elif _coppice_at "$path $word"; then
          path="$path $word"
        fi ;;
    esac
  done
  [[ $cur == = ]] && cur=
  if [[ -n $option ]]; then
    kind=${values##* "$option"=} kind=${kind%% *}
    offers=${kind#\?}
    [[ $kind == \?* ]] && offers="$offers $commands $others"
  elif [[ $cur == -* ]]; then
    offers=$options
  else
    offers="$commands $others"
    [[ $path == coppice && -z $help ]] && offers="$offers help"
    [[ -n $help ]] && offers=$commands
    [[ -n ${offers// } || -n $help ]] || offers=$options
  fi
  COMPREPLY=()
  for kind in $offers; do
    case $kind in
      @file) compopt -o filenames 2> /dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur") ;;
      @dir) compopt -o filenames 2> /dev/null; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$cur") ;;
      @*) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$(timeout 2 "${COMP_WORDS[0]}" manual "${kind#@}s" "${open[@]}" 2> /dev/null)" -- "$cur") ;;
      *) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "${kind//,/ }" -- "$cur") ;;
    esac
  done
}
complete -F _coppice coppice
)bash";
}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string table;
  completion_of(app, "coppice", table);
  return fmt::format("{}{}{}", kCompletionHead, table, kCompletionTail);
}

}  // namespace coppice::cli
