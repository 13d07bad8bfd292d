// The root seed on paper: 16 words, and 2 more of checksum. A word is a proquint (Wilkerson, arXiv:0901.4016): 16 bits
// as five letters, consonant-vowel-consonant-vowel-consonant, that can be read over a telephone.
//
// checksum = first 4 bytes of SHA-256("coppice 1 sheet" | vault id | seed), so a sheet of another vault is found out
// too. The words suffice to open the vault, even if keys/ is gone: everything else derives from the seed.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/secret.h"
#include "foundation/result.h"
#include "foundation/time.h"
#include "keys/trust.h"

namespace coppice::keys {

inline constexpr std::size_t kSheetSeedWords = 16, kSheetWords = 18;

// The sheet as plain text of at most 78 columns, to be printed. The fingerprint is computed from the seed.
crypto::SecretBytes render_recovery_sheet(const format::VaultId& vault, const crypto::Key& root,
                                          std::string_view location, Timestamp created);
// The words alone, one blank between them.
crypto::SecretBytes render_recovery_words(const format::VaultId& vault, const crypto::Key& root);

struct RecoverySheet {
  format::VaultId vault{};
  crypto::Key root;
};
// Reads the words, or the whole text of a sheet. Case, line breaks, commas and hyphens do not matter; a number before a
// word says which one it is, so rows may come in any order. `vault`: which vault this is meant for, when that is known;
// else the text must say it ("Vault id: ..."). kInvalid says what is wrong by the number of the word and never repeats
// a word.
Result<RecoverySheet> parse_recovery_words(ByteSpan text, const std::optional<format::VaultId>& vault);

// Words alone that are being typed: how many are good up to the first mistake, where in the text they end, and what the mistake is.
struct TypedWords {
  std::size_t count = 0, bytes = 0;
  std::optional<Error> mistake;
};
TypedWords look_at_typed_words(ByteSpan text);

}  // namespace coppice::keys
