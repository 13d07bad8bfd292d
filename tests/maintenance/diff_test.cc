// Goal: a diff tells exactly what changed, in path order, and opens nothing that did not.
#include "maintenance/diff.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/result.h"
#include "support/test_vault.h"

namespace coppice::maintenance {
namespace {

using testing::Files;
using testing::TestVault;

std::vector<std::string> diff(TestVault& v, const vault::Snapshot& a, const vault::Snapshot& b, std::uint64_t page_bytes = 16u << 20) {
  auto vault = v.open();
  auto reader = vault::ChunkReader::create(**vault, 1 << 20);
  EXPECT_OK(reader);
  std::vector<std::string> lines;
  CancelToken cancel;
  EXPECT_OK(diff_snapshots(
      **reader, *a.body, *b.body,
      [&](const Change& change) -> Result<> {
        std::string flags = change.kind == ChangeKind::kAdded ? "+" : change.kind == ChangeKind::kRemoved ? "-" : "M";
        if (change.type) flags += "T";
        if (change.content) flags += "c";
        if (change.metadata) flags += "m";
        if (change.times) flags += "t";
        EXPECT_EQ(change.before == nullptr, change.kind == ChangeKind::kAdded);
        EXPECT_EQ(change.after == nullptr, change.kind == ChangeKind::kRemoved);
        lines.push_back(flags + " " + std::string(change.path));
        return {};
      },
      cancel, page_bytes));
  return lines;
}

using Lines = std::vector<std::string>;

TEST(Diff, NothingChanged) {
  TestVault v;
  const Files files = {{"a/b", "1"}, {"c", "2"}};
  const auto one = v.back_up(files), two = v.back_up(files);
  EXPECT_EQ(diff(v, one, two), Lines{});
  EXPECT_EQ(diff(v, one, one), Lines{});
}

TEST(Diff, AddedRemovedChanged) {
  TestVault v;
  const auto one = v.back_up({{"a/b", "1"}, {"a/c", "2"}, {"gone/x", "3"}, {"gone/y/z", "4"}, {"same", "5"}});
  const auto two = v.back_up({{"a/b", "1"}, {"a/c", "22"}, {"a/d", "6"}, {"new/x", "3"}, {"same", "5"}});
  EXPECT_EQ(diff(v, one, two),
            (Lines{"Mc /a/c", "+ /a/d", "- /gone", "- /gone/x", "- /gone/y", "- /gone/y/z", "+ /new", "+ /new/x"}));
  EXPECT_EQ(diff(v, two, one),
            (Lines{"Mc /a/c", "- /a/d", "+ /gone", "+ /gone/x", "+ /gone/y", "+ /gone/y/z", "- /new", "- /new/x"}));
}

// Directories that let their pages go, huge ones among them, go on where they were.
TEST(Diff, LittleMemoryGivesTheSameAnswer) {
  TestVault v;
  Files before, after;
  for (int i = 0; i < 90; ++i) {
    const std::string file = fmt::format("d{}/e{}/f{}/name{}", i % 3, i % 7, i % 2, i);
    if (i % 4) before[file] = std::to_string(i);
    if (i % 5) after[file] = std::to_string(i % 6 ? i : -i);
    before[fmt::format("d{}/file{}", i % 3, i)] = "same";
    after[fmt::format("d{}/file{}", i % 3, i)] = i % 8 ? "same" : "other";
  }
  const auto one = v.back_up(before, format::Role::kReader, "host /", 4), two = v.back_up(after, format::Role::kReader, "host /", 5);
  const Lines expected = diff(v, one, two);
  EXPECT_GT(expected.size(), 40u);
  for (const std::uint64_t page_bytes : {0u, 1000u, 3000u}) EXPECT_EQ(diff(v, one, two, page_bytes), expected);
}

TEST(Diff, AFileBecomesADirectory) {
  TestVault v;
  const auto one = v.back_up({{"a", "1"}, {"b", "1"}}), two = v.back_up({{"a/b/c", "1"}, {"b", "1"}});
  EXPECT_EQ(diff(v, one, two), (Lines{"MT /a", "+ /a/b", "+ /a/b/c"}));
  EXPECT_EQ(diff(v, two, one), (Lines{"MT /a", "- /a/b", "- /a/b/c"}));
}

TEST(Diff, HugeDirectoriesAndOtherPageCuts) {
  TestVault v;
  Files files;
  for (int i = 0; i < 300; ++i) files[fmt::format("{:03}", i)] = "x";
  const auto one = v.back_up(files, format::Role::kReader, "l", 10);
  files.erase("100");
  files["200"] = "yy";
  const auto two = v.back_up(files, format::Role::kReader, "l", 7);
  EXPECT_EQ(diff(v, one, two), (Lines{"- /100", "Mc /200"}));
}

TEST(Diff, ReadsNoDataPackAndNoUnchangedTree) {
  TestVault v;
  const auto one = v.back_up({{"a/b", "1"}, {"c/d", "2"}});
  const auto two = v.back_up({{"a/b", "1"}, {"c/d", "33"}});
  for (const std::string& pack : v.objects("packs/")) EXPECT_OK(v.store.remove(pack));
  EXPECT_EQ(diff(v, one, two), Lines{"Mc /c/d"});
}

}  // namespace
}  // namespace coppice::maintenance
