#include "tasks/quantities.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/result.h"

namespace coppice::tasks {
namespace {

TEST(Quantities, SizesAreReadAsPeopleWriteThem) {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"0", 0},
      {"4096", 4096},
      {"4096B", 4096},
      {"1k", 1024},
      {"256M", 256ull << 20},
      {"256MiB", 256ull << 20},
      {"256MB", 256'000'000},
      {"1G", 1ull << 30},
      {"2t", 2ull << 40},
      {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()}};
  for (const auto& [text, bytes] : cases) {
    const auto parsed = parse_size(text);
    ASSERT_OK(parsed) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
  for (const char* text :
       {"", "M", "-1", "1.5G", "1 G", "12x", "1GG", "1iB", "18446744073709551616", "17000000T", "0x10"}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind(), ErrorKind::kInvalid) << text;
  }
}

TEST(Quantities, SizesShowThreeDigitsAndNeverAThousand) {
  const std::pair<std::uint64_t, const char*> cases[] = {{0, "0 B"},
                                                         {999, "999 B"},
                                                         {1000, "1.00 kB"},
                                                         {9994, "9.99 kB"},
                                                         {9996, "10.0 kB"},
                                                         {46'140'000, "46.1 MB"},
                                                         {999'499, "999 kB"},
                                                         {999'500, "1.00 MB"},
                                                         {1'320'000'000, "1.32 GB"},
                                                         {std::numeric_limits<std::uint64_t>::max(), "18.4 EB"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(render_size(bytes), text);
}

TEST(Quantities, CountsAreGrouped) {
  EXPECT_EQ(render_count(0), "0");
  EXPECT_EQ(render_count(999), "999");
  EXPECT_EQ(render_count(1000), "1,000");
  EXPECT_EQ(render_count(78'611), "78,611");
  EXPECT_EQ(render_count(1'234'567), "1,234,567");
}

TEST(Quantities, TimesSuitTheirLength) {
  EXPECT_EQ(render_seconds(0.05), "0.05 s");
  EXPECT_EQ(render_seconds(2.31), "2.3 s");
  EXPECT_EQ(render_seconds(59.97), "1 min 0 s");
  EXPECT_EQ(render_seconds(252), "4 min 12 s");
  EXPECT_EQ(render_seconds(12'000), "3 h 20 min");
  EXPECT_EQ(render_seconds(-1), "0.00 s");
  EXPECT_EQ(render_remaining(11.2), "0:12");
  EXPECT_EQ(render_remaining(3840), "1:04:00");
  EXPECT_EQ(render_remaining(std::numeric_limits<double>::infinity()), "a long time");
  EXPECT_EQ(render_remaining(std::numeric_limits<double>::quiet_NaN()), "a long time");
}

TEST(Quantities, NoCommandIsGivenMoreThanTheCeiling) {
  for (const std::uint64_t ceiling : {kMemoryBytesMin, kMemoryBytesDefault, std::uint64_t{8} << 30}) {
    const MemoryShares shares = share_memory(ceiling);
    EXPECT_LT(shares.writer, ceiling);
    EXPECT_LT(shares.restore_cache + shares.restore_plan, ceiling);
    EXPECT_LT(shares.reader_cache, ceiling);
  }
}

}  // namespace
}  // namespace coppice::tasks
