// A source that changes under the backup: what goes away is left out, what is replaced is taken as it is now, and the run goes on.
#include <gmock/gmock.h>

#include "capture/metadata.h"
#include "host.h"

namespace coppice {
namespace {

using namespace testing;
using ::testing::HasSubstr;

TEST(ChangingSource, WhatWentAwayIsLeftOutWithAWarning) {
  Host host;
  write(host.source + "/a", "first");
  write(host.source + "/file", "text");
  write(host.source + "/large", noise(1, 300'000));
  write(host.source + "/z/below", "text");
  write(host.source + "/zz", "last");
  fs::create_symlink("target", host.source + "/link");
  ASSERT_EQ(mkfifo((host.source + "/fifo").c_str(), 0600), 0);
  const Held held(host.source + "/a", [&] {
    for (const char* name : {"file", "large", "link", "fifo"}) fs::remove(host.source + "/" + name);
  });
  if (!held.works()) GTEST_SKIP() << "no leases here";
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_TRUE(report->committed);
  const auto things = host.look(*report);
  EXPECT_EQ(things.size(), 4u);
  EXPECT_EQ(things.at("a").content, "first");
  EXPECT_EQ(things.at("z/below").content, "text");
  EXPECT_EQ(things.at("zz").content, "last");
  EXPECT_EQ(report->warnings_total, 4u);
  for (const char* name : {"file", "large", "link", "fifo"}) EXPECT_THAT(host.warnings[host.source + "/" + name], HasSubstr("went away"));
}

TEST(ChangingSource, WhatWasReplacedIsTakenAsItIsNow) {
  Host host;
  write(host.source + "/a", "first");
  write(host.source + "/file", "old");
  write(host.source + "/large", noise(1, 300'000));
  write(host.source + "/to-link", "old");
  fs::create_symlink("target", host.source + "/to-file");
  fs::create_symlink("target", host.source + "/to-directory");
  write(host.directory / "new", "new text");
  write(host.directory / "new-large", noise(2, 400'000));
  const Held held(host.source + "/a", [&] {
    fs::rename(host.directory / "new", host.source + "/file");
    fs::rename(host.directory / "new-large", host.source + "/large");
    fs::remove(host.source + "/to-link");
    fs::create_symlink("elsewhere", host.source + "/to-link");
    fs::remove(host.source + "/to-file");
    write(host.source + "/to-file", "was a link");
    fs::remove(host.source + "/to-directory");
    write(host.source + "/to-directory/below", "deep");
  });
  if (!held.works()) GTEST_SKIP() << "no leases here";
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(report->warnings_total, 0u);
  const auto things = host.look(*report);
  EXPECT_EQ(things.at("file").content, "new text");
  EXPECT_EQ(things.at("large").content, noise(2, 400'000));
  EXPECT_EQ(things.at("to-link").entry.target, "elsewhere");
  EXPECT_EQ(things.at("to-file").content, "was a link");
  EXPECT_EQ(things.at("to-directory/below").content, "deep");
}

// Directories, so many that nobody scans the last ones ahead; then others in the place of the last three.
void make_many(const Host& host) {
  for (int i = 100; i < 300; ++i) write(host.source + "/d" + std::to_string(i) + "/x", "old");
  write(host.directory / "new/y", "new");
}

void replace_the_last(const Host& host) {
  fs::remove_all(host.source + "/d299");
  fs::rename(host.directory / "new", host.source + "/d299");
  fs::remove_all(host.source + "/d298");
  fs::remove_all(host.source + "/d297");
  write(host.source + "/d297", "a file");
}

std::map<std::string, Host::Thing> expect_replaced(Host& host, const capture::BackupReport& report) {
  const auto things = host.look(report);
  EXPECT_THAT(host.warnings, ::testing::ElementsAre(::testing::Pair(host.source + "/d298", HasSubstr("went away"))));
  EXPECT_EQ(report.warnings_total, 1u);
  EXPECT_TRUE(things.contains("d299/y") && things.at("d299/y").content == "new");
  EXPECT_FALSE(things.contains("d299/x"));
  EXPECT_FALSE(things.contains("d298"));
  EXPECT_EQ(things.at("d297").content, "a file");
  EXPECT_EQ(things.at("d296/x").content, "old");
  return things;
}

TEST(ChangingSource, AReplacedDirectoryIsTakenWithItsContent) {
  Host host;
  write(host.source + "/a", "first");
  make_many(host);
  const Held held(host.source + "/a", [&] { replace_the_last(host); });
  if (!held.works()) GTEST_SKIP() << "no leases here";
  const auto report = host.back_up();
  ASSERT_OK(report);
  expect_replaced(host, *report);
}

TEST(ChangingSource, AnUnchangedDirectoryThatIsReplacedMeanwhileIsTakenAsItIsNow) {
  Host host;
  write(host.source + "/a/first", "first");
  make_many(host);
  ASSERT_OK(host.back_up());
  write(host.source + "/a/first", "first, changed");
  const Held held(host.source + "/a/first", [&] { replace_the_last(host); });
  if (!held.works()) GTEST_SKIP() << "no leases here";
  const auto report = host.back_up();
  ASSERT_OK(report);
  const auto things = expect_replaced(host, *report);
  EXPECT_EQ(things.at("a/first").content, "first, changed");
  // The state that this run left is a good one.
  const auto again = host.back_up();
  ASSERT_OK(again);
  EXPECT_EQ(again->files_new + again->files_changed, 0u);
  EXPECT_EQ(host.look(*again).size(), things.size());
}

TEST(ChangingSource, AFileWithoutANameLeftHasOneLink) {
  Host host;
  write(host.source + "/x", "text");
  const platform::Fd fd(::open((host.source + "/x").c_str(), O_RDONLY | O_CLOEXEC));
  fs::remove(host.source + "/x");
  struct statx st;
  ASSERT_EQ(::statx(fd.get(), "", AT_EMPTY_PATH, capture::kStatxMask, &st), 0);
  ASSERT_EQ(st.stx_nlink, 0u);
  capture::OwnerNames names;
  format::Entry entry{.name = "x"};
  ASSERT_OK(capture::fill_from_statx(st, names, entry));
  EXPECT_EQ(entry.links, 1u);
}

}  // namespace
}  // namespace coppice
