// Key slots: how a member's bundle lies in the store, where anybody may read it and a hostile store may change it.
//
// Each slot has an X25519 pair of its own. The private half is wrapped by what the holder has (passphrase, key file) or
// is the holder's own (recipient); the bundle is sealed to the public half, so that the owner renews it without asking
// the holder.
//
// Sealing to a public key says nothing about who sealed. So the box holds the owner's signature over
//   "coppice 1 bundle" NUL | vault id | member id | slot key | bundle
// and the holder checks it against an owner key that the store cannot have put there: it lies with the private half
// under the passphrase, stands in the key file, or comes with the recipient's credential. What opens is therefore what
// the owner of that vault made for that member and that slot. It may be an older bundle of theirs: reconcile_bundle()
// in roster.h finds that out.
//
// Wrapping: secret = Argon2id(passphrase) or the key file's key; commitment = HKDF(secret, "coppice 1 slot
// commitment"); key and nonce = HKDF(secret, salt = slot key, "coppice 1 slot wrap"), ChaCha20-Poly1305 over vault id |
// owner key | private half, associated data = the whole clear header of the slot. The secret serves this one wrapping
// (fresh salt, fresh key), so no nonce repeats. The commitment does not cover the header: a wrong passphrase and a
// changed header are told apart.
#pragma once

#include <variant>

#include "crypto/password.h"
#include "format/keyring.h"
#include "keys/bundle.h"
#include "keys/identity.h"
#include "keys/key_file.h"

namespace coppice::keys {

// Making slots. `owner_seed` is the owner key's (derive_owner_seed) and must be that of bundle.owner.

// kInvalid: an empty passphrase or a cost out of bounds. kExhausted: the memory is not to be had.
Result<format::KeySlot> make_passphrase_slot(const KeyBundle& bundle, const crypto::Key& owner_seed,
                                             ByteSpan passphrase, crypto::Argon2Cost cost, const Random& random);
struct KeyFileSlot {
  format::KeySlot slot;
  KeyFile file;
};
KeyFileSlot make_key_file_slot(const KeyBundle& bundle, const crypto::Key& owner_seed, const Random& random);
// kInvalid: a key to which nothing can be sealed.
Result<format::KeySlot> make_recipient_slot(const KeyBundle& bundle, const crypto::Key& owner_seed,
                                            const format::PublicKey& recipient, const Random& random);

// The same slot with a new bundle: the holder's passphrase, file or identity stays. `member` is from a verified roster
// and says to which key the bundle is sealed; a slot from the store that claims another one is kUnauthentic, lest we
// seal to its forger.
Result<format::KeySlot> reseal_slot(const format::KeySlot& slot, const format::Member& member, const KeyBundle& bundle,
                                    const crypto::Key& owner_seed, const Random& random);

// What a holder opens a slot with.
struct Passphrase {
  crypto::SecretBytes text;
};
struct Recipient {
  Identity identity;
  TrustAnchor anchor;   // not from the store: compare vault.json with the fingerprint on the recovery sheet
};
using Credential = std::variant<Passphrase, KeyFile, Recipient>;

// Whether trying makes sense, by the slot's clear header alone: the right kind, and the file's member or the identity's
// key.
// The slot as an object: encoded, then the XXH3-128 of that, which finds accidents where nobody can open it. Who opens it does not need that:
// what opens is whole.
Bytes encode_slot_object(const format::KeySlot& slot);
struct SlotObjectRead {
  format::KeySlot slot;
  bool intact = true;   // the checksum agrees
};
Result<SlotObjectRead> read_slot_object(ByteSpan object);

bool slot_suits(const format::KeySlot& slot, const Credential& credential);

// kDenied: not the key to this slot ("this passphrase does not open the vault"). kUnauthentic: it is the key, but the
// slot was changed, or its bundle was not made by the owner. kExhausted: no memory for Argon2id.
Result<KeyBundle> open_slot(const format::KeySlot& slot, const Credential& credential);

// The roster's line for the holder of `slot`.
format::Member describe_member(const KeyBundle& bundle, const format::KeySlot& slot, std::string name, Timestamp added);

}  // namespace coppice::keys
