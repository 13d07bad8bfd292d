// Recipients' identities.
#include "keys/identity.h"

#include <fmt/format.h>

#include "crypto/hash.h"
#include "key_text.h"

namespace coppice::keys {
namespace {

constexpr std::string_view kRecipientPrefix = "coppice1";
constexpr std::string_view kRecipientLabel{"coppice 1 recipient\0", 20};
constexpr std::size_t kRecipientChecksumBytes = 4;

std::string checksum_digits(const format::PublicKey& key) {
  return render_hex(ByteSpan(crypto::sha256({as_bytes(kRecipientLabel), key})).first(kRecipientChecksumBytes));
}

}  // namespace

Identity make_identity(const Random& random) {
  Identity identity;
  random(identity.private_key.writable());
  identity.public_key = crypto::x25519_public(identity.private_key);
  return identity;
}

crypto::SecretBytes render_identity(const Identity& identity) {
  SecretWriter w(kKeyTextBytesMax);
  w.text("# Coppice identity: whoever holds it can open what was sealed to it. Keep it 0600.\n");
  w.text(fmt::format("coppice-identity 1\npublic {}\nprivate ", render_hex(identity.public_key)));
  write_base64_key(w, identity.private_key);
  w.text("\n");
  return std::move(w).finish();
}

Result<Identity> parse_identity(ByteSpan text) {
  KeyTextReader reader = TRY(KeyTextReader::open(text, "identity file", "coppice-identity"));
  Identity identity;
  identity.public_key = TRY(reader.hex_field<32>("public"));
  identity.private_key = TRY(reader.key_field("private"));
  TRY(reader.end());
  if (crypto::x25519_public(identity.private_key) != identity.public_key)
    return fail(ErrorKind::kInvalid, "identity file: its public and private halves do not belong together");
  return identity;
}

std::string render_recipient(const format::PublicKey& public_key) {
  return fmt::format("{}{}{}", kRecipientPrefix, render_hex(public_key), checksum_digits(public_key));
}

Result<format::PublicKey> parse_recipient(std::string_view text) {
  if (!text.starts_with(kRecipientPrefix) || text.size() != kRecipientPrefix.size() + 2 * (32 + kRecipientChecksumBytes))
    return fail(ErrorKind::kInvalid, "a recipient is \"coppice1\" and 72 hexadecimal digits");
  text.remove_prefix(kRecipientPrefix.size());
  const Result<Bytes> bytes = parse_hex(text);
  if (!bytes) return fail(ErrorKind::kInvalid, "a recipient is \"coppice1\" and 72 hexadecimal digits");
  format::PublicKey key;
  std::memcpy(key.data(), bytes->data(), key.size());
  if (render_hex(ByteSpan(*bytes).subspan(key.size())) != checksum_digits(key))
    return fail(ErrorKind::kInvalid, "this recipient has a typing error: its checksum does not fit");
  if (!crypto::x25519_is_usable(key)) return fail(ErrorKind::kInvalid, "nothing can be sealed to this recipient's key");
  return key;
}

}  // namespace coppice::keys
