#include "tasks/key_admin.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "crypto/hash.h"
#include "foundation/check.h"
#include "foundation/encoding.h"
#include "packs/session.h"
#include "platform/file.h"
#include "tasks/vault_access.h"

namespace coppice::tasks {

namespace {
constexpr std::uint32_t kRotationsCutShortMax = 64;
constexpr int kTriesWhileSlotsArrive = 4;

// Names that are taken, and slots that go away meanwhile.
std::unexpected<Error> told_as_race(Error error) {
  if (error.kind() != ErrorKind::kConflict && error.kind() != ErrorKind::kNotFound) return std::unexpected(std::move(error));
  return fail(ErrorKind::kConflict,
              "somebody else changed the vault's keys just now; look at 'coppice key list' and try again");
}

// What every change starts from: the owner's seeds, and the roster with its mark as it stands in the store.
struct Owner {
  const vault::Vault& vault;
  const crypto::Key& root;
  crypto::Key seed;
  format::Roster roster;
  keys::RosterMark mark;

  static Result<Owner> of(const vault::Vault& vault) {
    if (!vault.keys().root) return fail(ErrorKind::kDenied, "changing who holds keys needs the owner's key");
    const crypto::Key& root = *vault.keys().root;
    const Bytes envelope =
        TRY(vault.store().get(format::roster_object(vault.roster().version), format::kControlObjectBytesMax));
    auto roster = TRY(keys::verify_roster(envelope, vault.keys().anchor(), vault.roster().vault_description));
    CHECK(roster.version == vault.roster().version);
    const keys::RosterMark mark = keys::mark_of(roster, envelope);
    return Owner{vault, root, keys::derive_owner_seed(root, vault.id()), std::move(roster), mark};
  }

  // Stores `next` as the newest roster; from then on it is what the following change starts from.
  Result<> publish(format::Roster next) {
    const Bytes envelope = keys::sign_roster(next, vault.id(), seed);
    auto put = storage::put_or_confirm(vault.store(), format::roster_object(next.version), envelope);
    if (!put) return told_as_race(std::move(put).error());
    mark = keys::mark_of(next, envelope);
    roster = std::move(next);
    return {};
  }

