// Making a vault. The host's key file and the recovery sheet are on disk before the vault is: a vault that exists can
// be opened.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "keys/recovery_sheet.h"
#include "platform/file.h"
#include "foundation/encoding.h"
#include "storage/directory_store.h"
#include "tasks/key_admin.h"
#include "tasks/places.h"
#include "vault/create.h"

namespace coppice::tasks {

namespace {
std::unexpected<Error> not_empty(const std::string& location) {
  return fail(ErrorKind::kConflict, fmt::format("{} is not empty; a new vault needs an empty or a new directory", location));
}

// Takes away what a failed init stored. Directories only when empty: nothing of anybody else's can go with them.
void clear_store(storage::ObjectStore& store, const std::string& location) {
  std::vector<std::string> names;
  (void)store.list("", [&](const storage::ObjectInfo& info) -> Result<> {
    names.push_back(info.name);
    return {};
  });
  for (const auto& name : names) (void)store.remove(name);
  std::vector<std::string> directories{location};
  std::error_code ignored;
  for (std::filesystem::recursive_directory_iterator it(location, ignored), end; it != end; it.increment(ignored)) {
    if (it->is_directory(ignored)) directories.push_back(it->path().string());
  }
  for (auto it = directories.rbegin(); it != directories.rend(); ++it) rmdir(it->c_str());
}
}  // namespace

Result<> check_place_for_vault(const std::string& location) {
  struct stat st{};
  if (stat((location + "/" + std::string(format::kVaultObject)).c_str(), &st) == 0)
    return fail(ErrorKind::kConflict, fmt::format("there is a vault at {} already", location));
  auto vacant = storage::check_vacant(location);
  return !vacant && vacant.error().kind() == ErrorKind::kConflict ? not_empty(location) : vacant;
}

Result<InitResult> init_vault(const InitRequest& request, const platform::Clock& clock, platform::Entropy& entropy) {
  TRY(check_place_for_vault(request.location));
  const keys::Random random = random_of(entropy);
  vault::NewVault vault;
  random(vault.id);
  random(vault.root.writable());
  const crypto::Key owner_seed = keys::derive_owner_seed(vault.root, vault.id);
  const Timestamp now = clock.now();

  const auto bundle_of = [&](format::Role role) {
    format::MemberId id{};
    random(id);
    return keys::make_bundle(vault.root, vault.id, role, id, derive_signing_seed(vault.root, vault.id, id),
                             keys::kFirstEpoch);
  };
  const keys::KeyBundle owner = bundle_of(format::Role::kOwner), host = bundle_of(request.host_role);
  const format::KeySlot owner_slot =
      TRY(keys::make_passphrase_slot(owner, owner_seed, request.passphrase.view(), request.cost, random));
  const keys::KeyFileSlot host_slot = keys::make_key_file_slot(host, owner_seed, random);
  const std::string host_name = request.host_name == "owner" ? "owner-host" : request.host_name;
  const std::vector<format::Member> members{keys::describe_member(owner, owner_slot, "owner", now),
                                            keys::describe_member(host, host_slot.slot, host_name, now)};

  InitResult result;
  result.anchor = {vault.id, crypto::ed25519_public(owner_seed)};
  result.key_file = request.keys_directory + "/" + render_hex(vault.id) + ".key";
  result.sheet = keys::render_recovery_sheet(vault.id, vault.root, request.location, now);

  auto store = storage::create_directory_store(request.location);
  if (!store) {
    if (store.error().kind() == ErrorKind::kConflict) return not_empty(request.location);
    return std::unexpected(std::move(store).error());
  }
  bool key_written = false, sheet_written = false, creating = false;
  const auto write_all = [&]() -> Result<> {
    TRY(platform::make_directories(request.keys_directory, 0700));
    TRY(write_new_secret_file(result.key_file, keys::render_key_file(host_slot.file).view()));
    key_written = true;
    if (!request.recovery_file.empty()) {
      TRY(write_new_secret_file(request.recovery_file, result.sheet.view()));
      sheet_written = true;
    }
    creating = true;
    return vault::create_vault(**store, vault, members, {owner_slot, host_slot.slot}, clock);
  };
  if (auto written = write_all(); !written) {
    if (key_written) unlink(result.key_file.c_str());
    if (sheet_written) unlink(request.recovery_file.c_str());
    // A conflict at that point means that another init won the race: the vault is theirs.
    if (!creating || written.error().kind() != ErrorKind::kConflict) clear_store(**store, request.location);
    return std::unexpected(std::move(written).error());
  }
  return result;
}

}  // namespace coppice::tasks
