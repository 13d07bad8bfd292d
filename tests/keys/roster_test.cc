// Rosters: forged, older and ill-formed ones are refused; changes keep the rules; what members sign is checked against
// them.
#include "keys/roster.h"

#include <gtest/gtest.h>

#include "keys/fixture.h"

namespace coppice::keys {
namespace {

using format::Member;
using format::Role;
using format::Roster;
using format::SessionId;

const format::Digest kDescription = crypto::sha256(as_bytes("vault.json"));

Member member(Role role, unsigned n, std::string name) {
  const KeyBundle bundle = bundle_of(role, n);
  const KeyFileSlot made = make_key_file_slot(bundle, fixed_owner_seed(), seeded("slot of " + name));
  return describe_member(bundle, made.slot, std::move(name), {.seconds = 1000});
}

format::PublicKey epoch_key(std::uint32_t number) {
  return crypto::x25519_public(derive_epoch_private(fixed_root(), fixed_vault(), number));
}

Roster sample() {
  auto roster = first_roster(kDescription,
                             {member(Role::kOwner, 1, "olga"), member(Role::kReader, 2, "rita"),
                              member(Role::kWriter, 3, "web1"), member(Role::kKeeper, 4, "store")},
                             epoch_key(1));
  EXPECT_OK(roster);
  return *roster;
}

Bytes sign(const Roster& roster) { return sign_roster(roster, fixed_vault(), fixed_owner_seed()); }
RosterMark mark(const Roster& roster) { return mark_of(roster, sign(roster)); }

TEST(RosterVerify, AcceptsWhatTheOwnerSigned) {
  const auto verified = verify_roster(sign(sample()), fixed_anchor(), kDescription);
  ASSERT_OK(verified);
  EXPECT_EQ(verified->members.size(), 4u);
  EXPECT_EQ(find_member(*verified, member_id(3))->name, "web1");
  EXPECT_EQ(find_member(*verified, member_id(9)), nullptr);
  EXPECT_EQ(find_living(*verified, "rita")->id, member_id(2));
}

TEST(RosterVerify, RefusesForgeries) {
  const Roster roster = sample();
  // Signed by somebody else.
  EXPECT_FAILS(verify_roster(sign_roster(roster, fixed_vault(), key_of("enemy")), fixed_anchor(), kDescription),
               kUnauthentic);
  // Signed by the owner, for another vault.
  format::VaultId other = fixed_vault();
  other[0] ^= std::byte{1};
  EXPECT_FAILS(verify_roster(sign_roster(roster, other, fixed_owner_seed()), fixed_anchor(), kDescription),
               kUnauthentic);
  // Another vault.json.
  EXPECT_FAILS(verify_roster(sign(roster), fixed_anchor(), crypto::sha256(as_bytes("other"))), kUnauthentic);
  // Signed by a member, even one of role owner: a roster is the owner key's.
  format::Envelope envelope{.body = format::encode_roster(roster), .signer = member_id(1)};
  envelope.signature = crypto::ed25519_sign(key_of("signing 1"),
                                            format::signed_message(format::kRosterMagic, fixed_vault(), envelope.body));
  EXPECT_FAILS(verify_roster(format::encode_envelope(format::kRosterMagic, envelope), fixed_anchor(), kDescription),
               kUnauthentic);
  // The owner's signature over another kind of object.
  envelope.signer = {};
  envelope.signature = crypto::ed25519_sign(fixed_owner_seed(),
                                            format::signed_message(format::kPlanMagic, fixed_vault(), envelope.body));
  EXPECT_FAILS(verify_roster(format::encode_envelope(format::kRosterMagic, envelope), fixed_anchor(), kDescription),
               kUnauthentic);
}

TEST(RosterVerify, EveryFlippedByteIsRefused) {
  const Bytes bytes = sign(sample());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    Bytes changed = bytes;
    changed[at] ^= std::byte{0x40};
    EXPECT_FALSE(verify_roster(changed, fixed_anchor(), kDescription)) << at;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(verify_roster(ByteSpan(bytes).first(size), fixed_anchor(), kDescription)) << size;
}

TEST(RosterVerify, OlderThanSeenIsRefused) {
  const Roster first = sample();
  const Roster second = *with_new_epochs(first, mark(first), {{epoch_key(2)}});
  const Roster fork = *with_new_epochs(first, mark(first), {{epoch_key(3)}});
  EXPECT_OK(check_not_older(mark(second), mark(first)));
  EXPECT_OK(check_not_older(mark(second), mark(second)));
  EXPECT_FAILS(check_not_older(mark(first), mark(second)), kUnauthentic);
  EXPECT_FAILS(check_not_older(mark(fork), mark(second)), kUnauthentic);
}

TEST(RosterChange, EachIsTheNextVersion) {
  const Roster first = sample();
  const auto added = with_member_added(first, mark(first), member(Role::kWriter, 5, "web2"));
  ASSERT_OK(added);
  EXPECT_EQ(added->version, 1u);
  EXPECT_EQ(added->previous, crypto::sha256(sign(first)));
  const auto revoked = with_member_revoked(*added, mark(*added), member_id(3), {2, 7});
  ASSERT_OK(revoked);
  const auto rotated = with_new_epochs(*revoked, mark(*revoked), {{epoch_key(2)}});
  ASSERT_OK(rotated);
  EXPECT_EQ(rotated->epochs.back().number, 2u);
  EXPECT_OK(verify_roster(sign(*rotated), fixed_anchor(), kDescription));
  EXPECT_OK(check_successor(first, mark(first), *added));
  EXPECT_OK(check_successor(*added, mark(*added), *revoked));
  EXPECT_OK(check_successor(*revoked, mark(*revoked), *rotated));
  EXPECT_EQ(find_living(*rotated, "web1"), nullptr);
  EXPECT_NE(find_member(*rotated, member_id(3)), nullptr);  // what it signed before is still verified
  // The name is free again.
  EXPECT_OK(with_member_added(*rotated, mark(*rotated), member(Role::kWriter, 6, "web1")));
}

TEST(RosterChange, KeepsTheRules) {
  const Roster roster = sample();
  const RosterMark m = mark(roster);
  EXPECT_FAILS(with_member_added(roster, m, member(Role::kReader, 5, "rita")), kInvalid);       // name
  EXPECT_FAILS(with_member_added(roster, m, member(Role::kReader, 2, "other")), kInvalid);      // id
  Member same_key = member(Role::kReader, 5, "copy");
  same_key.signing_key = roster.members[1].signing_key;
  EXPECT_FAILS(with_member_added(roster, m, same_key), kInvalid);
  Member zero = member(Role::kReader, 5, "zero");
  zero.id = {};
  EXPECT_FAILS(with_member_added(roster, m, zero), kInvalid);
  for (const std::string& name : {std::string(), std::string(65, 'x'), std::string("a\nb"), std::string("\x1b[2J"),
                                  std::string("\xff"), std::string(" a"), std::string("a ")}) {
    Member named = member(Role::kReader, 5, "x");
    named.name = name;
    EXPECT_FAILS(with_member_added(roster, m, named), kInvalid);
  }
  EXPECT_FAILS(with_member_revoked(roster, m, member_id(1), {0, 0}), kInvalid);                 // the last owner
  EXPECT_FAILS(with_member_revoked(roster, m, member_id(9), {0, 0}), kInvalid);                 // nobody
  const Roster revoked = *with_member_revoked(roster, m, member_id(2), {1, 0});
  EXPECT_FAILS(with_member_revoked(revoked, mark(revoked), member_id(2), {1, 5}), kInvalid);    // later than it is
  EXPECT_OK(with_member_revoked(revoked, mark(revoked), member_id(2), {0, 5}));
  EXPECT_FAILS(with_new_epochs(roster, m, {{epoch_key(1)}}), kInvalid);                              // the same key again
  EXPECT_FAILS(first_roster(kDescription, {member(Role::kReader, 2, "r")}, epoch_key(1)), kInvalid);
  const Roster two = *with_member_added(roster, m, member(Role::kOwner, 5, "otto"));
  EXPECT_OK(with_member_revoked(two, mark(two), member_id(1), {0, 0}));
}

TEST(RosterChange, ASuccessorTakesNothingBack) {
  const Roster first = sample();
  const Roster revoked = *with_member_revoked(first, mark(first), member_id(2), {1, 0});
  const Roster good = *with_new_epochs(revoked, mark(revoked), {{epoch_key(2)}});
  const auto refused = [&](auto edit) {
    Roster next = good;
    edit(next);
    return check_successor(revoked, mark(revoked), next);
  };
  EXPECT_OK(refused([](Roster&) {}));
  EXPECT_FAILS(refused([](Roster& r) { r.version += 1; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.previous[0] ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.vault_description[0] ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.members.pop_back(); }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.members[1].revoked_from.reset(); }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.members[1].revoked_from = SessionId{1, 1}; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.members[2].role = Role::kOwner; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.members[2].slot_key[0] ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.epochs[0].public_key[0] ^= std::byte{1}; }), kUnauthentic);
  EXPECT_FAILS(refused([](Roster& r) { r.epochs.clear(); }), kUnauthentic);
}

