// The roster: who may do what in a vault, on the owner's word. And what members sign, checked against it.
//
// A roster is an envelope signed by the owner key (signer id zero). Versions form a chain: each names the hash of the
// one before. A store can withhold new versions; clients remember the newest they saw (RosterMark) and refuse what lies
// before it.
#pragma once

#include <string>
#include <string_view>

#include "format/keyring.h"
#include "format/snapshot.h"
#include "foundation/result.h"
#include "keys/bundle.h"

namespace coppice::keys {

// ---- reading ----

// The roster in `envelope`: signed by the anchor's owner key for the anchor's vault, bound to that vault.json, and
// keeping the rules of check_roster. kUnauthentic, kCorrupt, kUnsupported.
Result<format::Roster> verify_roster(ByteSpan envelope, const TrustAnchor& anchor,
                                     const format::Digest& vault_description);

// What a client remembers of the newest roster that it saw.
struct RosterMark {
  std::uint32_t version = 0;
  format::Digest digest{};       // SHA-256 of the envelope
  bool operator==(const RosterMark&) const = default;
};
RosterMark mark_of(const format::Roster& roster, ByteSpan envelope);
// kUnauthentic when `found` is older than what was seen, or another roster under the same number.
Result<> check_not_older(const RosterMark& found, const RosterMark& seen);

// The rules that any roster keeps (kInvalid): member ids not zero and unique, names valid and unique among the living,
// no signing key twice, at least one living owner, epochs from kFirstEpoch without a gap, no epoch key twice.
Result<> check_roster(const format::Roster& roster);
// That `next` may follow `previous` (kUnauthentic): it names it, members stay and keep their keys, no revocation is
// taken back, epochs are only added.
Result<> check_successor(const format::Roster& previous, const RosterMark& previous_mark, const format::Roster& next);

const format::Member* find_member(const format::Roster& roster, const format::MemberId& id);          // null: none
const format::Member* find_living(const format::Roster& roster, std::string_view name);               // null: none
inline bool is_living(const format::Member& member) { return !member.revoked_from.has_value(); }

// Compares an opened bundle with the roster and brings it up to date: an owner derives the epochs it lacks, and epochs
// that the roster does not have yet are dropped (renewed slots are stored before the roster that needs them; a writer's
// slot, which holds one epoch only, is then the one before, keys/<member>[.<older epoch>]). kDenied: no member, or
// revoked. kUnauthentic: role or keys are not the roster's, or the bundle lacks an epoch that the roster has (the store
// gave us an old slot, or the slot was not renewed).
Result<> reconcile_bundle(const format::Roster& roster, KeyBundle& bundle);

// ---- changing: each returns the next version, to be signed; kInvalid says which rule it would break ----

Result<format::Roster> with_member_added(const format::Roster& roster, const RosterMark& mark, format::Member member);
// The member's commits at `from` or later are void, and those at `open`, the earlier sessions that have no commit yet. Its keys are not taken back by that: it still knows its epochs, so
// a new epoch should follow, sealed to all the others.
Result<format::Roster> with_member_revoked(const format::Roster& roster, const RosterMark& mark,
                                           const format::MemberId& member, format::SessionId from,
                                           std::vector<format::SessionRange> open = {});
// The epochs after the roster's last, by their keys.
Result<format::Roster> with_new_epochs(const format::Roster& roster, const RosterMark& mark,
                                       std::span<const format::PublicKey> keys);
// Version 0.
Result<format::Roster> first_roster(const format::Digest& vault_description, std::vector<format::Member> members,
                                    const format::PublicKey& epoch_key);

Bytes sign_roster(const format::Roster& roster, const format::VaultId& vault, const crypto::Key& owner_seed);

// ---- what members sign ----

// Who may sign what. Owner: everything but a roster, which is the owner key's. Reader: claims, commits, forgets.
// Writer: claims and commits only, so that a stolen one drops nothing. Keeper: forgets, plans and seals.
bool role_may_sign(format::Role role, std::string_view magic);

// kDenied unless the member's role may commit and it is not revoked from that session on.
Result<> may_commit(const format::Roster& roster, const format::MemberId& member, format::SessionId session);

// By the owner key itself: signer zero.
Bytes sign_as_owner(std::string_view magic, const format::VaultId& vault, ByteSpan body, const crypto::Key& owner_seed);
Bytes sign_envelope(std::string_view magic, const format::VaultId& vault, ByteSpan body, const KeyBundle& bundle);

struct Signed {
  Bytes body;
  format::MemberId signer{};     // zero: the owner key itself
  std::string signer_name;       // "owner key" for that one
  format::Role role = format::Role::kOwner;
};
// The body of an envelope whose signature is that of the owner key or of a member that may sign such a thing in
// `session`. A forget carries no session of its own, only that of the snapshot it drops: so a revoked member's forgets
// are all void. kUnauthentic: not signed by whom it says, or by nobody known. kDenied: signed, but by one who may not.
// kCorrupt, kUnsupported.
Result<Signed> verify_envelope(std::string_view magic, ByteSpan bytes, const TrustAnchor& anchor,
                               const format::Roster& roster, format::SessionId session);

}  // namespace coppice::keys
