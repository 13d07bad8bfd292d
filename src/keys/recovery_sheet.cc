// Rendering and reading recovery sheets.
#include "keys/recovery_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "crypto/hash.h"
#include "foundation/encoding.h"
#include "keys/bundle.h"
#include "secret_writer.h"

namespace coppice::keys {
namespace {

constexpr std::string_view kHeading = "COPPICE RECOVERY SHEET", kVaultLabel = "Vault id:";
constexpr std::string_view kConsonants = "bdfghjklmnprstvz", kVowels = "aiou";   // 4 and 2 bits, in this order
constexpr std::string_view kSheetLabel = "coppice 1 sheet";
constexpr std::size_t kWordLetters = 5, kWordsPerRow = 4, kSheetChecksumBytes = 4, kSheetBytesMax = 65536,
                      kSheetColumns = 78;

// Seed and checksum, as they stand in the words.
using SheetBytes = crypto::Secret<32 + kSheetChecksumBytes>;
static_assert(2 * kSheetWords == 32 + kSheetChecksumBytes);

void write_checksum(const format::VaultId& vault, MutableByteSpan sheet) {
  const crypto::Digest digest = crypto::sha256({as_bytes(kSheetLabel), vault, sheet.first(32)});
  std::memcpy(sheet.data() + 32, digest.data(), kSheetChecksumBytes);
}

SheetBytes sheet_bytes(const format::VaultId& vault, const crypto::Key& root) {
  SheetBytes sheet;
  std::memcpy(sheet.writable().data(), root.view().data(), 32);
  write_checksum(vault, sheet.writable());
  return sheet;
}

void write_word(SecretWriter& w, ByteSpan sheet, std::size_t index) {
  const auto value = static_cast<unsigned>(sheet[2 * index]) << 8 | static_cast<unsigned>(sheet[2 * index + 1]);
  for (const unsigned shift : {12u, 10u, 6u, 4u, 0u}) {
    const bool vowel = shift == 10 || shift == 4;
    w.u8(static_cast<std::uint8_t>(vowel ? kVowels[value >> shift & 3] : kConsonants[value >> shift & 15]));
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_character(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\f\v";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

template <class Each>
Result<> for_each_line(std::string_view text, const Each& each) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    TRY(each(trim(text.substr(0, end))));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return {};
}

std::unexpected<Error> invalid(std::string message) { return fail(ErrorKind::kInvalid, std::move(message)); }

// Puts words into their places.
class WordCollector {
 public:
  // One line: words, each perhaps with its number before it.
  Result<> read_line(std::string_view line) {
    for (std::size_t at = 0; at < line.size();) {
      if (!is_word_character(line[at])) {
        ++at;
        continue;
      }
      const bool number = is_digit(line[at]);
      std::size_t end = at;
      while (end < line.size() && (number ? is_digit(line[end]) : is_word_character(line[end]))) ++end;
      const std::string_view token = line.substr(at, end - at);
      at = end;
      TRY(number ? read_number(token) : read_word(token));
      good_bytes_ = at;
    }
    return {};
  }

  Result<> complete() const {
    const auto missing = static_cast<std::size_t>(std::find(found_.begin(), found_.end(), false) - found_.begin());
    if (found() == 0) return invalid("there are no words of a recovery sheet in this text");
    if (missing < kSheetWords)
      return invalid(fmt::format("word {} is missing: a recovery sheet has {} words, and {} are here", missing + 1,
                                 kSheetWords, found()));
    return {};
  }

  const SheetBytes& sheet() const { return sheet_; }
  std::size_t found() const { return static_cast<std::size_t>(std::count(found_.begin(), found_.end(), true)); }
  std::size_t good_bytes() const { return good_bytes_; }  // of the last line, up to the first mistake

 private:
  Result<> read_number(std::string_view digits) {
    std::size_t number = 0;
    for (const char c : digits.substr(0, 3)) number = number * 10 + static_cast<std::size_t>(c - '0');
    if (digits.size() > 2 || number < 1 || number > kSheetWords)
      return invalid(fmt::format("the words of a recovery sheet are numbered 1 to {}, and there is another number here",
                                 kSheetWords));
    next_ = number - 1;
    return {};
  }

  Result<> read_word(std::string_view word) {
    if (next_ >= kSheetWords)
      return invalid(fmt::format("there are more than the {} words of a recovery sheet", kSheetWords));
    const std::size_t index = next_++;
    if (found_[index]) return invalid(fmt::format("word {} stands there twice", index + 1));
    unsigned value = 0;
    bool good = word.size() == kWordLetters;
    for (std::size_t i = 0; good && i < kWordLetters; ++i) {
      const bool vowel = i == 1 || i == 3;
      const std::size_t digit = (vowel ? kVowels : kConsonants).find(lower(word[i]));
      good = digit != std::string_view::npos;
      if (good) value = value << (vowel ? 2 : 4) | static_cast<unsigned>(digit);
    }
    if (!good)
      return invalid(fmt::format("word {} is wrong: a word has five letters, in turn one of {} and one of {}",
                                 index + 1, kConsonants, kVowels));
    found_[index] = true;
    sheet_.writable()[2 * index] = static_cast<std::byte>(value >> 8);
    sheet_.writable()[2 * index + 1] = static_cast<std::byte>(value & 0xff);
    return {};
  }

  SheetBytes sheet_;
  std::array<bool, kSheetWords> found_{};
  std::size_t next_ = 0, good_bytes_ = 0;
};

Result<format::VaultId> parse_vault_id(std::string_view text) {
  const Result<Bytes> bytes = parse_hex(text);
  format::VaultId id;
  if (!bytes || bytes->size() != id.size())
    return invalid("the line \"Vault id:\" does not hold 32 hexadecimal digits");
  std::memcpy(id.data(), bytes->data(), id.size());
  return id;
}

void write_row(SecretWriter& w, ByteSpan sheet, std::size_t first) {
  w.text("  ");
  for (std::size_t i = first; i < std::min(first + kWordsPerRow, kSheetWords); ++i) {
    w.text(fmt::format("  {:>2}. ", i + 1));
    write_word(w, sheet, i);
  }
  w.text("\n");
}

// A long location goes on in the next line, under itself and behind a mark: what is cut may begin with a digit, as only
// rows may.
void write_folded(SecretWriter& w, std::string_view label, std::string_view value) {
  constexpr std::string_view kMark = "> ";
  w.text(label);
  for (std::size_t width = kSheetColumns - label.size(); value.size() > width;
       width = kSheetColumns - label.size() - kMark.size()) {
    std::size_t cut = width;
    while (cut > 1 && (static_cast<unsigned char>(value[cut]) & 0xc0) == 0x80) --cut;   // not within a UTF-8 character
    w.text(value.substr(0, cut));
    w.text("\n");
    w.text(std::string(label.size(), ' '));
    w.text(kMark);
    value.remove_prefix(cut);
  }
  w.text(value);
  w.text("\n");
}

// The option that names the vault, for a shell. A location that is too long for a line, or does not print, stands above.
std::string vault_option(std::string_view location) {
  constexpr std::string_view kIndent = "      --vault ", kPlainMarks = "/._-+@:,=%";
  const bool plain = std::all_of(location.begin(), location.end(), [&](char c) {
    return is_word_character(c) || kPlainMarks.find(c) != std::string_view::npos;
  });
  std::string word(location);
  if (!plain) {
    word = "'";
    for (const char c : location) word += c == '\'' ? "'\\''" : std::string(1, c);
    word += "'";
  }
  if (render_printable(location) != location || kIndent.size() + word.size() > kSheetColumns) word = "LOCATION";
  return fmt::format("{}{}", kIndent, word);
}

// No line of these begins with a digit: those are the rows of words.
constexpr std::string_view kAdvice = R"(
What this is
  These words are the root of every key of this vault. Whoever holds this
  sheet can read everything in the vault and say who else may. Nothing else
  is needed to restore: no passphrase, no key file, no host.

What to do with it
  Print it, or copy it by hand, and keep it in a safe, away from the hosts
  and away from the vault. Two copies in two places are better than one.
  Where it is a file, delete that then. Do not photograph it; do not put it
  on a network.

To test it, now and once a year
)",
                           kUse = R"(
To use it, when hosts, passphrases and key files are gone
)",
                           kTyping = R"(
  Each asks for the words. Type them in the order of their numbers. Upper
  and lower case, line breaks and hyphens do not matter. A misspelt word is
  found, and so is a sheet of another vault.
  Say after --vault where the vault is now, should it have moved. A restore
  shows the vault's fingerprint: compare it with the one above.
)";

}  // namespace

