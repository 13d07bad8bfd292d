// The recovery sheet survives printing, copying by hand and typing in; mistakes are found and named.
#include "keys/recovery_sheet.h"

#include <gtest/gtest.h>

#include <sstream>

#include "keys/fixture.h"

namespace coppice::keys {
namespace {

constexpr std::string_view kWords =
    "babad bamag bibaj bimal boban bomar bubat bumaz dabid damig dibij dimil dobin domir dubit dumiz hasut dofon";

Result<RecoverySheet> parse(std::string_view text) { return parse_recovery_words(as_bytes(text), fixed_vault()); }

void expect_reads(std::string_view text) {
  const auto sheet = parse(text);
  ASSERT_OK(sheet);
  EXPECT_TRUE(equal(sheet->root.view(), fixed_root().view()));
  EXPECT_EQ(sheet->vault, fixed_vault());
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

void expect_says(const Result<RecoverySheet>& result, std::string_view part) {
  EXPECT_FAILS(result, kInvalid);
  if (!result) {
    EXPECT_NE(result.error().message().find(part), std::string::npos) << result.error().message();
  }
}

// Computed with another program. Sheets of today must be read for ever.
TEST(RecoveryWords, NeverChange) {
  EXPECT_EQ(as_text(render_recovery_words(fixed_vault(), fixed_root()).view()), kWords);
  expect_reads(kWords);
}

TEST(RecoveryWords,
     AreProquints) {  // the two examples of arXiv:0901.4016: 127.0.0.1 is lusab-babad, 63.84.220.193 gutih-tugad
  crypto::Key root;
  const unsigned bytes[] = {127, 0, 0, 1, 63, 84, 220, 193};
  for (std::size_t i = 0; i < 8; ++i) root.writable()[i] = static_cast<std::byte>(bytes[i]);
  EXPECT_TRUE(as_text(render_recovery_words(fixed_vault(), root).view()).starts_with("lusab babad gutih tugad babab "));
}

TEST(RecoveryWords, CaseBreaksHyphensAndNumbersDoNotMatter) {
  std::string upper(kWords), hyphens(kWords), lines(kWords), numbered, backwards;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (char& c : hyphens) c = c == ' ' ? '-' : c;
  for (char& c : lines) c = c == ' ' ? '\n' : c;
  std::istringstream words{std::string(kWords)};
  int n = 0;
  for (std::string word; words >> word;) {
    ++n;
    numbered += std::to_string(n) + (n % 2 ? ". " : ") ") + word + (n % 4 ? ",  " : "\r\n");
    backwards = std::to_string(n) + ":" + word + "\n" + backwards;
  }
  expect_reads(upper);
  expect_reads(hyphens);
  expect_reads(lines);
  expect_reads(numbered);
  expect_reads(backwards);
  expect_reads(replaced(numbered, "1. babad", "1babad"));
}

TEST(RecoverySheetText, IsReadWhole) {
  const std::string text(
      as_text(render_recovery_sheet(fixed_vault(), fixed_root(), "/srv/backup/7. robot valid", {.seconds = 1795334400})
                  .view()));
  const auto alone = parse_recovery_words(as_bytes(text), std::nullopt);  // the sheet itself says which vault
  ASSERT_OK(alone);
  EXPECT_TRUE(equal(alone->root.view(), fixed_root().view()));
  expect_reads(text);
  for (const char* part :
       {"00112233445566778899aabbccddeeff", "de27 8b8e 9120 10f5 181e 5135 33b8 09f7", "/srv/backup/7. robot valid",
        "coppice key test-sheet", "--recovery-sheet", "--vault '/srv/backup/7. robot valid'", " 1. babad", "18. dofon", "2026-11-22"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

TEST(RecoverySheetText, FitsAPageWhateverTheLocation) {
  std::string location;
  for (int i = 0; i < 200; ++i) location += "/9 müde\n";
  const std::string text(as_text(render_recovery_sheet(fixed_vault(), fixed_root(), location, {}).view()));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 78u) << line;
}

TEST(RecoverySheetText, NamesTheVaultAsAShellReadsIt) {
  const auto has = [](std::string_view location, std::string_view part) {
    const std::string text(as_text(render_recovery_sheet(fixed_vault(), fixed_root(), location, {}).view()));
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has("/mnt/backup/vault", "--vault /mnt/backup/vault\n"));
  EXPECT_TRUE(has("/mnt/ann's disk", "--vault '/mnt/ann'\\''s disk'\n"));
  EXPECT_TRUE(has("/mnt/$(reboot)", "--vault '/mnt/$(reboot)'\n"));
  EXPECT_TRUE(has("/mnt/bell\a", "--vault LOCATION\n"));
  EXPECT_TRUE(has(std::string(90, '/'), "--vault LOCATION\n"));
}

TEST(RecoverySheetText, ALongLocationDoesNotPassForWords) {
  for (std::size_t length = 0; length < 140; ++length) {  // so that the fold falls before every character
    const std::string location = std::string(length, 'x') + "1. robot 2. valid 3 babad 17";
    expect_reads(as_text(render_recovery_sheet(fixed_vault(), fixed_root(), location, {}).view()));
  }
}

TEST(RecoveryWords, AWrongWordIsNamedByItsNumber) {
  expect_says(parse(replaced(std::string(kWords), "bubat", "bubaq")), "word 7 ");
  expect_says(parse(replaced(std::string(kWords), "bubat", "buba")), "word 7 ");
  expect_says(parse(replaced(std::string(kWords), "bubat", "bubatt")), "word 7 ");
  expect_says(parse(replaced(std::string(kWords), "bubat", "bu\xc3\xbc" "at")), "word 7 ");
  expect_says(parse(replaced(std::string(kWords), "bubat", "8u8at")), "");
  const auto wrong = parse(replaced(std::string(kWords), "bubat", "bubaq"));
  EXPECT_EQ(wrong.error().message().find("bubaq"), std::string::npos);
}

TEST(RecoveryWords, MissingAndSurplusWordsAreFound) {
  expect_says(parse(""), "no words");
  expect_says(parse("   \n"), "no words");
  expect_says(parse(replaced(std::string(kWords), " dofon", "")), "word 18 is missing");
  expect_says(parse(std::string(kWords) + " babad"), "more than the 18");
  expect_says(parse("1. babad 1. bamag"), "word 1 stands there twice");
  expect_says(parse("19. babad"), "numbered 1 to 18");
  expect_says(parse("99999999999999999999 babad"), "numbered 1 to 18");
  expect_says(parse("0 babad"), "numbered 1 to 18");
  expect_says(parse(std::string(100000, 'b')), "too long");
}

// Every word that is right in form but another one, and every two neighbours that changed places.
TEST(RecoveryWords, TheChecksumFindsEverySingleMistake) {
  for (std::size_t word = 0; word < kSheetWords; ++word) {
    std::string text(kWords);
    char& letter = text[6 * word + 4];
    letter = letter == 'z' ? 'v' : 'z';
    expect_says(parse(text), "do not fit together");
  }
  for (std::size_t word = 0; word + 1 < kSheetWords; ++word) {
    std::string text(kWords);
    std::swap_ranges(text.begin() + static_cast<long>(6 * word), text.begin() + static_cast<long>(6 * word + 5),
                     text.begin() + static_cast<long>(6 * word + 6));
    expect_says(parse(text), "do not fit together");
  }
}

TEST(RecoveryWords, OfAnotherVaultAreFound) {
  format::VaultId other = fixed_vault();
  other[0] ^= std::byte{1};
  expect_says(parse_recovery_words(as_bytes(kWords), other), "do not fit together");
  expect_says(parse_recovery_words(as_bytes(kWords), std::nullopt), "which vault");
  const std::string named = "vault ID: " + render_hex(fixed_vault()) + "\n" + std::string(kWords);
  EXPECT_OK(parse_recovery_words(as_bytes(named), std::nullopt));
  expect_says(parse_recovery_words(as_bytes(named), other), "this is the sheet of vault 0011");
  expect_says(parse_recovery_words(as_bytes("Vault id: 0011\n" + std::string(kWords)), std::nullopt),
              "32 hexadecimal digits");
}

TEST(RecoveryWords, NoTextCrashesTheParser) {
  const auto random = seeded("noise");
  const std::string sheet(as_text(render_recovery_sheet(fixed_vault(), fixed_root(), "/v", {}).view()));
  for (int round = 0; round < 600; ++round) {
    std::array<std::byte, 64> noise;
    random(noise);
    (void)parse(as_text(noise));
    std::string changed = sheet;
    changed[load_le<std::uint32_t>(noise) % changed.size()] = static_cast<char>(noise[8]);
    const auto read = parse(changed);
    if (read) {
      EXPECT_TRUE(equal(read->root.view(), fixed_root().view()));
    }
  }
}

}  // namespace
}  // namespace coppice::keys
