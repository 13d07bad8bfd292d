// What a backup takes and leaves out, and what it says of it.
#include <gmock/gmock.h>

#include "host.h"

namespace coppice {
namespace {

using namespace testing;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kCacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n";

std::size_t left_out(const capture::BackupReport& report, capture::LeftOut reason) { return report.left_out[static_cast<std::size_t>(reason)]; }

TEST(BackupChoice, AMissingSourceIsAWarningAndTheLineageStaysTheSame) {
  Host host;
  write(host.source + "/there/x", "text");
  write(host.source + "/comes-and-goes/y", "text");
  host.options.sources = {host.source + "/there", host.source + "/comes-and-goes"};
  const auto whole = host.back_up();
  ASSERT_OK(whole);
  fs::remove_all(host.source + "/comes-and-goes");
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(report->warnings_total, 1u);
  EXPECT_THAT(host.warnings[host.source + "/comes-and-goes"], HasSubstr("no such file"));
  EXPECT_EQ(report->snapshot.body->sources.size(), 2u);
  EXPECT_EQ(report->snapshot.commit.sequence, 2u);
  EXPECT_EQ(report->files_unchanged, 1u);
  host.options.sources = {host.source + "/nothing", host.source + "/nor/this"};
  EXPECT_FAILS(host.back_up(), kNotFound);
}

TEST(BackupChoice, EveryWarningIsToldAndTheReportKeepsTheFirst) {
  Host host;
  write(host.source + "/x", "text");
  host.options.sources = {host.source};
  for (int i = 0; i < 30; ++i) host.options.sources.push_back(host.directory / ("missing-" + std::to_string(i)));
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(report->warnings_total, 30u);
  EXPECT_EQ(host.warnings.size(), 30u);
  EXPECT_EQ(report->warnings.size(), 20u);
}

TEST(BackupChoice, WhatIsNamedIsTakenWhateverTheRulesSay) {
  Host host;
  write(host.source + "/sub/deep/kept", "text");
  write(host.source + "/sub/deep/skip/x", "text");
  write(host.source + "/other/deep/x", "text");
  write(host.source + "/cache/CACHEDIR.TAG", kCacheTag);
  write(host.source + "/cache/content", "text");
  write(host.source + "/cache/named/content", "text");
  write(host.source + "/cached/CACHEDIR.TAG", kCacheTag);
  write(host.source + "/cached/content", "text");
  host.options.sources = {host.source, host.source + "/sub/deep", host.source + "/cache/named", host.source + "/cached"};
  host.options.excludes = {"deep", "skip", "/**/sub/"};
  const auto report = host.back_up();
  ASSERT_OK(report);
  const auto things = host.look(*report);
  EXPECT_EQ(things.at("sub/deep/kept").content, "text");
  EXPECT_TRUE(things.at("sub").entry.marks & format::kMarkPartial);
  EXPECT_FALSE(things.contains("sub/deep/skip"));
  EXPECT_FALSE(things.contains("other/deep"));
  EXPECT_TRUE(things.contains("cache/CACHEDIR.TAG"));
  EXPECT_FALSE(things.contains("cache/content"));
  EXPECT_TRUE(things.contains("cache/named/content"));
  EXPECT_TRUE(things.contains("cached/content"));
  EXPECT_EQ(left_out(*report, capture::LeftOut::kPattern), 2u);
  EXPECT_EQ(left_out(*report, capture::LeftOut::kCacheDirectory), 1u);
  const auto again = host.back_up();
  ASSERT_OK(again);
  EXPECT_EQ(again->files_new + again->files_changed, 0u);
}

TEST(BackupChoice, ALinkToADirectoryIsTold) {
  Host host;
  write(host.source + "/real/x", "text");
  fs::create_symlink("real", host.source + "/link");
  host.options.sources = {host.source + "/link"};
  ASSERT_OK(host.back_up());
  EXPECT_THAT(host.notices, Contains(HasSubstr("symbolic link to a directory")));
  host.options.sources = {host.source + "/link/"};
  ASSERT_OK(host.back_up());
  EXPECT_THAT(host.notices, IsEmpty());
}

TEST(BackupChoice, IncludesTakeWhatTheyMatchAndTheWayToIt) {
  Host host;
  write(host.source + "/a/b/keep.txt", "text");
  write(host.source + "/a/b/drop.bin", "text");
  write(host.source + "/photos/2025/x.jpg", "text");
  write(host.source + "/photos/2025/deep/y.raw", "text");
  write(host.source + "/photos/2024/x.jpg", "text");
  host.options.includes = {"*.txt", host.source + "/photos/2025"};
  host.options.excludes = {"*.raw"};
  const auto report = host.back_up();
  ASSERT_OK(report);
  auto things = host.look(*report);
  EXPECT_TRUE(things.contains("a/b/keep.txt"));
  EXPECT_FALSE(things.contains("a/b/drop.bin"));
  EXPECT_TRUE(things.at("a").entry.marks & format::kMarkPartial);
  EXPECT_TRUE(things.contains("photos/2025/x.jpg"));
  EXPECT_FALSE(things.at("photos/2025").entry.marks & format::kMarkPartial);
  EXPECT_FALSE(things.contains("photos/2025/deep/y.raw"));
  EXPECT_FALSE(things.contains("photos/2024/x.jpg"));
  EXPECT_EQ(report->snapshot.body->includes, host.options.includes);
  EXPECT_GT(left_out(*report, capture::LeftOut::kNotIncluded), 0u);
  host.options.includes.clear();
  const auto all = host.back_up();
  ASSERT_OK(all);
  EXPECT_TRUE(host.look(*all).contains("photos/2024/x.jpg"));
}

TEST(BackupChoice, ATiedPatternThatCanMatchNothingIsTold) {
  Host host;
  write(host.source + "/src/build/x", "text");
  host.options.excludes = {"/src/build", "x*", host.source + "/src/build", "**/build/", "!/src/y"};
  ASSERT_OK(host.back_up());
  ASSERT_EQ(host.notices.size(), 1u);
  EXPECT_THAT(host.notices.front(), HasSubstr("the pattern /src/build matches nothing"));
}

TEST(BackupChoice, ADryRunCountsWhatWouldBeReadAndTellsWhatIsLeftOut) {
  Host host;
  write(host.source + "/x", std::string(10'000, 'x'));
  for (const char* name : {"y", "z"}) fs::create_hard_link(host.source + "/x", host.source + "/" + name);
  write(host.source + "/hole", "");
  fs::resize_file(host.source + "/hole", 100u << 20);
  write(host.source + "/skipped", "text");
  host.options.excludes = {"skipped"};
  host.options.dry_run = true;
  host.options.vault_free = 5000;
  std::map<std::string, capture::LeftOut> told;
  host.options.on_left_out = [&](const std::string& path, capture::LeftOut reason) { told[path] = reason; };
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_FALSE(report->committed);
  EXPECT_EQ(report->files, 4u);
  EXPECT_EQ(report->bytes_read, 10'000u);
  EXPECT_EQ(told, (std::map<std::string, capture::LeftOut>{{host.source + "/skipped", capture::LeftOut::kPattern}}));
  EXPECT_THAT(host.notices, Contains(HasSubstr("the vault has 5.00 kB free, and there is more than that")));
}

TEST(BackupChoice, TheRootHasAnEntryAndProgressKnowsTheLastRun) {
  Host host;
  write(host.source + "/x", "text");
  const auto report = host.back_up();
  ASSERT_OK(report);
  const auto& root = report->snapshot.body->root_entry;
  ASSERT_TRUE(root.has_value());
  struct stat st;
  ASSERT_EQ(::stat("/", &st), 0);
  EXPECT_EQ(root->type, format::EntryType::kDirectory);
  EXPECT_EQ(root->name, "");
  EXPECT_EQ(root->mode, st.st_mode & 07777);
  EXPECT_EQ(root->mtime.seconds, st.st_mtim.tv_sec);
  EXPECT_EQ(root->marks, std::uint32_t{format::kMarkPartial});
  EXPECT_EQ(host.progress->files_before.load(), 0u);
  ASSERT_OK(host.back_up());
  EXPECT_EQ(host.progress->files_before.load(), 1u);
  EXPECT_EQ(host.progress->bytes_before.load(), 4u);
}

TEST(BackupChoice, ManySmallDirectoriesWaitWithinTheirShareOfTheMemory) {
  Host host;
  for (int d = 0; d < 400; ++d) write(host.source + "/d" + std::to_string(d) + "/f", "text " + std::to_string(d));
  host.options.memory_bytes = 256u << 10;
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(host.look(*report).size(), 800u);
  const auto again = host.back_up();
  ASSERT_OK(again);
  EXPECT_EQ(again->files_unchanged, 400u);
}

}  // namespace
}  // namespace coppice
