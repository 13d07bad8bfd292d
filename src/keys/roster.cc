// Verifying rosters and making the next one.
#include "keys/roster.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "crypto/hash.h"
#include "foundation/encoding.h"

namespace coppice::keys {
namespace {

using format::Member;
using format::Roster;

std::unexpected<Error> breach(std::string message) { return fail(ErrorKind::kInvalid, std::move(message)); }

bool is_member_name(std::string_view name) {
  return !name.empty() && name.size() <= format::kMemberNameBytesMax && render_printable(name) == name &&
         name.front() != ' ' && name.back() != ' ';
}

Result<> check_members(const std::vector<Member>& members) {
  std::set<format::MemberId> ids;
  std::set<format::PublicKey> signing_keys;
  std::set<std::string_view> names;
  bool owned = false;
  for (const Member& member : members) {
    if (member.id == format::MemberId{} || !ids.insert(member.id).second)
      return breach("two members of the roster have one id, or one has none");
    if (!is_member_name(member.name))
      return breach(fmt::format("a member's name is 1 to {} bytes of printable text, not \"{}\"",
                                format::kMemberNameBytesMax, render_printable(member.name)));
    if (!signing_keys.insert(member.signing_key).second)
      return breach(fmt::format("\"{}\" has the signing key of another member", member.name));
    if (is_living(member) && !names.insert(member.name).second)
      return breach(fmt::format("there is a member named \"{}\" already", member.name));
    owned = owned || (is_living(member) && member.role == format::Role::kOwner);
  }
  if (!owned) return breach("the vault would be left without an owner");
  return {};
}

Result<> check_epochs(const std::vector<format::EpochRecord>& epochs) {
  if (epochs.empty()) return breach("the roster has no epoch");
  std::set<format::PublicKey> keys;
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    if (epochs[i].number != kFirstEpoch + i) return breach("the epochs of the roster are not numbered without a gap");
    if (!keys.insert(epochs[i].public_key).second) return breach("two epochs of the roster have one key");
  }
  return {};
}

Result<Roster> next_version(const Roster& roster, const RosterMark& mark) {
  CHECK(mark.version == roster.version);
  if (roster.version == std::numeric_limits<std::uint32_t>::max()) return breach("the roster has had its last version");
  Roster next = roster;
  next.version = roster.version + 1;
  next.previous = mark.digest;
  return next;
}

Result<Roster> checked(Roster roster) {
  TRY(check_roster(roster));
  return roster;
}

bool same_member(const Member& a, const Member& b) {
  return a.id == b.id && a.role == b.role && a.slot == b.slot && a.signing_key == b.signing_key &&
         a.slot_key == b.slot_key;
}

}  // namespace

// ---- reading ----

Result<Roster> verify_roster(ByteSpan bytes, const TrustAnchor& anchor, const format::Digest& vault_description) {
  const format::Envelope envelope = TRY(format::decode_envelope(format::kRosterMagic, bytes));
  if (envelope.signer != format::MemberId{} ||
      !crypto::ed25519_verify(anchor.owner, format::signed_message(format::kRosterMagic, anchor.vault, envelope.body),
                              envelope.signature))
    return fail(ErrorKind::kUnauthentic, "the roster is not signed by the owner of this vault");
  Roster roster = TRY(format::decode_roster(envelope.body));
  if (roster.vault_description != vault_description)
    return fail(ErrorKind::kUnauthentic, "the roster was made for another vault.json than the one that is there");
  if (const Result<> rules = check_roster(roster); !rules)
    return fail(ErrorKind::kCorrupt, "the roster breaks its own rules: " + rules.error().message());
  return roster;
}

RosterMark mark_of(const Roster& roster, ByteSpan envelope) {
  return {.version = roster.version, .digest = crypto::sha256(envelope)};
}

Result<> check_not_older(const RosterMark& found, const RosterMark& seen) {
  if (found.version < seen.version)
    return fail(ErrorKind::kUnauthentic,
                fmt::format("the newest roster in the store is version {}, but version {} was seen before: "
                            "the store withholds it, or was set back",
                            found.version, seen.version));
  if (found.version == seen.version && found.digest != seen.digest)
    return fail(ErrorKind::kUnauthentic,
                fmt::format("roster version {} is another one than was seen before", found.version));
  return {};
}

Result<> check_roster(const Roster& roster) {
  if (roster.members.size() > format::kRosterMembersMax)
    return breach(fmt::format("a roster holds at most {} members", format::kRosterMembersMax));
  if (roster.epochs.size() > format::kRosterEpochsMax)
    return breach(fmt::format("a roster holds at most {} epochs", format::kRosterEpochsMax));
  if ((roster.version == 0) != (roster.previous == format::Digest{}))
    return breach("a roster names the one before it, and only the first has none");
  TRY(check_members(roster.members));
  return check_epochs(roster.epochs);
}

