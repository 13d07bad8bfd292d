// Goal: the directory that a restore begins in, and the way to it: entered through no symlink, made as it was, left
// alone where it was not asked for.
#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "planted.h"
#include "platform/file.h"
#include "support/temp_directory.h"

namespace coppice::testing {
namespace {

class Base : public ::testing::Test {
 protected:
  // /srv/data/docs/{a,deep/b}, each directory with a mode of its own.
  Base() {
    const auto with_mode = [](Node node, std::uint32_t mode) {
      node.entry.mode = mode;
      return node;
    };
    Node docs = with_mode(directory_node("docs", {file_node("a", "1"), directory_node("deep", {file_node("b", "2")})}),
                          0750);
    Node data = with_mode(directory_node("data", {docs}), 0711);
    data.entry.marks = format::kMarkPartial;
    Node srv = with_mode(directory_node("srv", {data}), 0751);
    srv.entry.marks = format::kMarkPartial;
    body = plant(v, directory_node("", {srv}));
    EXPECT_EQ(mkdir(target.c_str(), 0755), 0);
  }
  restore::RestoreReport restore(restore::RestoreOptions options) {
    Restoring run(v);
    auto report = run(body, options);
    EXPECT_OK(report);
    return report ? *report : restore::RestoreReport{};
  }
  restore::RestoreReport in_place(std::string sub_path, std::vector<std::string> patterns = {}) {
    return restore({.target = target, .sub_path = std::move(sub_path), .in_place = true, .patterns = std::move(patterns)});
  }
  unsigned mode_of(const std::string& path) { return stat_of(path).st_mode & 07777; }

  TempDirectory temp;
  TestVault v;
  format::SnapshotBody body;
  const std::string target = temp / "target", outside = temp / "outside";
};

TEST_F(Base, APartInPlaceIsNotWrittenThroughASymlinkInItsPlace) {
  std::filesystem::create_directories(target + "/srv/data");
  mkdir(outside.c_str(), 0755);
  CHECK(symlink(outside.c_str(), (target + "/srv/data/docs").c_str()) == 0);
  const auto report = in_place("/srv/data/docs");
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  EXPECT_TRUE(std::filesystem::is_empty(outside));
  EXPECT_TRUE(S_ISDIR(stat_of(target + "/srv/data/docs").st_mode));
  EXPECT_EQ(content_of(target + "/srv/data/docs/a"), "1");
}

TEST_F(Base, ASymlinkOnTheWayIsLeftAloneAndNamed) {
  mkdir((target + "/srv").c_str(), 0755);
  mkdir(outside.c_str(), 0755);
  CHECK(symlink(outside.c_str(), (target + "/srv/data").c_str()) == 0);
  for (const char* part : {"/srv/data/docs", "/srv/data/docs/a", ""}) {
    const auto report = in_place(part);
    EXPECT_GT(report.failed, 0u) << part;
    EXPECT_NE(all_warnings(report).find("a symlink to " + outside), std::string::npos) << all_warnings(report);
    EXPECT_NE(all_warnings(report).find("/srv/data"), std::string::npos);
    EXPECT_TRUE(std::filesystem::is_empty(outside));
    EXPECT_TRUE(S_ISLNK(stat_of(target + "/srv/data").st_mode));
  }
}

TEST_F(Base, APatternReplacesNoSymlinkThatIsOnlyOnTheWay) {
  mkdir(outside.c_str(), 0755);
  std::filesystem::create_directories(target + "/srv/data/docs");
  CHECK(symlink(outside.c_str(), (target + "/srv/data/docs/deep").c_str()) == 0);
  auto report = in_place("", {"/srv/data/docs/deep/b"});
  EXPECT_GT(report.failed, 0u);
  EXPECT_TRUE(std::filesystem::is_symlink(target + "/srv/data/docs/deep"));
  EXPECT_TRUE(std::filesystem::is_empty(outside));
  report = in_place("", {"/srv/data/docs/deep/"});  // chosen itself: it is a directory again
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  EXPECT_EQ(content_of(target + "/srv/data/docs/deep/b"), "2");
  EXPECT_TRUE(std::filesystem::is_empty(outside));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(target + "/srv/data/docs"), {}), 1);  // no temporary left
}