TEST(Commit, WhoMay) {
  const Roster roster = *with_member_revoked(sample(), mark(sample()), member_id(3), {2, 7});
  EXPECT_OK(may_commit(roster, member_id(1), {5, 0}));
  EXPECT_OK(may_commit(roster, member_id(2), {5, 0}));
  EXPECT_OK(may_commit(roster, member_id(3), {2, 6}));
  EXPECT_FAILS(may_commit(roster, member_id(3), {2, 7}), kDenied);
  EXPECT_FAILS(may_commit(roster, member_id(3), {3, 0}), kDenied);
  EXPECT_FAILS(may_commit(roster, member_id(4), {0, 0}), kDenied);  // a keeper
  EXPECT_FAILS(may_commit(roster, member_id(9), {0, 0}), kDenied);
  EXPECT_OK(may_commit(roster, format::MemberId{}, {9, 9}));        // the owner key
}

TEST(Envelope, NamesItsSigner) {
  const Roster roster = sample();
  const Bytes body = to_bytes(as_bytes("a commit"));
  const auto by_writer = verify_envelope(
      format::kCommitMagic, sign_envelope(format::kCommitMagic, fixed_vault(), body, bundle_of(Role::kWriter, 3)),
      fixed_anchor(), roster, {0, 1});
  ASSERT_OK(by_writer);
  EXPECT_EQ(by_writer->signer, member_id(3));
  EXPECT_EQ(by_writer->signer_name, "web1");
  EXPECT_EQ(by_writer->role, Role::kWriter);
  EXPECT_TRUE(equal(by_writer->body, body));
  const auto by_owner_key = verify_envelope(
      format::kSealMagic,
      sign_envelope(format::kSealMagic, fixed_vault(), body, bundle_from_root(fixed_root(), fixed_vault(), 1)),
      fixed_anchor(), roster, {0, 0});
  ASSERT_OK(by_owner_key);
  EXPECT_EQ(by_owner_key->signer, format::MemberId{});
}

