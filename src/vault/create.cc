// create_vault: see vault/create.h for why the order of puts is what it is.
#include "vault/create.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/hash.h"
#include "format/snapshot.h"
#include "keys/slot.h"
#include "keys/bundle.h"
#include "keys/roster.h"

namespace coppice::vault {
namespace {

struct ObjectToPut {
  std::string name;
  Bytes bytes;
};

Result<> check_slots(const std::vector<format::Member>& members, const std::vector<format::KeySlot>& slots) {
  if (members.size() != slots.size())
    return fail(ErrorKind::kInvalid,
                fmt::format("{} members and {} key slots do not belong together", members.size(), slots.size()));
  for (const format::Member& member : members) {
    const auto slot = std::ranges::find(slots, member.id, &format::KeySlot::member);
    if (slot == slots.end() || slot->role != member.role || slot->kind != member.slot ||
        slot->slot_key != member.slot_key)
      return fail(ErrorKind::kInvalid, fmt::format("there is no key slot for the member \"{}\"", member.name));
  }
  return {};
}

// Every object of a new vault in the order of the puts, each decoded again before anything is stored.
Result<std::vector<ObjectToPut>> build_objects(const NewVault& vault, const std::vector<format::Member>& members,
                                               const std::vector<format::KeySlot>& slots, Timestamp now) {
  const keys::KeyBundle owner = keys::bundle_from_root(vault.root, vault.id, keys::kFirstEpoch);
  format::VaultDescription description;
  description.id = vault.id;
  description.owner = owner.owner;
  description.created = now;
  Bytes description_bytes = format::encode_vault_description(description);
  const format::Digest description_hash = crypto::sha256(description_bytes);

  const format::Roster roster = TRY(keys::first_roster(description_hash, members, owner.newest_epoch().public_key));
  Bytes roster_bytes = keys::sign_roster(roster, vault.id, keys::derive_owner_seed(vault.root, vault.id));
  const Bytes generation = format::encode_empty_generation(0);

  std::vector<ObjectToPut> objects;
  objects.push_back({format::plan_object(0), keys::sign_envelope(format::kPlanMagic, vault.id, generation, owner)});
  objects.push_back({format::seal_object(0), keys::sign_envelope(format::kSealMagic, vault.id, generation, owner)});
  for (const format::KeySlot& slot : slots)
    objects.push_back({format::key_object(slot.member), keys::encode_slot_object(slot)});
  objects.push_back({format::roster_object(0), std::move(roster_bytes)});
  objects.push_back({std::string(format::kVaultObject), std::move(description_bytes)});

  CHECK(format::decode_vault_description(objects.back().bytes).has_value());
  CHECK(keys::verify_roster(objects[objects.size() - 2].bytes, owner.anchor(), description_hash).has_value());
  for (std::size_t i = 2; i < objects.size() - 2; ++i) CHECK(keys::read_slot_object(objects[i].bytes)->intact);
  return objects;
}

Result<bool> vault_is_there(storage::ObjectStore& store) {
  const Result<std::uint64_t> size = store.size(format::kVaultObject);
  if (size) return true;
  if (size.error().kind() == ErrorKind::kNotFound) return false;
  return std::unexpected(size.error());
}

std::unexpected<Error> refuse_taken(storage::ObjectStore& store) {
  return fail(ErrorKind::kConflict, fmt::format("there is a vault at {} already", store.describe()));
}

std::unexpected<Error> refuse_debris(storage::ObjectStore& store, std::string_view object) {
  return fail(
      ErrorKind::kConflict,
      fmt::format(
          "{0} is not empty: {1} is there, but no vault.json. An init that did not finish leaves such objects, and no "
          "key to them exists. If no other init is at work, empty {0} and try again, or choose another place",
          store.describe(), object));
}

// A list may be stale; it only lets us refuse before anything is stored. What decides are the puts.
Result<> refuse_unless_empty(storage::ObjectStore& store) {
  if (TRY(vault_is_there(store))) return refuse_taken(store);
  std::string found;
  const Result<> listed = store.list("", [&](const storage::ObjectInfo& object) -> Result<> {
    found = object.name;
    return fail(ErrorKind::kCancelled, "one is enough");
  });
  if (!found.empty()) return refuse_debris(store, found);
  return listed;
}

}  // namespace

Result<> create_vault(storage::ObjectStore& store, const NewVault& vault, const std::vector<format::Member>& members,
                      const std::vector<format::KeySlot>& slots, const platform::Clock& clock) {
  TRY(check_slots(members, slots));
  const std::vector<ObjectToPut> objects = TRY(build_objects(vault, members, slots, clock.now()));
  TRY(refuse_unless_empty(store));
  for (const ObjectToPut& object : objects) {
    Result<> stored = storage::put_or_confirm(store, object.name, object.bytes);
    if (stored) continue;
    if (stored.error().kind() == ErrorKind::kConflict) {
      if (const Result<bool> there = vault_is_there(store); there && *there) return refuse_taken(store);
      return refuse_debris(store, object.name);
    }
    const bool last = object.name == format::kVaultObject;
    return std::unexpected(std::move(stored).error().within(
        last ? "storing vault.json, the last object of a new vault (it may or may not be there now: open the vault to "
               "see)"
             : fmt::format("storing {} (no vault was made; empty {} before the next init)", object.name,
                           store.describe())));
  }
  return {};
}

}  // namespace coppice::vault