TEST_F(Base, MissingParentsAreMadeAsTheyWere) {
  for (const char* part : {"/srv/data/docs", "/srv/data/docs/a"}) {
    const auto report = in_place(part);
    EXPECT_EQ(report.failed, 0u) << all_warnings(report);
    EXPECT_EQ(mode_of(target + "/srv"), 0751u) << part;
    EXPECT_EQ(mode_of(target + "/srv/data"), 0711u) << part;
    EXPECT_EQ(mode_of(target + "/srv/data/docs"), 0750u) << part;
    EXPECT_EQ(stat_of(target + "/srv").st_mtim.tv_sec, 1'600'000'000) << part;
    EXPECT_EQ(content_of(target + "/srv/data/docs/a"), "1");
    std::filesystem::remove_all(target + "/srv");
  }
}

TEST_F(Base, InPlaceTheDirectoryTakesItsAttributesAndTheWayKeepsItsOwn) {
  std::filesystem::create_directories(target + "/srv/data/docs");
  for (const char* path : {"/srv", "/srv/data", "/srv/data/docs"}) chmod((target + path).c_str(), 0700);
  in_place("/srv/data/docs");
  EXPECT_EQ(mode_of(target + "/srv"), 0700u);
  EXPECT_EQ(mode_of(target + "/srv/data"), 0700u);
  EXPECT_EQ(mode_of(target + "/srv/data/docs"), 0750u);
  EXPECT_EQ(stat_of(target + "/srv/data/docs").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(mode_of(target), 0755u);
}

TEST_F(Base, AnEmptyTargetTakesTheAttributesOfWhatItHolds) {
  restore({.target = target, .sub_path = "/srv/data/docs"});
  EXPECT_EQ(mode_of(target), 0750u);
  chmod(target.c_str(), 0701);
  restore({.target = target, .sub_path = "/srv/data/docs"});
  EXPECT_EQ(mode_of(target), 0701u);  // with something in it, it is somebody's
  restore({.target = temp / "missing/too", .sub_path = "/srv/data/docs"});
  EXPECT_EQ(mode_of(temp / "missing/too"), 0750u);
}

TEST_F(Base, ATargetThatLackedSomethingIsAsItWasOnceThatIsThere) {
  restore({.target = target, .sub_path = "/srv/data/docs", .patterns = {"*", "!a"}});
  EXPECT_FALSE(std::filesystem::exists(target + "/a"));
  EXPECT_EQ(stat_of(target).st_mtim.tv_sec, 1'600'000'000);
  restore({.target = target, .sub_path = "/srv/data/docs"});
  EXPECT_TRUE(std::filesystem::exists(target + "/a"));
  EXPECT_EQ(stat_of(target).st_mtim.tv_sec, 1'600'000'000);
}

// A kill leaves directories with the mode of unfinished ones; the next run finishes them, the target too.
TEST_F(Base, WhatAnInterruptedRunMadeIsFinishedByTheNext) {
  chmod(target.c_str(), 01700);
  mkdir((target + "/deep").c_str(), 01700);
  write_text(target + "/a", "half");
  const auto report = restore({.target = target, .sub_path = "/srv/data/docs"});
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  EXPECT_EQ(mode_of(target), 0750u);
  EXPECT_EQ(mode_of(target + "/deep"), 0755u);
  std::filesystem::create_directories(target + "/whole/srv");
  chmod((target + "/whole/srv").c_str(), 01700);
  restore({.target = target + "/whole"});
  EXPECT_EQ(mode_of(target + "/whole/srv"), 0751u);  // on the way only, and ours
}

TEST_F(Base, TheWayMayLeadThroughDirectoriesThatCannotBeListed) {
  if (geteuid() != 0) GTEST_SKIP() << "starts as root, to have something that others may not do";
  CHECK(chmod(temp.path().c_str(), 0755) == 0);
  std::filesystem::create_directories(target + "/srv/data/docs");
  chmod((target + "/srv").c_str(), 0711);
  chmod((target + "/srv/data").c_str(), 0711);
  CHECK(chown((target + "/srv/data/docs").c_str(), 65534, 65534) == 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(10);
    const auto report = in_place("/srv/data/docs");
    if (report.failed != 0) fprintf(stderr, "%s", all_warnings(report).c_str());
    _exit(report.failed == 0 ? 0 : 11);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(content_of(target + "/srv/data/docs/deep/b"), "2");
  EXPECT_EQ(mode_of(target + "/srv/data"), 0711u);
}

TEST_F(Base, GuardsOnTheWayAreTakenOffWhenAskedToAndComeBack) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto immutable = [](const std::string& path, bool on) {
    const platform::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    int flags = on ? FS_IMMUTABLE_FL : 0;
    return ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
  };
  const auto guarded = [](const std::string& path) {
    const platform::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    int flags = 0;
    return ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL) != 0;
  };
  std::filesystem::create_directories(target + "/srv/data");
  write_text(target + "/srv/data/docs", "an immutable file where a directory must be");
  if (!immutable(target + "/srv/data/docs", true)) GTEST_SKIP() << "no such flags here";
  for (const char* path : {"/srv/data", "/srv", ""}) immutable(target + path, true);
  const auto refused = in_place("/srv/data/docs");
  EXPECT_GT(refused.immutable, 0u) << all_warnings(refused);
  const auto report = restore({.target = target, .sub_path = "/srv/data/docs", .in_place = true, .replace_immutable = true});
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  EXPECT_EQ(content_of(target + "/srv/data/docs/a"), "1");
  for (const char* path : {"/srv/data", "/srv", ""}) {
    EXPECT_TRUE(guarded(target + path)) << path;
    immutable(target + path, false);
  }
  immutable(target, true);
  const auto other = restore({.target = target, .sub_path = "/srv/data/docs", .replace_immutable = true});  // into it
  EXPECT_EQ(other.failed, 0u) << all_warnings(other);
  EXPECT_TRUE(guarded(target));
  immutable(target, false);
}

TEST_F(Base, TheTotalsOfAPartAreKnownOnceItIsPlanned) {
  for (const auto& patterns : {std::vector<std::string>{}, {"b"}}) {
    Restoring run(v);
    ASSERT_OK(run(body, {.target = target, .sub_path = "/srv/data/docs", .in_place = true, .patterns = patterns}));
    EXPECT_TRUE(run.progress.totals_known);
    EXPECT_EQ(run.progress.files_total, patterns.empty() ? 2u : 1u);
    EXPECT_EQ(run.progress.bytes_total, patterns.empty() ? 2u : 1u);
    EXPECT_EQ(run.progress.files, run.progress.files_total);
  }
}

TEST_F(Base, TheRootItselfComesBack) {
  Node root = directory_node("");
  root.entry.mode = 0751;
  body.root_entry = root.entry;
  restore({.target = temp / "new"});
  EXPECT_EQ(mode_of(temp / "new"), 0751u);
  EXPECT_EQ(stat_of(temp / "new").st_mtim.tv_sec, 1'600'000'000);
  chmod(target.c_str(), 0700);
  in_place("");
  EXPECT_EQ(mode_of(target), 0751u);

  // Where only something below it was backed up, it is on the way.
  body.root_entry->marks = format::kMarkPartial;
  chmod(target.c_str(), 0700);
  in_place("");
  EXPECT_EQ(mode_of(target), 0700u);
  mkdir((temp / "empty").c_str(), 0700);
  restore({.target = temp / "empty"});
  EXPECT_EQ(mode_of(temp / "empty"), 0700u);
  restore({.target = temp / "newer"});
  EXPECT_EQ(mode_of(temp / "newer"), 0751u);
}

}  // namespace
}  // namespace coppice::testing
