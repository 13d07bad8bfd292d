// Fingerprints of trust anchors.
#include "keys/trust.h"

#include "crypto/hash.h"
#include "foundation/encoding.h"

namespace coppice::keys {
namespace {

constexpr std::string_view kLabel{"coppice 1 fingerprint\0", 22};
constexpr std::size_t kFingerprintBytes = 16;

std::string fingerprint_digits(const TrustAnchor& anchor) {
  const crypto::Digest digest = crypto::sha256({as_bytes(kLabel), anchor.vault, anchor.owner});
  return render_hex(ByteSpan(digest).first(kFingerprintBytes));
}

}  // namespace

std::string render_fingerprint(const TrustAnchor& anchor) {
  const std::string digits = fingerprint_digits(anchor);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); i += 4) {
    if (i > 0) out += ' ';
    out.append(digits, i, 4);
  }
  return out;
}

bool fingerprint_matches(const TrustAnchor& anchor, std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '-' || c == ':') continue;
    digits += c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return digits == fingerprint_digits(anchor);
}

}  // namespace coppice::keys