TEST(Envelope, WhoMaySignWhat) {
  const Roster roster = sample();
  const auto signed_by = [&](Role role, unsigned n, std::string_view magic) {
    return verify_envelope(magic, sign_envelope(magic, fixed_vault(), as_bytes("body"), bundle_of(role, n)),
                           fixed_anchor(), roster, {0, 0});
  };
  EXPECT_OK(signed_by(Role::kReader, 2, format::kForgetMagic));
  EXPECT_FAILS(signed_by(Role::kWriter, 3, format::kForgetMagic), kDenied);   // a stolen writer drops nothing
  EXPECT_FAILS(signed_by(Role::kWriter, 3, format::kSealMagic), kDenied);
  EXPECT_FAILS(signed_by(Role::kReader, 2, format::kPlanMagic), kDenied);
  EXPECT_OK(signed_by(Role::kKeeper, 4, format::kPlanMagic));
  EXPECT_FAILS(signed_by(Role::kKeeper, 4, format::kCommitMagic), kDenied);
  EXPECT_FAILS(signed_by(Role::kOwner, 1, format::kRosterMagic), kDenied);
  EXPECT_FAILS(signed_by(Role::kReader, 9, format::kCommitMagic), kUnauthentic);  // nobody the roster knows
  EXPECT_FAILS(signed_by(Role::kReader, 3, format::kForgetMagic),
               kDenied);  // the roster's role counts, not the bundle's
}

