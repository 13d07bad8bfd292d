// Wrapping, sealing and opening of key slots. The scheme and its argument stand in keys/slot.h.
#include "keys/slot.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "secret_writer.h"

namespace coppice::keys {
namespace {

using crypto::Key;
using crypto::SecretBytes;
using format::KeySlot;
using format::SlotKind;

constexpr std::string_view kBundleLabel{"coppice 1 bundle\0", 17};
constexpr std::string_view kHeaderLabel{"coppice 1 slot\0", 15};
constexpr std::string_view kBoxContext = "coppice 1 slot bundle";
constexpr std::string_view kCommitmentInfo = "coppice 1 slot commitment";
constexpr std::string_view kWrapInfo = "coppice 1 slot wrap";
constexpr std::size_t kCommitmentBytes = 32, kWrappedPlainBytes = 16 + 32 + 32;
constexpr auto kSuite = crypto::Suite::kChaCha20Poly1305;
static_assert(format::kSlotWrappedPassphraseBytes == kCommitmentBytes + kWrappedPlainBytes + crypto::kAeadTagBytes);
static_assert(format::kSlotArgon2MemoryKibMin == crypto::kArgon2MemoryKibMin &&
              format::kSlotArgon2MemoryKibMax == crypto::kArgon2MemoryKibMax &&
              format::kSlotArgon2PassesMax == crypto::kArgon2PassesMax);

// ---- the wrapped private half ----

Bytes slot_header(const KeySlot& slot) {
  Bytes out;
  format::Writer w(out);
  w.bytes(as_bytes(kHeaderLabel));
  w.u8(static_cast<std::uint8_t>(slot.kind));
  w.u8(static_cast<std::uint8_t>(slot.role));
  w.bytes(slot.member);
  w.bytes(slot.slot_key);
  w.u32(slot.argon2_memory_kib);
  w.u32(slot.argon2_passes);
  w.bytes(slot.argon2_salt);
  return out;
}

crypto::Digest commitment(const Key& secret) {
  crypto::Digest out;
  crypto::hkdf(secret.view(), {}, as_bytes(kCommitmentInfo), out);
  return out;
}

using WrapKeys = crypto::Secret<32 + crypto::kAeadNonceBytes>;
WrapKeys wrap_keys(const Key& secret, const KeySlot& slot) {
  WrapKeys keys;
  crypto::hkdf(secret.view(), slot.slot_key, as_bytes(kWrapInfo), keys.writable());
  return keys;
}

struct Unwrapped {
  TrustAnchor anchor;
  Key private_key;
};

Bytes wrap_private(const Key& secret, const KeySlot& slot, const TrustAnchor& anchor, const Key& private_key) {
  SecretWriter plain(kWrappedPlainBytes);
  plain.bytes(anchor.vault);
  plain.bytes(anchor.owner);
  plain.bytes(private_key.view());
  const SecretBytes plain_bytes = std::move(plain).finish();
  const WrapKeys keys = wrap_keys(secret, slot);
  Bytes out = to_bytes(commitment(secret));
  out.resize(format::kSlotWrappedPassphraseBytes);
  crypto::Aead().seal(kSuite, keys.view().first(32), keys.view().subspan(32), slot_header(slot), plain_bytes.view(),
                      MutableByteSpan(out).subspan(kCommitmentBytes));
  return out;
}

// `denied`: what to say when `secret` is not the one that this slot was wrapped with.
Result<Unwrapped> unwrap_private(const Key& secret, const KeySlot& slot, std::string_view denied) {
  const ByteSpan wrapped = slot.wrapped_private;
  if (wrapped.size() != format::kSlotWrappedPassphraseBytes)
    return fail(ErrorKind::kCorrupt, "the wrapped key of this slot has a wrong length");
  if (!crypto::equal_constant_time(commitment(secret), wrapped.first(kCommitmentBytes)))
    return fail(ErrorKind::kDenied, std::string(denied));
  const WrapKeys keys = wrap_keys(secret, slot);
  SecretBytes plain(kWrappedPlainBytes);
  if (!crypto::Aead().open(kSuite, keys.view().first(32), keys.view().subspan(32), slot_header(slot),
                           wrapped.subspan(kCommitmentBytes), plain.writable()))
    return fail(ErrorKind::kUnauthentic,
                "this key slot was changed: it does not open with the key that it was made for");
  format::Reader r(plain.view());
  Unwrapped out;
  out.anchor.vault = r.array<16>();
  out.anchor.owner = r.array<32>();
  out.private_key = take_key(r);
  CHECK(r.complete());
  if (crypto::x25519_public(out.private_key) != slot.slot_key)
    return fail(ErrorKind::kUnauthentic, "this key slot was made wrongly: its two halves do not belong together");
  return out;
}

// ---- the sealed bundle ----

SecretBytes bundle_message(const TrustAnchor& anchor, const format::MemberId& member, const format::PublicKey& slot_key,
                           ByteSpan bundle) {
  SecretWriter w(kBundleLabel.size() + 16 + 16 + 32 + bundle.size());
  w.text(kBundleLabel);
  w.bytes(anchor.vault);
  w.bytes(member);
  w.bytes(slot_key);
  w.bytes(bundle);
  return std::move(w).finish();
}

Bytes seal_bundle(const KeyBundle& bundle, const format::PublicKey& slot_key, const Key& owner_seed,
                  const Random& random) {
  CHECK(crypto::ed25519_public(owner_seed) == bundle.owner);
  const SecretBytes encoded = encode_bundle(bundle);
  const crypto::Signature signature =
      crypto::ed25519_sign(owner_seed, bundle_message(bundle.anchor(), bundle.member, slot_key, encoded.view()).view());
  SecretWriter boxed(signature.size() + encoded.view().size());
  boxed.bytes(signature);
  boxed.bytes(encoded.view());
  Key ephemeral;
  random(ephemeral.writable());
  return crypto::seal_to(slot_key, ephemeral, kBoxContext, std::move(boxed).finish().view());
}

Result<KeyBundle> open_bundle(const KeySlot& slot, const Unwrapped& holder) {
  const TrustAnchor& anchor = holder.anchor;
  Result<SecretBytes> opened = crypto::open_box(holder.private_key, kBoxContext, slot.sealed_bundle);
  if (!opened)
    return fail(ErrorKind::kUnauthentic, "the sealed bundle of this key slot was changed, or is for another key");
  format::Reader r(opened->view());
  const crypto::Signature signature = r.array<64>();
  const ByteSpan encoded = r.bytes(r.remaining());
  if (r.failed() || !crypto::ed25519_verify(
                        anchor.owner, bundle_message(anchor, slot.member, slot.slot_key, encoded).view(), signature))
    return fail(ErrorKind::kUnauthentic,
                "the keys in this slot do not come from the vault's owner: somebody put them there");
  KeyBundle bundle = TRY(decode_bundle(encoded));
  if (bundle.anchor() != anchor || bundle.member != slot.member || bundle.role != slot.role)
    return fail(ErrorKind::kUnauthentic,
                "the keys in this slot are another member's, or of another role or vault, than it says");
  return bundle;
}

KeySlot empty_slot(SlotKind kind, const KeyBundle& bundle, const format::PublicKey& slot_key) {
  KeySlot slot;
  slot.kind = kind;
  slot.role = bundle.role;
  slot.member = bundle.member;
  slot.slot_key = slot_key;
  return slot;
}

}  // namespace

// ---- making ----

Result<KeySlot> make_passphrase_slot(const KeyBundle& bundle, const Key& owner_seed, ByteSpan passphrase,
                                     crypto::Argon2Cost cost, const Random& random) {
  if (passphrase.empty()) return fail(ErrorKind::kInvalid, "an empty passphrase protects nothing");
  const Identity pair = make_identity(random);
  KeySlot slot = empty_slot(SlotKind::kPassphrase, bundle, pair.public_key);
  slot.argon2_memory_kib = cost.memory_kib;
  slot.argon2_passes = cost.passes;
  random(slot.argon2_salt);
  const Key secret = TRY(crypto::stretch_password(passphrase, slot.argon2_salt, cost));
  slot.wrapped_private = wrap_private(secret, slot, bundle.anchor(), pair.private_key);
  slot.sealed_bundle = seal_bundle(bundle, slot.slot_key, owner_seed, random);
  return slot;
}

KeyFileSlot make_key_file_slot(const KeyBundle& bundle, const Key& owner_seed, const Random& random) {
  const Identity pair = make_identity(random);
  KeyFileSlot made;
  made.file.anchor = bundle.anchor();
  made.file.member = bundle.member;
  made.file.role = bundle.role;
  random(made.file.key.writable());
  made.slot = empty_slot(SlotKind::kKeyFile, bundle, pair.public_key);
  made.slot.wrapped_private = wrap_private(made.file.key, made.slot, bundle.anchor(), pair.private_key);
  made.slot.sealed_bundle = seal_bundle(bundle, made.slot.slot_key, owner_seed, random);
  return made;
}

Result<KeySlot> make_recipient_slot(const KeyBundle& bundle, const Key& owner_seed, const format::PublicKey& recipient,
                                    const Random& random) {
  if (!crypto::x25519_is_usable(recipient))
    return fail(ErrorKind::kInvalid, "nothing can be sealed to this recipient's key");
  KeySlot slot = empty_slot(SlotKind::kRecipient, bundle, recipient);
  slot.sealed_bundle = seal_bundle(bundle, recipient, owner_seed, random);
  return slot;
}

Result<KeySlot> reseal_slot(const KeySlot& slot, const format::Member& member, const KeyBundle& bundle,
                            const Key& owner_seed, const Random& random) {
  CHECK(bundle.member == member.id && bundle.role == member.role);
  if (slot.member != member.id || slot.role != member.role || slot.kind != member.slot ||
      slot.slot_key != member.slot_key)
    return fail(ErrorKind::kUnauthentic,
                "the key slot of \"" + member.name + "\" is not the one that the roster names");
  if (!crypto::x25519_is_usable(member.slot_key))
    return fail(ErrorKind::kInvalid, "nothing can be sealed to the slot key of \"" + member.name + "\"");
  KeySlot renewed = slot;
  renewed.sealed_bundle = seal_bundle(bundle, member.slot_key, owner_seed, random);
  return renewed;
}

// ---- opening ----

bool slot_suits(const KeySlot& slot, const Credential& credential) {
  if (std::holds_alternative<Passphrase>(credential)) return slot.kind == SlotKind::kPassphrase;
  if (const auto* file = std::get_if<KeyFile>(&credential))
    return slot.kind == SlotKind::kKeyFile && slot.member == file->member;
  return slot.kind == SlotKind::kRecipient && slot.slot_key == std::get<Recipient>(credential).identity.public_key;
}

Result<KeyBundle> open_slot(const KeySlot& slot, const Credential& credential) {
  if (const auto* passphrase = std::get_if<Passphrase>(&credential)) {
    if (slot.kind != SlotKind::kPassphrase)
      return fail(ErrorKind::kDenied, "this key slot does not open with a passphrase");
    const crypto::Argon2Cost cost{.memory_kib = slot.argon2_memory_kib, .passes = slot.argon2_passes};
    const Key secret = TRY(crypto::stretch_password(passphrase->text.view(), slot.argon2_salt, cost));
    const Unwrapped holder = TRY(unwrap_private(secret, slot, "this passphrase does not open the vault"));
    return open_bundle(slot, holder);
  }
  if (const auto* file = std::get_if<KeyFile>(&credential)) {
    if (slot.kind != SlotKind::kKeyFile || slot.member != file->member)
      return fail(ErrorKind::kDenied, "this key file is not the key to this slot");
    const Unwrapped holder = TRY(unwrap_private(file->key, slot, "this key file does not open the vault"));
    if (holder.anchor != file->anchor || slot.role != file->role)
      return fail(ErrorKind::kUnauthentic, "the key file names another vault, owner or role than its slot");
    return open_bundle(slot, holder);
  }
  const Recipient& recipient = std::get<Recipient>(credential);
  if (slot.kind != SlotKind::kRecipient || slot.slot_key != recipient.identity.public_key)
    return fail(ErrorKind::kDenied, "this identity is not a recipient of this vault's keys");
  Unwrapped holder;
  holder.anchor = recipient.anchor;
  holder.private_key = recipient.identity.private_key.duplicate();
  return open_bundle(slot, holder);
}

format::Member describe_member(const KeyBundle& bundle, const KeySlot& slot, std::string name, Timestamp added) {
  CHECK(bundle.member == slot.member && bundle.role == slot.role);
  format::Member member;
  member.id = bundle.member;
  member.name = std::move(name);
  member.role = bundle.role;
  member.slot = slot.kind;
  member.signing_key = crypto::ed25519_public(bundle.signing_seed);
  member.slot_key = slot.slot_key;
  member.added = added;
  return member;
}

Bytes encode_slot_object(const format::KeySlot& slot) {
  Bytes object = format::encode_key_slot(slot);
  const crypto::Checksum checksum = crypto::xxh3_128(object);
  append(object, checksum);
  return object;
}

Result<SlotObjectRead> read_slot_object(ByteSpan object) {
  if (object.size() < sizeof(crypto::Checksum)) return fail(ErrorKind::kCorrupt, "key slot: it is too short to be one");
  const ByteSpan encoded = object.first(object.size() - sizeof(crypto::Checksum));
  SlotObjectRead read{.slot = TRY(format::decode_key_slot(encoded))};
  const crypto::Checksum checksum = crypto::xxh3_128(encoded);
  read.intact = equal(checksum, object.last(sizeof checksum));
  return read;
}

}  // namespace coppice::keys
