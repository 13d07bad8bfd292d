// A host's daily key: opens one slot without a passphrase, and carries the trust anchor.
//
//   # Coppice key file: whoever holds it can ... Keep it 0600.
//   coppice-key 1
//   vault <32 hexadecimal digits>
//   owner <64>
//   member <32>
//   role reader
//   key <base64>
#pragma once

#include <string_view>

#include "crypto/secret.h"
#include "format/keyring.h"
#include "foundation/result.h"
#include "keys/trust.h"

namespace coppice::keys {

struct KeyFile {
  TrustAnchor anchor;
  format::MemberId member{};      // whose slot it opens: keys/<member>
  format::Role role = format::Role::kReader;
  crypto::Key key;                // wraps the private half of the slot key
};

crypto::SecretBytes render_key_file(const KeyFile& file);
// Strict: these lines in this order, comments only before them. kInvalid names the line and never its content.
Result<KeyFile> parse_key_file(ByteSpan text);

std::string_view role_name(format::Role role);                 // owner, reader, writer, keeper
Result<format::Role> parse_role(std::string_view name);

}  // namespace coppice::keys
