// coppice key: who holds which key of the vault.
#include <algorithm>

#include "cli.h"
#include "foundation/encoding.h"
#include "keys/identity.h"
#include "keys/roster.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/file.h"
#include "tasks/key_admin.h"
#include "tasks/passphrase.h"

namespace coppice::cli {

namespace {
struct KeyFlags {
  std::string name, role = "reader", key_file_out, recipient, new_passphrase_file, file;
  bool passphrase = false, yes = false, undo_forgets = false;
};

constexpr std::string_view kOwnerHint =
    "give the owner's passphrase (--passphrase-file, or on the terminal), or --recovery-sheet";

// What to do when the key is not the owner's, or nothing can be written; `otherwise`: what to do about anything else.
std::string_view changing_hint(const Error& error, std::string_view otherwise = "") {
  if (error.kind() != ErrorKind::kDenied) return otherwise;
  const std::string_view unwritable = tasks::unwritable_hint(error);
  return unwritable.empty() ? kOwnerHint : unwritable;
}

std::string_view slot_name(format::SlotKind kind) {
  return kind == format::SlotKind::kPassphrase ? "passphrase"
         : kind == format::SlotKind::kKeyFile  ? "key file"
                                               : "recipient";
}

Json describe_member(const format::Member& member) {
  Json json{{"type", "key"},
            {"name", member.name},
            {"id", hex(member.id)},
            {"role", keys::role_name(member.role)},
            {"opens_with", slot_name(member.slot)},
            {"added", render_time_json(member.added)},
            {"removed", member.revoked_from.has_value()}};
  return json;
}

// Work that changes the roster needs the owner.
Result<tasks::OpenedVault> open_owner(const Common& common) {
  Common owner = common;
  owner.access.owner = true;
  return open_vault(owner);
}

int run_list(const Common& common) {
  auto opened = open_vault(common);
  if (!opened) return report_opening(common, opened.error());
  const format::Roster& roster = opened->vault->roster();
  const std::string fingerprint = keys::render_fingerprint(opened->vault->keys().anchor());
  std::vector<std::vector<std::string>> rows{{"NAME", "ROLE", "OPENS WITH", "ADDED", "STATE"}};
  for (const format::Member& member : roster.members) {
    if (common.json)
      emit(describe_member(member));
    else
      rows.push_back({shown(member.name), std::string(keys::role_name(member.role)), std::string(slot_name(member.slot)), render_local(member.added),
                      member.revoked_from                         ? "removed"
                      : member.id == opened->vault->keys().member ? "this one"
                                                                  : ""});
  }
  if (common.json)
    emit({{"type", "vault"},
          {"id", hex(opened->vault->id())},
          {"fingerprint", fingerprint},
          {"epochs", roster.epochs.size()}});
  else
    print(tasks::render_table(rows, {false, false, false, false, false}, terminal_columns(), {{0, 16}, {3, 16, true}, {3, 10, true}, {0, 8}}) +
          fitted(fmt::format("Vault {}, fingerprint {}.\n", hex(opened->vault->id()), fingerprint)));
  return kDone;
}

Result<tasks::NewMember> new_member(const KeyFlags& flags) {
  const format::Role role = TRY(keys::parse_role(flags.role));
  tasks::NewMember member{.name = flags.name, .role = role, .by = tasks::NewMember::ByKeyFile{}};
  const int ways =
      !flags.key_file_out.empty() + !flags.recipient.empty() + (flags.passphrase || !flags.new_passphrase_file.empty());
  if (ways != 1)
    return fail(ErrorKind::kInvalid, "say how the key is opened: --out FILE, --recipient PUBLIC, or --passphrase");
  if (!flags.key_file_out.empty()) {
    auto path = TRY(tasks::absolute_path(flags.key_file_out));
    member.by = tasks::NewMember::ByKeyFile{std::move(path)};
  } else if (!flags.recipient.empty()) {
    member.by = TRY(keys::parse_recipient(flags.recipient));
  } else if (!flags.new_passphrase_file.empty()) {
    member.by = TRY(tasks::read_passphrase_file(flags.new_passphrase_file));
  } else {
    member.by = TRY(tasks::ask_new_passphrase("New passphrase"));
  }
  return member;
}

int run_add(const Common& common, const KeyFlags& flags, const CLI::App* command) {
  auto member = new_member(flags);
  if (!member)
    return member.error().kind() == ErrorKind::kInvalid ? usage(command, member.error().message())
                                                        : report(common, member.error());
  auto opened = open_owner(common);
  if (!opened) return report_opening(common, opened.error());
  crypto::Argon2Cost cost;
  cost.memory_kib =
      std::min<std::uint32_t>(cost.memory_kib, static_cast<std::uint32_t>(common.memory_bytes / 1024 / 2));
  auto added = tasks::add_member(*opened->vault, std::move(*member), cost);
  if (!added)
    return report(common, added.error().within(fmt::format("adding the key '{}'", render_printable(flags.name))),
                  changing_hint(added.error()));
  if (common.json) {
    Json json = describe_member(*added);
    if (!flags.key_file_out.empty()) put_path(json, "key_file", flags.key_file_out);
    emit(json);
  } else if (!common.quiet) {
    print(fmt::format("{} is {} {} of this vault now.\n", shown(added->name),
                      added->role == format::Role::kOwner ? "an" : "a", keys::role_name(added->role)));
    if (!flags.key_file_out.empty())
      print(fmt::format("Its key is in {} (0600). Bring it to its host as {} and delete this copy.\n",
                        shown(flags.key_file_out), fmt::format("/etc/coppice/keys/{}.key", hex(opened->vault->id()))));
  }
  return kDone;
}

// What is lost with a holder, when it is more than that holder; else empty.
std::string loss_of(const format::Roster& roster, std::string_view name) {
  const format::Member* member = keys::find_living(roster, name);
  if (!member) return "";
  const auto last = [&](auto alike) {
    return std::none_of(roster.members.begin(), roster.members.end(), [&](const format::Member& other) {
      return other.id != member->id && keys::is_living(other) && alike(other);
    });
  };
  if (member->role == format::Role::kOwner && last([](auto& other) { return other.role == format::Role::kOwner; }))
    return "the last owner's key: then only the recovery sheet can add, remove and rotate keys";
  if (member->slot == format::SlotKind::kPassphrase &&
      last([](auto& other) { return other.slot == format::SlotKind::kPassphrase; }))
    return "the last key with a passphrase: then only key files and the recovery sheet open this vault";
  return "";
}

constexpr std::string_view kNotTakenBack =
    "This does not take back what it read or copied before, nor keys it may have kept: what was stored so far stays readable with them.";

int run_remove(const Common& common, const KeyFlags& flags) {
  auto opened = open_owner(common);
  if (!opened) return report_opening(common, opened.error());
  if (const format::Member* member = keys::find_living(opened->vault->roster(), flags.name); member && !flags.yes) {
    const auto loss = loss_of(opened->vault->roster(), flags.name);
    const std::string is = loss.empty() ? "" : fmt::format("{} is {}", shown(flags.name), loss);
    if (!common.json && !common.quiet) note(fitted(fmt::format("{} would open nothing new. {}\n", shown(flags.name), kNotTakenBack)));
    if (const auto forgets = opened->vault->forgotten_by(member->id); forgets && !forgets->empty() && !common.json && !common.quiet)
      note(fitted(fmt::format("It forgot {}, which {}.\n", tasks::render_count(forgets->size(), "snapshot"),
                              flags.undo_forgets ? "would be listed again" : "would stay forgotten (--undo-forgets lists them again)")));
    if (!confirm(is.empty() ? fmt::format("Remove {}?", shown(flags.name)) : is + ". Remove it?"))
      return report(common, Error(ErrorKind::kCancelled, "nothing was removed" + (is.empty() ? "" : ": " + is)), "--yes does it without asking");
  }
  auto removed = tasks::remove_member(*opened->vault, flags.name, flags.undo_forgets ? tasks::ItsForgets::kFall : tasks::ItsForgets::kStand);
  if (!removed)
    return report(common, removed.error(),
                  changing_hint(removed.error(), "'coppice key list' shows who is there"));
  if (common.json) {
    emit(describe_member(removed->member));
  } else if (!common.quiet) {
    print(fitted(fmt::format("{} can open nothing new, and what it commits from now on does not count.\n{}\n", shown(removed->member.name), kNotTakenBack)));
    if (removed->forgets > 0)
      print(fitted(fmt::format("{} that it forgot {} {}.\n", tasks::render_count(removed->forgets, "snapshot"),
                               flags.undo_forgets ? (removed->forgets == 1 ? "is" : "are") : (removed->forgets == 1 ? "stays" : "stay"),
                               flags.undo_forgets ? "listed again" : "forgotten")));
    print(fitted("Next: coppice key rotate    so that new backups are sealed with a key that it never had\n"));
  }
  return kDone;
}

int run_rotate(const Common& common) {
  auto opened = open_owner(common);
  if (!opened) return report_opening(common, opened.error());
  auto rotation = tasks::rotate_epoch(*opened->vault);
  if (!rotation)
    return report(common, rotation.error(), changing_hint(rotation.error()));
  if (common.json) {
    emit({{"type", "rotation"},
          {"epoch", rotation->epoch},
          {"renewed", rotation->renewed},
          {"without_slot", rotation->without_slot}});
  } else if (!common.quiet) {
    print(fmt::format("New backups are sealed with data key {}. {} got it without being asked for anything.\n", rotation->epoch,
                      tasks::render_count(rotation->renewed.size(), "key holder")));
    for (const auto& name : rotation->without_slot)
      print(fmt::format("{} has no slot in the vault and cannot open it.\n", shown(name)));
  }
  return rotation->without_slot.empty() ? kDone : kWarnings;
}

int run_test_sheet(const Common& common, const KeyFlags& flags) {
  auto opened = tasks::open_store(common.access, tasks::process_environment(), is_root());
  if (!opened) return report_opening(common, opened.error());
  auto claimed = tasks::read_claimed_anchor(*opened->store);
  if (!claimed) return report(common, claimed.error());
  auto sheet =
      flags.file.empty() ? tasks::ask_recovery_sheet(*claimed) : tasks::read_recovery_sheet(flags.file, *claimed);
  if (!sheet) return report(common, sheet.error());
  if (common.json)
    emit({{"type", "test_sheet"}, {"opens", true}, {"fingerprint", keys::render_fingerprint(*claimed)}});
  else
    print(fmt::format("The sheet opens this vault (fingerprint {}).\n", keys::render_fingerprint(*claimed)));
  return kDone;
}

int run_generate(const Common& common, const KeyFlags& flags) {
  const keys::Identity identity = keys::make_identity(tasks::random_of(platform::system_entropy()));
  const crypto::SecretBytes text = keys::render_identity(identity);
  const auto path = tasks::absolute_path(flags.key_file_out);
  if (!path) return report(common, path.error());
  if (auto written = tasks::write_new_secret_file(*path, text.view()); !written)
    return report(common, written.error().within(shown(*path)));
  const std::string recipient = keys::render_recipient(identity.public_key);
  if (common.json)
    emit({{"type", "identity"}, {"recipient", recipient}});
  else
    print(fmt::format("{}\n", recipient));
  if (!common.json && !common.quiet)
    note(fmt::format("The private half is in {} (0600). Give away only the line above: coppice key add --recipient.\n",
                     shown(*path)));
  return kDone;
}
}  // namespace

void add_key(Cli& cli) {
  CLI::App* key = add_command(cli.app, "key", "Say who holds which key of the vault",
                              {"coppice key list", "coppice key export --role writer --name web1 --out web1.key",
                               "coppice key remove web1", "coppice key rotate", "coppice key test-sheet sheet.txt"});
  key->require_subcommand(0, 1);
  auto flags = std::make_shared<KeyFlags>();

  CLI::App* list = add_command(*key, "list", "Show the key holders", {"coppice key list"});
  add_common_options(cli, list, Access::kVault);
  list->callback([&cli] { cli.action = [&cli] { return run_list(cli.common); }; });

  for (const bool exporting : {false, true}) {
    CLI::App* add = exporting ? add_command(*key, "export", "Make a key file for another host",
                                            {"coppice key export --role writer --name web1 --out web1.key"})
                              : add_command(*key, "add", "Add a key holder",
                                            {"coppice key add --name anna --role reader --passphrase",
                                             "coppice key add --name safe --role owner --recipient coppice1..."});
    add->add_option("--name", flags->name, "The holder's name, unique among key holders")
        ->required()
        ->type_name("NAME");
    add->add_option(
           "--role", flags->role,
           "owner: everything; reader: back up and restore; writer: back up only; keeper: look after the store")
        ->type_name("ROLE")
        ->transform(CLI::IsMember({"owner", "reader", "writer", "keeper"}))
        ->capture_default_str();
    auto* out = add->add_option("-o,--out,--key-file-out", flags->key_file_out, "Write a key file (0600) here")
                    ->type_name("FILE");
    if (exporting) {
      out->required();
    } else {
      add->add_option("--recipient", flags->recipient, "Seal it to this public key (coppice key generate)")
          ->type_name("PUBLIC");
      add->add_flag("--passphrase", flags->passphrase, "Open it with a new passphrase, asked for twice");
      add->add_option("--new-passphrase-file", flags->new_passphrase_file,
                      "Open it with the passphrase in the first line of FILE")
          ->type_name("FILE");
    }
    add_common_options(cli, add, Access::kVault);
    add->callback([&cli, flags, add] { cli.action = [&cli, flags, add] { return run_add(cli.common, *flags, add); }; });
  }

  CLI::App* remove = add_command(*key, "remove", "Take a holder out of the roster", {"coppice key remove web1"});
  remove->add_option("name", flags->name, "The holder's name")->required()->type_name("KEY");
  remove->add_flag("-y,--yes", flags->yes, "Do not ask, not even about the last owner or the last passphrase");
  remove->add_flag("--undo-forgets", flags->undo_forgets, "List again the snapshots that it forgot: for a key that was stolen");
  add_common_options(cli, remove, Access::kVault);
  remove->callback([&cli, flags] { cli.action = [&cli, flags] { return run_remove(cli.common, *flags); }; });

  CLI::App* rotate = add_command(*key, "rotate", "Seal new backups with a new data key", {"coppice key rotate"});
  add_common_options(cli, rotate, Access::kVault);
  rotate->callback([&cli] { cli.action = [&cli] { return run_rotate(cli.common); }; });

  CLI::App* test =
      add_command(*key, "test-sheet", "Prove that a recovery sheet opens the vault",
                  {"coppice key test-sheet sheet.txt", "coppice key test-sheet    type the words from the paper"});
  test->add_option("file", flags->file, "The sheet, or its words alone (else they are asked for)")->type_name("FILE");
  add_common_options(cli, test, Access::kStore);
  test->callback([&cli, flags] { cli.action = [&cli, flags] { return run_test_sheet(cli.common, *flags); }; });

  CLI::App* generate = add_command(*key, "generate", "Make a key pair to which slots can be sealed",
                                   {"coppice key generate --out offline.identity"});
  generate->add_option("-o,--out", flags->key_file_out, "Write the private half (0600) here")
      ->required()
      ->type_name("FILE");
  add_common_options(cli, generate, Access::kNone);
  generate->callback([&cli, flags] { cli.action = [&cli, flags] { return run_generate(cli.common, *flags); }; });
}

}  // namespace coppice::cli
