// Forgetting snapshots, by name or by keep rules: showing what would go, asking, doing it.
#include "cli.h"
#include "format/snapshot.h"
#include "keys/key_file.h"
#include "keys/roster.h"

namespace coppice::cli {

namespace {
constexpr std::string_view kSpace =
    "forget frees no space by itself: what only these snapshots use stays in the vault until it is reclaimed";

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string all;
  for (const auto& part : parts) all.append(all.empty() ? "" : between).append(part);
  return all;
}

// "web1  /data  /etc"
std::string where_from(const std::string& host, const std::vector<std::string>& sources) {
  std::string text = shown(host);
  for (const auto& source : sources) text += "  " + shown(source);
  return text;
}

void print_group(const tasks::KeepGroup& group, const policy::TimeZone& zone) {
  print(fmt::format("{}, signed by {}\n", where_from(group.host, group.sources), shown(group.signer_name)));
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < group.snapshots.size(); ++i) {
    const auto& verdict = group.verdicts[i];
    rows.push_back({verdict.keep ? "  keep" : "  forget", group.snapshots[i]->short_id(),
                    zone.render(tasks::snapshot_time(*group.snapshots[i])), join(verdict.reasons, ", ")});
  }
  print(tasks::render_table(rows, {false, false, false, false}));
}

int forget_all(const Common& common, const vault::Vault& vault, const std::vector<const vault::Snapshot*>& chosen,
               std::size_t total) {
  std::size_t forgotten = 0;
  std::optional<Error> failed;   // one that cannot be forgotten keeps no other
  for (const auto* snapshot : chosen) {
    if (auto done = vault.forget(*snapshot); !done) {
      if (failed) report(common, *failed);
      failed = done.error().within("forgetting " + snapshot->short_id());
      if (done.error().kind() == ErrorKind::kDenied || done.error().kind() == ErrorKind::kExhausted) break;
      continue;
    }
    ++forgotten;
    if (common.json) emit({{"type", "forgotten"}, {"id", snapshot->id()}});
  }
  if (failed) return report(common, failed->within(fmt::format("{} forgotten", tasks::render_count(forgotten, "snapshot"))), tasks::unwritable_hint(*failed));
  if (common.json) {
    emit({{"type", "summary"}, {"dry_run", false}, {"forgotten", forgotten}});
  } else {
    print(fmt::format("{} forgotten, {} left\n", forgotten, total - forgotten));
    if (!common.quiet) note(fmt::format("{}.\n", kSpace));
  }
  return kDone;
}

// Before anything is shown or asked: whether this key may do it at all.
bool refused(const Common& common, const vault::Vault& vault, const ForgetMode& mode) {
  const format::Role role = vault.keys().role;
  if (mode.dry_run || keys::role_may_sign(role, format::kForgetMagic)) return false;
  report(common, Error(ErrorKind::kDenied, fmt::format("the key at hand is a {}'s: it may not forget snapshots", keys::role_name(role))),
         "a reader's or the owner's may: --key-file, --passphrase-file or --recovery-sheet");
  return true;
}

std::string would_be_forgotten(std::size_t count, std::size_t total) {
  return fmt::format("dry run: {} of {} would be forgotten\n", count, tasks::render_count(total, "snapshot"));
}

int ask_and_forget(const Common& common, const vault::Vault& vault, const std::vector<const vault::Snapshot*>& chosen,
                   std::size_t total, bool yes) {
  std::fflush(stdout);
  if (!yes && !confirm(fmt::format("Forget {} of {}?", chosen.size(), tasks::render_count(total, "snapshot"))))
    return report(common, Error(ErrorKind::kCancelled, "nothing was forgotten"), "--yes does it without asking");
  return forget_all(common, vault, chosen, total);
}
}  // namespace

std::string forgetting_remark() { return std::string(kSpace); }

int forget_named(const Common& common, const vault::Vault& vault, const std::vector<const vault::Snapshot*>& chosen,
                 std::size_t total, const ForgetMode& mode) {
  if (refused(common, vault, mode)) return kFailed;
  if (!common.json && (!common.quiet || !mode.yes)) {
    for (const auto* snapshot : chosen) {
      const std::string what = snapshot->body ? "  " + where_from(snapshot->body->host, snapshot->body->sources) : "";
      print(fmt::format("{}  {}{}\n", snapshot->short_id(), render_local(tasks::snapshot_time(*snapshot)), what));
    }
  }
  if (!mode.dry_run) return ask_and_forget(common, vault, chosen, total, mode.yes);
  if (common.json) {
    for (const auto* snapshot : chosen) emit(describe_snapshot(*snapshot));
    emit({{"type", "summary"}, {"dry_run", true}, {"forgotten", chosen.size()}});
  } else {
    print(would_be_forgotten(chosen.size(), total));
  }
  return kDone;
}

int forget_by_rules(const Common& common, const vault::Vault& vault, const std::vector<tasks::KeepGroup>& groups,
                    const policy::TimeZone& zone, const ForgetMode& mode) {
  if (refused(common, vault, mode)) return kFailed;
  std::vector<const vault::Snapshot*> chosen;
  std::size_t total = 0;
  for (const auto& group : groups) {
    total += group.snapshots.size();
    for (const auto* snapshot : group.to_forget()) chosen.push_back(snapshot);
    if (common.json) {
      for (std::size_t i = 0; mode.dry_run && i < group.snapshots.size(); ++i) {
        Json line = describe_snapshot(*group.snapshots[i]);
        line["keep"] = group.verdicts[i].keep;
        line["reasons"] = group.verdicts[i].reasons;
        emit(line);
      }
    } else if (!common.quiet || !mode.yes) {
      print_group(group, zone);
    }
  }
  if (mode.dry_run || chosen.empty()) {
    if (common.json)
      emit({{"type", "summary"}, {"dry_run", mode.dry_run}, {"forgotten", chosen.size()}});
    else if (mode.dry_run)
      print(would_be_forgotten(chosen.size(), total));
    else
      print(fmt::format("nothing to forget, {} kept\n", total));
    return kDone;
  }
  return ask_and_forget(common, vault, chosen, total, mode.yes);
}

}  // namespace coppice::cli
