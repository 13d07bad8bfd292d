#include "foundation/encoding.h"

#include <gtest/gtest.h>

#include "support/result.h"

namespace coppice {
namespace {

using namespace std::string_literals;

TEST(Hex, RoundTripsAndAcceptsBothCases) {
  EXPECT_EQ(render_hex({}), "");
  EXPECT_EQ(render_hex(as_bytes("\x00\xff\x1a"s)), "00ff1a");
  const auto bytes = parse_hex("00fF1A");
  ASSERT_OK(bytes);
  EXPECT_EQ(as_text(*bytes), "\x00\xff\x1a"s);
}

TEST(Hex, RefusesOddLengthAndStrayCharacters) {
  for (const char* text : {"0", "0g", "0x", " 0", "00 "}) EXPECT_FAILS(parse_hex(text), kInvalid) << text;
}

TEST(Base64, MatchesRfc4648) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : cases) {
    EXPECT_EQ(render_base64(as_bytes(plain)), text);
    const auto parsed = parse_base64(text);
    ASSERT_OK(parsed);
    EXPECT_EQ(as_text(*parsed), plain);
  }
}

TEST(Base64, EveryByteRoundTrips) {
  Bytes all;
  for (int i = 0; i < 256; ++i) {
    all.push_back(static_cast<std::byte>(i));
    const auto parsed = parse_base64(render_base64(all));
    ASSERT_OK(parsed);
    EXPECT_TRUE(equal(*parsed, all));
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zh==", "Zm9=", "Z=8=", "Zm9-"})
    EXPECT_FAILS(parse_base64(text), kInvalid) << text;
}

TEST(Utf8, AcceptsTheEdgesOfTheTable) {
  for (const char* text : {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(text)) << render_hex(as_bytes(text));
}

TEST(Utf8, RefusesOverlongsSurrogatesAndTruncation) {
  for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                           "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe2\x82", "\xf0\x9f\x98", "\xe2\x28\xa1", "ok\xc3"})
    EXPECT_FALSE(is_utf8(text)) << render_hex(as_bytes(text));
}

TEST(Printable, LeavesTextAndEscapesTheRest) {
  EXPECT_EQ(render_printable("Grüße 🌳"), "Grüße 🌳");
  EXPECT_EQ(render_printable("a\nb\tc\x7f"), "a\\x0ab\\x09c\\x7f");
  EXPECT_EQ(render_printable("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(render_printable("back\\slash"), "back\\\\slash");
  EXPECT_EQ(render_printable("\xff\xc3(") , "\\xff\\xc3(");
  EXPECT_EQ(render_printable("\xc2\x9b" "31m"), "\\xc2\\x9b31m");          // U+009B: CSI in one character
  EXPECT_EQ(render_printable("\xe2\x80\xae" "gpj.exe"), "\\xe2\\x80\\xaegpj.exe");  // U+202E: right-to-left override
  EXPECT_EQ(render_printable("a\0b"s), "a\\x00b");
}

}  // namespace
}  // namespace coppice