Result<> check_successor(const Roster& previous, const RosterMark& previous_mark, const Roster& next) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorKind::kUnauthentic,
                fmt::format("roster version {} cannot follow version {}: {}", next.version, previous.version, why));
  };
  if (std::uint64_t{next.version} != std::uint64_t{previous.version} + 1) return refuse("there is a gap");
  if (next.previous != previous_mark.digest) return refuse("it names another one");
  if (next.vault_description != previous.vault_description) return refuse("it is of another vault.json");
  for (const Member& member : previous.members) {
    const Member* same = find_member(next, member.id);
    if (!same || !same_member(member, *same))
      return refuse(fmt::format("\"{}\" is gone or has other keys", member.name));
    if (member.revoked_from && (!same->revoked_from || *same->revoked_from > *member.revoked_from || same->open_then != member.open_then))
      return refuse(fmt::format("the revocation of \"{}\" is taken back", member.name));
  }
  const auto same_epoch = [](const format::EpochRecord& a, const format::EpochRecord& b) {
    return a.number == b.number && a.public_key == b.public_key;
  };
  if (next.epochs.size() < previous.epochs.size() ||
      !std::equal(previous.epochs.begin(), previous.epochs.end(), next.epochs.begin(), same_epoch))
    return refuse("an epoch is gone or has another key");
  return {};
}

const Member* find_member(const Roster& roster, const format::MemberId& id) {
  const auto it = std::ranges::find(roster.members, id, &Member::id);
  return it == roster.members.end() ? nullptr : &*it;
}

const Member* find_living(const Roster& roster, std::string_view name) {
  const auto it = std::ranges::find_if(roster.members, [&](const Member& m) { return is_living(m) && m.name == name; });
  return it == roster.members.end() ? nullptr : &*it;
}

Result<> reconcile_bundle(const Roster& roster, KeyBundle& bundle) {
  if (bundle.member != format::MemberId{}) {
    const Member* member = find_member(roster, bundle.member);
    if (!member) return fail(ErrorKind::kDenied, "this key is no member of the vault");
    if (!is_living(*member)) return fail(ErrorKind::kDenied, fmt::format("the key \"{}\" was revoked", member->name));
    if (member->role != bundle.role || member->signing_key != crypto::ed25519_public(bundle.signing_seed))
      return fail(ErrorKind::kUnauthentic,
                  fmt::format("the key slot of \"{}\" is not what the roster says", member->name));
  }
  CHECK(!roster.epochs.empty());
  if (bundle.root)
    while (bundle.newest_epoch().number < roster.epochs.back().number) {
      EpochKey epoch;
      epoch.number = bundle.newest_epoch().number + 1;
      epoch.private_key = derive_epoch_private(*bundle.root, bundle.vault, epoch.number);
      epoch.public_key = crypto::x25519_public(*epoch.private_key);
      bundle.epochs.push_back(std::move(epoch));
    }
  // An owner who stopped between the new slots and the new roster has made an epoch that does not count yet.
  if (bundle.role == format::Role::kReader || bundle.role == format::Role::kOwner)
    while (bundle.epochs.size() > 1 && bundle.newest_epoch().number > roster.epochs.back().number)
      bundle.epochs.pop_back();
  for (const EpochKey& epoch : bundle.epochs) {
    const auto it = std::ranges::find(roster.epochs, epoch.number, &format::EpochRecord::number);
    if (it == roster.epochs.end() || it->public_key != epoch.public_key)
      return fail(ErrorKind::kUnauthentic, fmt::format("epoch {} of this key is not the roster's", epoch.number));
  }
  if (!bundle.epochs.empty() && bundle.newest_epoch().number != roster.epochs.back().number)
    return fail(
        ErrorKind::kUnauthentic,
        fmt::format(
            "this key slot stops at epoch {} and the vault is at epoch {}: it is an old copy, or was not renewed",
            bundle.newest_epoch().number, roster.epochs.back().number));
  if (bundle.role == format::Role::kReader && bundle.epochs.size() != roster.epochs.size())
    return fail(ErrorKind::kUnauthentic, "this key slot lacks epochs that the roster has");
  return {};
}

// ---- changing ----

Result<Roster> with_member_added(const Roster& roster, const RosterMark& mark, Member member) {
  Roster next = TRY(next_version(roster, mark));
  if (!is_living(member)) return breach("a new member cannot be revoked already");
  next.members.push_back(std::move(member));
  return checked(std::move(next));
}

Result<Roster> with_member_revoked(const Roster& roster, const RosterMark& mark, const format::MemberId& id,
                                   format::SessionId from, std::vector<format::SessionRange> open) {
  Roster next = TRY(next_version(roster, mark));
  const auto it = std::ranges::find(next.members, id, &Member::id);
  if (it == next.members.end()) return breach("the roster has no such member");
  if (it->revoked_from && *it->revoked_from <= from) return breach(fmt::format("\"{}\" is revoked already", it->name));
  it->revoked_from = from;
  it->open_then = std::move(open);
  return checked(std::move(next));
}

Result<Roster> with_new_epochs(const Roster& roster, const RosterMark& mark, std::span<const format::PublicKey> keys) {
  Roster next = TRY(next_version(roster, mark));
  for (const format::PublicKey& key : keys)
    next.epochs.push_back({.number = next.epochs.back().number + 1, .public_key = key});
  return checked(std::move(next));
}

Result<Roster> first_roster(const format::Digest& vault_description, std::vector<Member> members,
                            const format::PublicKey& epoch_key) {
  Roster roster;
  roster.vault_description = vault_description;
  roster.members = std::move(members);
  roster.epochs.push_back({.number = kFirstEpoch, .public_key = epoch_key});
  for (const Member& member : roster.members)
    if (!is_living(member)) return breach("a new member cannot be revoked already");
  return checked(std::move(roster));
}

Bytes sign_roster(const Roster& roster, const format::VaultId& vault, const crypto::Key& owner_seed) {
  CHECK(check_roster(roster).has_value());
  return sign_as_owner(format::kRosterMagic, vault, format::encode_roster(roster), owner_seed);
}

}  // namespace coppice::keys
