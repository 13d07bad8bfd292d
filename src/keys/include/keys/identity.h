// A recipient: an X25519 pair whose private half never comes near the vault (offline recovery). Slots are sealed to its
// public half.
//
// The identity file is what the recipient keeps:
//   # Coppice identity: whoever holds it can open what was sealed to it. Keep it 0600.
//   coppice-identity 1
//   public <64 hexadecimal digits>
//   private <base64>
// The recipient text is what it gives away: "coppice1", the public half in hexadecimal, and 8 digits of checksum,
// because a slot sealed to a misspelt key can be opened by nobody, and that is found out on the worst day.
#pragma once

#include <string>
#include <string_view>

#include "crypto/asymmetric.h"
#include "crypto/secret.h"
#include "foundation/result.h"
#include "keys/trust.h"

namespace coppice::keys {

struct Identity {
  format::PublicKey public_key{};
  crypto::Key private_key;
};

Identity make_identity(const Random& random);

crypto::SecretBytes render_identity(const Identity& identity);
// Strict: kInvalid names the line. The halves must belong together.
Result<Identity> parse_identity(ByteSpan text);

std::string render_recipient(const format::PublicKey& public_key);
// kInvalid: not this form, a checksum that does not fit, or a key to which nothing can be sealed.
Result<format::PublicKey> parse_recipient(std::string_view text);

}  // namespace coppice::keys