crypto::SecretBytes render_recovery_words(const format::VaultId& vault, const crypto::Key& root) {
  const SheetBytes sheet = sheet_bytes(vault, root);
  SecretWriter w(kSheetWords * (kWordLetters + 1));
  for (std::size_t i = 0; i < kSheetWords; ++i) {
    if (i > 0) w.text(" ");
    write_word(w, sheet.view(), i);
  }
  return std::move(w).finish();
}

crypto::SecretBytes render_recovery_sheet(const format::VaultId& vault, const crypto::Key& root,
                                          std::string_view location, Timestamp created) {
  const std::string place = render_printable(location);
  const TrustAnchor anchor{vault, crypto::ed25519_public(derive_owner_seed(root, vault))};
  const SheetBytes sheet = sheet_bytes(vault, root);
  SecretWriter w(8192 + 2 * place.size());
  w.text(kHeading);
  w.text("\n\n");
  w.text(fmt::format("{}    {}\n", kVaultLabel, render_hex(vault)));
  w.text(fmt::format("Fingerprint: {}\n", render_fingerprint(anchor)));
  write_folded(w, "Location:    ", place);
  w.text(fmt::format("Created:     {}\n\nThe words\n\n", render_utc(created)));
  for (std::size_t i = 0; i < kSheetWords; i += kWordsPerRow) write_row(w, sheet.view(), i);
  const std::string option = vault_option(location);
  w.text(kAdvice);
  w.text(fmt::format("  coppice key test-sheet \\\n{}\n", option));
  w.text(kUse);
  w.text(fmt::format("  coppice restore latest --to restored --recovery-sheet \\\n{}\n", option));
  w.text(kTyping);
  return std::move(w).finish();
}

