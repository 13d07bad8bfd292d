// coppice check: is the vault whole?
#include "cli.h"
#include "maintenance/check.h"
#include "platform/clock.h"
#include "tasks/interrupt.h"

namespace coppice::cli {

namespace {
struct CheckFlags {
  bool read_data = false, all = false;
  std::string percent = "100";
};

void print_finding(const maintenance::Finding& finding, bool all) {
  const bool damage = finding.severity == maintenance::Severity::kDamage;
  print(fmt::format("{} {}{}: {}\n", damage ? "DAMAGE" : "note  ", finding.object,
                    finding.block ? fmt::format(" block {}", *finding.block) : "", finding.what));
  if (!finding.host.empty() || !finding.signer.empty()) {
    print(fmt::format("         stored by {}\n", finding.host.empty()              ? "the key " + shown(finding.signer)
                                                : finding.host == finding.signer ? shown(finding.host)
                                                                                 : shown(finding.host) + " with the key " + shown(finding.signer)));
  }
  if (finding.snapshots_total > 0)
    print(fmt::format("         needed by {}\n", tasks::render_count(finding.snapshots_total, "snapshot")));
  for (const auto& file : finding.files) print(fmt::format("         {}\n", shown(file)));
  // The total counts a file again for each version of its directory.
  if (finding.files_left_out)
    print(fmt::format("         and up to {} more: {}\n", tasks::render_count(finding.files_total - finding.files.size()),
                      all ? "a higher --memory-max makes room for their names" : "--all names them"));
}

Json describe_finding(const maintenance::Finding& finding) {
  Json json{{"type", "finding"},
            {"severity", finding.severity == maintenance::Severity::kDamage ? "damage" : "information"},
            {"object", finding.object},
            {"kind", error_kind_name(finding.kind)},
            {"message", finding.what}};
  if (finding.block) json["block"] = *finding.block;
  if (!finding.host.empty()) put_path(json, "host", finding.host);
  if (!finding.signer.empty()) json["signer"] = finding.signer;
  json["snapshots"] = Json::array();
  for (const auto& session : finding.snapshots)
    json["snapshots"].push_back(fmt::format("{}.{}", session.generation, session.slot));
  json["snapshots_total"] = finding.snapshots_total;
  json["files"] = Json::array();
  for (const auto& path : finding.files) {
    Json file;
    put_path(file, "path", path);
    json["files"].push_back(file);
  }
  json["files_total"] = finding.files_total;
  json["files_left_out"] = finding.files_left_out;
  return json;
}

int run_check(const Common& common, const CheckFlags& flags, const CLI::App* command) {
  maintenance::CheckOptions options;
  if (flags.read_data) {
    char* end = nullptr;
    const unsigned long percent = std::strtoul(flags.percent.c_str(), &end, 10);
    if (end == flags.percent.c_str() || (*end && std::string_view(end) != "%") || percent < 1 || percent > 100)
      return usage(command, "--read-data takes a share of the packs in percent, 1 to 100");
    options.read_data_percent = static_cast<unsigned>(percent);
  }
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  options.sample_seed = platform::system_clock().monotonic_ns();
  options.memory_bytes = common.memory_bytes / 2;
  if (flags.all) options.path_bytes = common.memory_bytes / 8;
  maintenance::CheckProgress progress;
  CancelToken cancel;
  const auto work = [&] {
    const tasks::InterruptGuard interrupts(cancel, "coppice: stopping; a check changes nothing in the vault\n");
    const tasks::ProgressDisplay display(tasks::choose_progress_mode(common.json, common.quiet), [&progress] {
      return tasks::ProgressSample{progress.packs, progress.bytes, progress.packs_total, progress.bytes_total,
                                   progress.bytes_total > 0};
    });
    return maintenance::check_vault(*opened->vault, options, progress, cancel);
  };
  const auto report = work();
  if (!report) return cli::report(common, report.error());
  for (const auto& finding : report->findings) {
    if (common.json)
      emit(describe_finding(finding));
    else if (!common.quiet || finding.severity == maintenance::Severity::kDamage)
      print_finding(finding, flags.all);
  }
  if (common.json) {
    emit({{"type", "summary"},
          {"damaged", report->damaged()},
          {"damage", report->damage_total},
          {"information", report->information_total},
          {"snapshots", report->snapshots},
          {"packs", report->packs},
          {"pack_bytes", report->pack_bytes},
          {"tree_pages", report->tree_pages},
          {"blocks_read", report->blocks_read},
          {"bytes_read", report->bytes_read},
          {"not_checked", report->not_checked},
          {"noted", report->packs_damaged && !report->not_remembered}});
  } else {
    if (!common.quiet)
      for (const auto& sentence : report->not_checked) print(fitted(fmt::format("not checked: {}\n", sentence)));
    std::string extent = fmt::format("{}, {} ({}), {}", tasks::render_count(report->snapshots, "snapshot"),
                                     tasks::render_count(report->packs, "pack"),
                                     tasks::render_size(report->pack_bytes), tasks::render_count(report->tree_pages, "tree page"));
    if (flags.read_data) {
      extent += fmt::format("; {} read and {}", tasks::render_size(report->bytes_read),
                            opened->vault->keys().can_read() ? "opened" : "compared with their checksums");
    }
    print(fitted(report->damaged() ? fmt::format("DAMAGED: {}. {}\n", tasks::render_count(report->damage_total, "finding"), extent)
                                   : fmt::format("no damage found: {}\n", extent)));
    if (report->packs_damaged) {
      print(fitted(report->not_remembered
                ? fmt::format("This could not be noted for the next backup: {}. Until a damaged pack is moved out of the vault, new snapshots go on to rely on it.\n",
                              report->not_remembered->message())
                : "This host's next backup stores anew what its sources still have of a damaged pack, and its new snapshots are whole. Other hosts go on to rely "
                  "on theirs until a check runs there too.\n"));
      print(fitted("Older snapshots lack those files, unless what is damaged is put back from a copy of the vault: take what else you want of them, then forget them.\n"));
    }
  }
  return report->damaged() ? kFailed : kDone;
}
}  // namespace

void add_check(Cli& cli) {
  CLI::App* command =
      add_command(cli.app, "check", "Prove that the vault is whole",
                  {"coppice check                   signatures, lists, indexes, trees: everything but file contents",
                   "coppice check --read-data       every byte of every pack",
                   "coppice check --read-data=10    a tenth of the packs, others each time"});
  auto flags = std::make_shared<CheckFlags>();
  auto* option =
      command->add_option("--read-data", flags->percent, "Read and open the packs too: all, or PERCENT of them")
          ->type_name("[=PERCENT]")
          ->expected(0, 1);
  command->add_flag("--all", flags->all, "Name every damaged file, not only the first 100 of each finding");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, flags, command, option] {
    flags->read_data = option->count() > 0;
    if (flags->percent.empty()) flags->percent = "100";
    cli.action = [&cli, flags, command] { return run_check(cli.common, *flags, command); };
  });
}

}  // namespace coppice::cli