TEST(Envelope, RevocationVoidsWhatCameAfter) {
  const Roster first = sample();
  const Roster roster = *with_member_revoked(first, mark(first), member_id(2), {1, 4});
  const auto verify = [&](std::string_view magic, SessionId session) {
    return verify_envelope(magic, sign_envelope(magic, fixed_vault(), as_bytes("body"), bundle_of(Role::kReader, 2)),
                           fixed_anchor(), roster, session);
  };
  EXPECT_OK(verify(format::kCommitMagic, {1, 3}));
  EXPECT_FAILS(verify(format::kCommitMagic, {1, 4}), kDenied);
  EXPECT_FAILS(verify(format::kForgetMagic, {0, 1}), kDenied);  // of an old snapshot, but who knows when it was signed
}

TEST(Envelope, EveryFlippedByteIsRefused) {
  const Roster roster = sample();
  const Bytes bytes =
      sign_envelope(format::kCommitMagic, fixed_vault(), as_bytes("body of a commit"), bundle_of(Role::kReader, 2));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    Bytes changed = bytes;
    changed[at] ^= std::byte{0x20};
    EXPECT_FALSE(verify_envelope(format::kCommitMagic, changed, fixed_anchor(), roster, {0, 0})) << at;
  }
  TrustAnchor elsewhere = fixed_anchor();
  elsewhere.vault[1] ^= std::byte{1};
  EXPECT_FAILS(verify_envelope(format::kCommitMagic, bytes, elsewhere, roster, {0, 0}), kUnauthentic);
  EXPECT_FALSE(verify_envelope(format::kClaimMagic, bytes, fixed_anchor(), roster, {0, 0}));
}

TEST(Reconcile, BringsAnOwnerUpToDateAndFindsOldSlots) {
  const Roster first = sample();
  const Roster rotated = *with_new_epochs(first, mark(first), {{epoch_key(2)}});
  KeyBundle owner = bundle_of(Role::kOwner, 1), reader = bundle_of(Role::kReader, 2),
            writer = bundle_of(Role::kWriter, 3), keeper = bundle_of(Role::kKeeper, 4),
            sheet = bundle_from_root(fixed_root(), fixed_vault(), 1);
  for (KeyBundle* bundle : {&owner, &reader, &writer, &keeper, &sheet}) EXPECT_OK(reconcile_bundle(first, *bundle));
  EXPECT_OK(reconcile_bundle(rotated, owner));
  EXPECT_EQ(owner.newest_epoch().number, 2u);
  EXPECT_OK(reconcile_bundle(rotated, sheet));
  EXPECT_OK(reconcile_bundle(rotated, keeper));
  EXPECT_FAILS(reconcile_bundle(rotated, reader), kUnauthentic);
  EXPECT_FAILS(reconcile_bundle(rotated, writer), kUnauthentic);
  KeyBundle renewed = bundle_of(Role::kReader, 2, 2);
  EXPECT_OK(reconcile_bundle(rotated, renewed));
  // Slots were renewed, and the owner stopped before the roster was.
  EXPECT_OK(reconcile_bundle(first, renewed));
  EXPECT_EQ(renewed.newest_epoch().number, 1u);
}

TEST(Reconcile, RefusesStrangersTheRevokedAndOtherKeys) {
  const Roster first = sample();
  KeyBundle stranger = bundle_of(Role::kReader, 9), other_role = bundle_of(Role::kReader, 3),
            reader = bundle_of(Role::kReader, 2);
  KeyBundle other_key = make_bundle(fixed_root(), fixed_vault(), Role::kReader, member_id(2), key_of("x"), 1);
  EXPECT_FAILS(reconcile_bundle(first, stranger), kDenied);
  EXPECT_FAILS(reconcile_bundle(first, other_role), kUnauthentic);
  EXPECT_FAILS(reconcile_bundle(first, other_key), kUnauthentic);
  const Roster revoked = *with_member_revoked(first, mark(first), member_id(2), {0, 0});
  EXPECT_FAILS(reconcile_bundle(revoked, reader), kDenied);
  KeyBundle other_root = make_bundle(key_of("r"), fixed_vault(), Role::kKeeper, member_id(4), key_of("signing 4"), 1);
  EXPECT_OK(reconcile_bundle(
      first, other_root));  // a keeper holds no epoch to compare; its anchor was checked when it was opened
}

}  // namespace
}  // namespace coppice::keys
