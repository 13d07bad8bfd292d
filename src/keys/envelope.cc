// What members sign, and whether they might.
#include <fmt/format.h>

#include "keys/key_file.h"
#include "keys/roster.h"

namespace coppice::keys {
namespace {

using format::Role;

std::string_view magic_noun(std::string_view magic) {
  if (magic == format::kClaimMagic) return "claims";
  if (magic == format::kCommitMagic) return "snapshots";
  if (magic == format::kForgetMagic) return "forgets";
  if (magic == format::kPlanMagic) return "plans";
  if (magic == format::kSealMagic) return "seals";
  return "such objects";
}

Result<> may_sign(const format::Member& member, std::string_view magic, format::SessionId session) {
  if (!role_may_sign(member.role, magic))
    return fail(ErrorKind::kDenied, fmt::format("\"{}\" is a {}, who may sign no {}", member.name,
                                                role_name(member.role), magic_noun(magic)));
  // A forget says nothing of when it was signed.
  if (member.revoked_from && (magic == format::kForgetMagic || session >= *member.revoked_from))
    return fail(ErrorKind::kDenied, fmt::format("\"{}\" was revoked from session {}.{} on", member.name,
                                                member.revoked_from->generation, member.revoked_from->slot));
  if (magic == format::kCommitMagic && member.is_void(session))
    return fail(ErrorKind::kDenied, fmt::format("\"{}\" had committed no session {}.{} when its key was removed", member.name, session.generation, session.slot));
  return {};
}

}  // namespace

bool role_may_sign(Role role, std::string_view magic) {
  const bool session = magic == format::kClaimMagic || magic == format::kCommitMagic,
             forget = magic == format::kForgetMagic,
             reclaim = magic == format::kPlanMagic || magic == format::kSealMagic;
  switch (role) {
    case Role::kOwner:
      return session || forget || reclaim;
    case Role::kReader:
      return session || forget;
    case Role::kWriter:
      return session;
    case Role::kKeeper:
      return forget || reclaim;
  }
  return false;
}

Result<> may_commit(const format::Roster& roster, const format::MemberId& member, format::SessionId session) {
  if (member == format::MemberId{}) return {};  // the owner key itself
  const format::Member* found = find_member(roster, member);
  if (!found) return fail(ErrorKind::kDenied, "this key is no member of the vault");
  return may_sign(*found, format::kCommitMagic, session);
}

static Bytes sign(std::string_view magic, const format::VaultId& vault, ByteSpan body, const format::MemberId& signer, const crypto::Key& seed) {
  format::Envelope envelope;
  envelope.body = to_bytes(body);
  envelope.signer = signer;
  envelope.signature = crypto::ed25519_sign(seed, format::signed_message(magic, vault, body));
  return format::encode_envelope(magic, envelope);
}

Bytes sign_envelope(std::string_view magic, const format::VaultId& vault, ByteSpan body, const KeyBundle& bundle) {
  CHECK(vault == bundle.vault);
  return sign(magic, vault, body, bundle.member, bundle.signing_seed);
}

Bytes sign_as_owner(std::string_view magic, const format::VaultId& vault, ByteSpan body, const crypto::Key& owner_seed) {
  return sign(magic, vault, body, format::MemberId{}, owner_seed);
}

Result<Signed> verify_envelope(std::string_view magic, ByteSpan bytes, const TrustAnchor& anchor,
                               const format::Roster& roster, format::SessionId session) {
  format::Envelope envelope = TRY(format::decode_envelope(magic, bytes));
  const bool by_owner_key = envelope.signer == format::MemberId{};
  const format::Member* member = by_owner_key ? nullptr : find_member(roster, envelope.signer);
  if (!by_owner_key && !member) return fail(ErrorKind::kUnauthentic, "it is signed by nobody whom the roster knows");
  const format::PublicKey& key = by_owner_key ? anchor.owner : member->signing_key;
  if (!crypto::ed25519_verify(key, format::signed_message(magic, anchor.vault, envelope.body), envelope.signature))
    return fail(ErrorKind::kUnauthentic,
                fmt::format("its signature is not that of \"{}\"", by_owner_key ? "owner key" : member->name));
  if (member) TRY(may_sign(*member, magic, session));
  Signed out;
  out.body = std::move(envelope.body);
  out.signer = envelope.signer;
  out.signer_name = by_owner_key ? "owner key" : member->name;
  out.role = by_owner_key ? Role::kOwner : member->role;
  return out;
}

}  // namespace coppice::keys
