// coppice plan: what the configuration says is to be backed up, and when.
#include "cli.h"

namespace coppice::cli {

void add_plan(Cli& cli) {
  CLI::App* command = add_command(cli.app, "plan", "Run the plans of the configuration, and look after them",
                                  {"coppice plan test", "coppice plan run data", "coppice plan install", "coppice plan list"});
  command->require_subcommand(0, 1);
  add_plan_list(cli, *command);
  add_plan_test(cli, *command);
  add_plan_run(cli, *command);
  add_plan_due(cli, *command);
  add_plan_keep(cli, *command);
  add_plan_install(cli, *command);
  add_plan_uninstall(cli, *command);
  for (CLI::App* sub : command->get_subcommands(nullptr))
    if (CLI::Option* vault = sub->get_option_no_throw("--vault"))
      vault->description("The vault's directory (else the configuration's, else COPPICE_VAULT)");
}

}  // namespace coppice::cli