Result<RecoverySheet> parse_recovery_words(ByteSpan bytes, const std::optional<format::VaultId>& vault) {
  if (bytes.size() > kSheetBytesMax) return invalid("this text is too long to be a recovery sheet");
  const std::string_view text = as_text(bytes);
  // Of a whole sheet only the numbered rows are words: its prose has words, too, that would pass for ours.
  bool whole = false;
  std::optional<format::VaultId> named;
  TRY(for_each_line(text, [&](std::string_view line) -> Result<> {
    whole = whole || starts_with_ignoring_case(line, kHeading);
    if (!starts_with_ignoring_case(line, kVaultLabel)) return {};
    const format::VaultId id = TRY(parse_vault_id(trim(line.substr(kVaultLabel.size()))));
    if (named && *named != id) return invalid("the text names two vaults");
    named = id;
    return {};
  }));
  if (named && vault && *named != *vault)
    return invalid(fmt::format("this is the sheet of vault {}, and not of {}", render_hex(*named), render_hex(*vault)));
  if (!named && !vault)
    return invalid("the words do not say which vault they are for: a line \"Vault id: ...\" is missing");

  WordCollector words;
  TRY(for_each_line(text, [&](std::string_view line) -> Result<> {
    if (line.empty() || (whole && !is_digit(line.front())) || starts_with_ignoring_case(line, kVaultLabel)) return {};
    return words.read_line(line);
  }));
  TRY(words.complete());

  RecoverySheet sheet;
  sheet.vault = named ? *named : *vault;
  std::memcpy(sheet.root.writable().data(), words.sheet().view().data(), 32);
  if (!crypto::equal_constant_time(sheet_bytes(sheet.vault, sheet.root).view(), words.sheet().view()))
    return invalid(fmt::format(
        "the words do not fit together: one of them is wrong, or two changed places, or they are not of vault {}",
        render_hex(sheet.vault)));
  return sheet;
}

TypedWords look_at_typed_words(ByteSpan text) {
  WordCollector words;
  auto read = words.read_line(as_text(text));
  TypedWords typed{.count = words.found(), .bytes = words.good_bytes()};
  if (!read) typed.mistake = std::move(read).error();
  return typed;
}

}  // namespace coppice::keys
