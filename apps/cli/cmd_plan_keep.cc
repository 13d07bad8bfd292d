// coppice plan keep: what a plan's keep rules say of its snapshots, and doing it by hand.
#include "capture/backup.h"
#include "cli.h"
#include "keys/key_file.h"
#include "platform/clock.h"

namespace coppice::cli {

namespace {
struct KeepOptions {
  std::string plan, host;
  ForgetMode mode;
};

int run_plan_keep(const Common& asked, const KeepOptions& options) {
  const auto plans = read_plans(asked);
  if (!plans) return report(asked, plans.error());
  const Common common = plans->with_vault(asked);
  const auto found = plans->find(options.plan);
  if (!found) return report(common, found.error());
  const policy::Plan& plan = **found;
  if (plan.keep.empty()) {
    return report(common, Error(ErrorKind::kNotFound, fmt::format("plan {} has no keep rules: everything stays", plan.name)),
                  fmt::format("{}:{} is where the plan begins; for example: keep = {{ daily = 7, weekly = 4 }}", plans->file, plan.line));
  }
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  if (!opened->vault->keys().can_read()) {
    return report(common, Error(ErrorKind::kDenied, fmt::format("keep rules look into snapshots, and the key at hand is a {}'s: it can neither read nor forget any",
                                                                keys::role_name(opened->vault->keys().role))),
                  "a reader's or the owner's does both: --key-file, --passphrase-file or --recovery-sheet, or run it on a host that has one");
  }
  const auto list = opened->vault->snapshots();
  if (!list) return report(common, list.error());
  std::string host = options.host.empty() ? plan.host : options.host;
  if (host.empty()) host = capture::host_name();
  const auto groups = tasks::decide_plan(*list, plan, host, platform::system_clock().now());
  if (!groups) return report(common, groups.error(), choosing_hint(groups.error()));
  if (groups->empty()) {
    return report(common, Error(ErrorKind::kNotFound, fmt::format("plan {} made no snapshot of {} that is still there", plan.name, host)),
                  "'coppice list' shows what is there");
  }
  return forget_by_rules(common, *opened->vault, *groups, plan.timezone, options.mode);
}
}  // namespace

void add_plan_keep(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(parent, "keep", "Show which snapshots of a plan its keep rules keep, and forget the others",
                                  {"coppice plan keep data --dry-run    say why each stays or goes",
                                   "coppice plan keep data --yes"},
                                  {.remark = "Each good run of the plan does it by itself."});
  auto options = std::make_shared<KeepOptions>();
  command->add_option("plan", options->plan, "The plan's name in the configuration")->type_name("NAME")->required();
  command->add_flag("-n,--dry-run", options->mode.dry_run, "Show it only");
  command->add_flag("-y,--yes", options->mode.yes, "Do not ask");
  command->add_option("-H,--host", options->host, "Of this host's snapshots (else the plan's, else this host's)")
      ->type_name("NAME")
      ->check(is_label());
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, options] { cli.action = [&cli, options] { return run_plan_keep(cli.common, *options); }; });
}

}  // namespace coppice::cli
