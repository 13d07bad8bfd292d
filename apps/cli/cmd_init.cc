// coppice init: a new vault, this host's key, and the recovery sheet.
#include "cli.h"

#include <unistd.h>

#include "foundation/encoding.h"
#include "platform/clock.h"
#include "tasks/key_admin.h"
#include "tasks/passphrase.h"

namespace coppice::cli {

namespace {
struct InitOptions {
  std::string recovery_file, host_role = "reader", host_name;
};

std::string kernel_host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

Result<crypto::SecretBytes> new_passphrase(const Common& common) {
  if (!common.access.passphrase_file.empty()) return tasks::read_passphrase_file(common.access.passphrase_file);
  if (const auto named = tasks::process_environment()("COPPICE_PASSPHRASE_FILE"); named && !named->empty())
    return tasks::read_passphrase_file(*named);
  return tasks::ask_new_passphrase("a passphrase for the vault's owner");
}

int run_init(const Common& common, const InitOptions& options, const CLI::App* command) {
  const auto environment = tasks::process_environment();
  auto places = tasks::find_places(environment, is_root());
  if (!places) return report(common, places.error());
  auto location = tasks::choose_vault(common.access.vault, common.access.config, environment, *places);
  if (!location) {
    report(common, location.error(), "say where the new vault shall be: coppice init --vault /path/to/new/vault");
    return kUsage;
  }
  const auto told_of_place = [&](const Error& error) {
    return report(common, error,
                  error.kind() == ErrorKind::kConflict ? "nothing was changed; choose another place, or use the vault that is there"
                  : error.kind() == ErrorKind::kNotFound ? "make the directory above it first, or mount what shall hold the vault"
                                                         : "");
  };
  if (auto place = tasks::check_place_for_vault(*location); !place) return told_of_place(place.error());   // before anything is asked
  if (auto free = options.recovery_file.empty() ? Result<>{} : tasks::check_no_file_at(options.recovery_file); !free)
    return report(common, free.error(), "nothing was changed; name another file, or move that one away");
  if (options.recovery_file.empty() && !stdout_is_terminal()) {
    return usage(command,
                 "the recovery sheet opens everything, so it is not written into a pipe or a redirected file; "
                 "run this on a terminal, or say --recovery-file FILE");
  }
  if (options.recovery_file.empty() && common.json) {
    return usage(command, "with --json the recovery sheet needs a file: --recovery-file FILE");
  }
  auto passphrase = new_passphrase(common);
  if (!passphrase)
    return report(common, passphrase.error(), "give it in a file with --passphrase-file, or run this on a terminal");
  if (passphrase->view().size() < tasks::kPassphraseBytesShort) {
    note(fmt::format(
        "coppice: warning: the passphrase has {} bytes; whoever copies the vault can try many, so longer is safer\n",
        passphrase->view().size()));
  }
  tasks::InitRequest request;
  request.location = *location;
  request.passphrase = std::move(*passphrase);
  if (request.cost.memory_kib > common.memory_bytes / 1024 / 2)
    request.cost.memory_kib = static_cast<std::uint32_t>(common.memory_bytes / 1024 / 2);
  request.host_role = options.host_role == "writer" ? format::Role::kWriter : format::Role::kReader;
  request.host_name = tasks::member_name_of(options.host_name.empty() ? kernel_host_name() : options.host_name);
  request.keys_directory = places->keys_directory();
  request.recovery_file = options.recovery_file;
  auto made = tasks::init_vault(request, platform::system_clock(), platform::system_entropy());
  if (!made) return told_of_place(made.error());
  if (common.json) {
    Json line{{"type", "summary"},
              {"vault_id", hex(made->anchor.vault)},
              {"fingerprint", keys::render_fingerprint(made->anchor)}};
    put_path(line, "location", *location);
    put_path(line, "key_file", made->key_file);
    line["host_role"] = options.host_role;
    put_path(line, "recovery_file", options.recovery_file);
    emit(line);
    return kDone;
  }
  if (options.recovery_file.empty()) {
    print("\n");
    print(as_text(made->sheet.view()));
    print(
        "\nPrint or copy this sheet now and keep it away from this host: it is not shown again. 'coppice key "
        "test-sheet' proves a copy.\n\n");
  } else if (!common.quiet) {
    print(fmt::format("The recovery sheet is in {}. Print it, keep it away from this host, then delete the file.\n",
                      shown(options.recovery_file)));
  }
  if (common.quiet) return kDone;
  print(fmt::format("New vault {} at {}, fingerprint {}.\n", hex(made->anchor.vault), shown(*location),
                    keys::render_fingerprint(made->anchor)));
  if (request.host_role == format::Role::kReader) {
    print(fmt::format(
        "This host's key ({}) can read every backup in the vault; use --host-role writer for a key that cannot.\n",
        shown(made->key_file)));
  } else {
    print(
        fmt::format("This host's key ({}) makes backups and cannot read any; restoring needs the passphrase or the "
                    "recovery sheet.\n",
                    shown(made->key_file)));
  }
  print(fmt::format("Next: coppice backup --vault {} /home\n", shown(*location)));
  return kDone;
}
}  // namespace

void add_init(Cli& cli) {
  CLI::App* command = add_command(
      cli.app, "init", "Make a new vault, a key for this host and a recovery sheet",
      {"coppice init --vault /mnt/backup/vault",
       "coppice init --vault /mnt/backup/vault --host-role writer    this host shall not be able to read backups",
       "coppice init --vault /srv/vault --passphrase-file /root/pass --recovery-file /root/sheet.txt"});
  auto options = std::make_shared<InitOptions>();
  command->add_option("-V,--vault", cli.common.access.vault, "Directory of the new vault: missing or empty")
      ->type_name("PATH");
  command
      ->add_option(
          "--passphrase-file", cli.common.access.passphrase_file,
          "The owner's passphrase is the first line of FILE (else COPPICE_PASSPHRASE_FILE, else asked for, twice)")
      ->type_name("FILE");
  command
      ->add_option("--recovery-file", options->recovery_file,
                   "Write the recovery sheet to this new file (0600), not to the terminal")
      ->type_name("FILE");
  command
      ->add_option("--host-role", options->host_role, "reader: this host can restore too. writer: it can only back up")
      ->type_name("ROLE")
      ->transform(CLI::IsMember({"reader", "writer"}))
      ->capture_default_str();
  command->add_option("--host-name", options->host_name, "Name of this host's key in the roster (else the host's name)")
      ->type_name("NAME");
  add_common_options(cli, command, Access::kNone);
  command->callback([&cli, options, command] {
    cli.action = [&cli, options, command] { return run_init(cli.common, *options, command); };
  });
}

}  // namespace coppice::cli
