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

std::vector<std::string> diff(TestVault& v, const vault::Snapshot& a, const vault::Snapshot& b) {
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
      cancel));
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
  const auto two = v.back_up({{"a/b", "1"}, {"c/d", "3"}});
  for (const std::string& pack : v.objects("packs/")) EXPECT_OK(v.store.remove(pack));
  EXPECT_EQ(diff(v, one, two), Lines{"Mc /c/d"});
}

}  // namespace
}  // namespace coppice::maintenance