  keys::KeyBundle bundle_for(const format::MemberId& member, format::Role role, std::uint32_t epoch) const {
    return keys::make_bundle(root, vault.id(), role, member, derive_signing_seed(root, vault.id(), member), epoch);
  }
};

// What a revoked member signs counts only where a commit stands now: names are never used twice, so nothing that it signs from now on does.
struct Boundary {
  format::SessionId from;                  // the first session that nobody has begun, behind all valid commits
  std::vector<format::SessionRange> open;  // those before it that have no commit
};

Result<Boundary> find_boundary(const vault::Vault& vault) {
  storage::ObjectStore& store = vault.store();
  format::SessionId after;
  for (const vault::Snapshot& snapshot : TRY(vault.snapshots(true)).snapshots) after = std::max(after, packs::session_after(snapshot.session));
  Boundary boundary{.from = TRY(packs::find_free_session(store, after)), .open = {}};
  std::vector<format::SessionId> committed, claimed;
  TRY(store.list("snapshots/", [&](const storage::ObjectInfo& info) -> Result<> {
    if (const auto session = format::parse_snapshot_object(info.name); session && *session < boundary.from) committed.push_back(*session);
    return {};
  }));
  std::ranges::sort(committed);
  // The list is a hint: of what was begun, it is asked for by name.
  TRY(store.list("generations/", [&](const storage::ObjectInfo& info) -> Result<> {
    if (const auto session = format::parse_slot_object(info.name); session && *session < boundary.from && !std::ranges::binary_search(committed, *session))
      claimed.push_back(*session);
    return {};
  }));
  for (const format::SessionId session : claimed)
    if (TRY(storage::is_taken(store, format::snapshot_object(session)))) committed.push_back(session);
  std::ranges::sort(committed);
  committed.push_back(boundary.from);
  std::uint32_t next = 0;
  for (const format::SessionId session : committed) {
    if (session.slot > next) boundary.open.push_back({{session.generation, next}, session.slot - next});
    next = session.slot + 1;
  }
  if (boundary.open.size() > format::kRosterOpenRangesMax)
    return fail(ErrorKind::kUnsupported, fmt::format("sessions without a snapshot lie in {} places: more than a roster can name", boundary.open.size()));
  return boundary;
}

// The epoch for a rotation to make. Slots of a later epoch than the roster's were left by rotations that were cut short.
// Members removed since may have seen their keys, so those epochs enter the roster as old ones, and the new one comes
// after them. Adds to `objects` the slots that the list lacks.
Result<std::uint32_t> next_epoch(storage::ObjectStore& store, const format::Roster& roster, std::vector<SlotObject>& objects) {
  const std::uint32_t current = roster.epochs.back().number;
  std::vector<format::MemberId> members;
  for (const auto& member : roster.members) members.push_back(member.id);
  TRY(add_unlisted_slots(store, members, {current, 0}, objects));
  std::uint32_t next = current + 1;
  for (const auto& object : objects) next = std::max(next, object.epoch + 1);
  for (;; ++next) {
    if (next - current > kRotationsCutShortMax)
      return fail(ErrorKind::kCorrupt, fmt::format("the vault has key slots of epoch {}, but its roster ends at {}", next - 1, current));
    const std::size_t known = objects.size();
    TRY(add_unlisted_slots(store, members, {next}, objects));
    if (objects.size() == known) return next;
  }
}

// Stores a slot of a new epoch for every living member. kConflict: another's stands in the place of one.
Result<Rotation> renew_slots(const Owner& owner) {
  storage::ObjectStore& store = owner.vault.store();
  const keys::Random random = random_of(owner.vault.entropy());
  auto objects = TRY(list_slots(store));
  Rotation rotation{.epoch = TRY(next_epoch(store, owner.roster, objects))};
  for (const auto& member : owner.roster.members) {
    if (!keys::is_living(member)) continue;
    const keys::KeyBundle bundle = owner.bundle_for(member.id, member.role, rotation.epoch);
    // By the newest of its slots that is whole.
    std::optional<Result<format::KeySlot>> renewed;
    for (const SlotObject& object : objects) {
      if (object.member != member.id || (renewed && *renewed)) continue;
      const auto reseal = [&]() -> Result<format::KeySlot> {
        return within(keys::reseal_slot(TRY(read_slot(store, object)), member, bundle, owner.seed, random), object.name);
      };
      auto resealed = reseal();
      if (!renewed || resealed) renewed = std::move(resealed);
    }
    if (!renewed) {
      rotation.without_slot.push_back(member.name);
      continue;
    }
    TRY(storage::put_or_confirm(store, slot_object_name(member.id, rotation.epoch), keys::encode_slot_object(TRY(std::move(*renewed)))));
    rotation.renewed.push_back(member.name);
  }
  return rotation;
}
}  // namespace

crypto::Key derive_signing_seed(const crypto::Key& root, const format::VaultId& vault, const format::MemberId& member) {
  return crypto::hkdf_key(root.view(), vault, "coppice 1 member signing " + render_hex(member));
}

keys::Random random_of(platform::Entropy& entropy) {
  return [&entropy](MutableByteSpan into) { entropy.fill(into); };
}

std::string member_name_of(std::string_view host) {
  std::string name;
  for (const char c : host.substr(0, format::kMemberNameBytesMax)) name.push_back(c > 0x20 && c < 0x7f ? c : '-');
  return name.empty() ? "host" : name;
}

Result<> check_no_file_at(const std::string& path) {
  if (struct stat status {}; ::lstat(path.c_str(), &status) == 0)
    return fail(ErrorKind::kConflict, fmt::format("{} is there already; it is not overwritten", path));
  return {};
}

Result<> write_new_secret_file(const std::string& path, ByteSpan bytes) {
  const std::size_t slash = path.find_last_of('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  TRY(check_no_file_at(path));
  const auto file = TRY(platform::open_at(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  const auto write = [&]() -> Result<> {
    TRY(platform::write_full(file.get(), bytes));
    TRY(platform::sync_fd(file.get()));
    const auto parent = TRY(platform::open_at(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY));
    return platform::sync_fd(parent.get());
  };
  auto written = within(write(), path);
  if (!written) unlink(path.c_str());
  return written;
}

Result<format::Member> add_member(const vault::Vault& vault, NewMember request, crypto::Argon2Cost cost) {
  Owner owner = TRY(Owner::of(vault));
  if (keys::find_living(owner.roster, request.name)) {
    return fail(ErrorKind::kConflict, fmt::format("there is a key named '{0}' already: choose another name, or take it away first by `coppice key remove {0}`, when "
                                                  "its host is gone or makes its backups with the new key from now on", render_printable(request.name)));
  }
  const keys::Random random = random_of(vault.entropy());
  format::MemberId id{};
  random(id);
  const keys::KeyBundle bundle = owner.bundle_for(id, request.role, owner.roster.epochs.back().number);
  format::KeySlot slot;
  std::string key_file;
  crypto::SecretBytes key_text;
  if (const auto* passphrase = std::get_if<crypto::SecretBytes>(&request.by)) {
    slot = TRY(keys::make_passphrase_slot(bundle, owner.seed, passphrase->view(), cost, random));
  } else if (const auto* recipient = std::get_if<format::PublicKey>(&request.by)) {
    slot = TRY(keys::make_recipient_slot(bundle, owner.seed, *recipient, random));
  } else {
    auto made = keys::make_key_file_slot(bundle, owner.seed, random);
    slot = std::move(made.slot);
    key_file = std::get<NewMember::ByKeyFile>(request.by).path;
    key_text = keys::render_key_file(made.file);
  }
  format::Member member = keys::describe_member(bundle, slot, request.name, vault.clock().now());
  auto next =
      TRY(keys::with_member_added(owner.roster, owner.mark, member));  // before anything is written: names and rules
  if (!key_file.empty()) TRY(write_new_secret_file(key_file, key_text.view()));
  const auto publish = [&]() -> Result<> {
    TRY(storage::put_or_confirm(vault.store(), slot_object_name(id, 0), keys::encode_slot_object(slot)));
    return owner.publish(std::move(next));
  };
  if (auto published = publish(); !published) {
    if (!key_file.empty()) unlink(key_file.c_str());
    if (published.error().kind() == ErrorKind::kConflict) (void)vault.store().remove(slot_object_name(id, 0));   // no roster will name it
    return std::unexpected(std::move(published).error());
  }
  return member;
}

Result<Removal> remove_member(const vault::Vault& vault, std::string_view name, ItsForgets its_forgets) {
  Owner owner = TRY(Owner::of(vault));
  const format::Member* found = keys::find_living(owner.roster, name);
  if (!found) return fail(ErrorKind::kNotFound, fmt::format("no key in use is named '{}'", render_printable(name)));
  format::Member member = *found;
  const std::vector<vault::Snapshot> forgotten = TRY(vault.forgotten_by(member.id));
  if (its_forgets == ItsForgets::kStand)
    for (const vault::Snapshot& snapshot : forgotten) TRY(vault.adopt_forget(snapshot, member.id, owner.seed));
  Boundary boundary = TRY(find_boundary(vault));
  auto next = TRY(keys::with_member_revoked(owner.roster, owner.mark, member.id, boundary.from, std::move(boundary.open)));
  TRY(owner.publish(std::move(next)));
  // A slot of an epoch that the roster does not have stays: it tells the next rotation that this member has seen its key.
  const std::uint32_t current = owner.roster.epochs.back().number;
  auto objects = TRY(list_slots(vault.store()));
  TRY(add_unlisted_slots(vault.store(), {{member.id}}, {current, 0}, objects));
  for (const auto& object : objects) {
    if (object.member == member.id && object.epoch <= current) TRY(vault.store().remove(object.name));
  }
  return Removal{std::move(member), forgotten.size()};
}

Result<Rotation> rotate_epoch(const vault::Vault& vault) {
  Owner owner = TRY(Owner::of(vault));
  Result<Rotation> rotation = renew_slots(owner);
  // A slot of a rotation that died may arrive only now, where the next one is about to be put: its epoch is one more to go past.
  for (int tries = kTriesWhileSlotsArrive; !rotation && rotation.error().kind() == ErrorKind::kConflict && tries > 0; --tries) rotation = renew_slots(owner);
  if (!rotation) return told_as_race(std::move(rotation).error());
  // All in one roster: between two, a holder whose slot of the first is missing could not open the vault.
  std::vector<format::PublicKey> epoch_keys;
  for (std::uint32_t epoch = owner.roster.epochs.back().number + 1; epoch <= rotation->epoch; ++epoch)
    epoch_keys.push_back(crypto::x25519_public(keys::derive_epoch_private(owner.root, vault.id(), epoch)));
  TRY(owner.publish(TRY(keys::with_new_epochs(owner.roster, owner.mark, epoch_keys))));
  return rotation;
}

}  // namespace coppice::tasks
