// Goal: what is restored is what was there, judged by a comparer that shares no code with us; doing it again changes
// nothing; and doing it again over a tree that was changed brings it back.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "planted.h"
#include "support/temp_directory.h"
#include "support/tree_compare.h"
#include "support/tree_maker.h"

namespace coppice::testing {
namespace {

std::uint64_t seed_for_this_run() {
  const char* given = std::getenv("COPPICE_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 10) : 20261122;
}

void expect_same(const std::string& a, const std::string& b) {
  TreeComparer comparer(CompareOptions{.atime = false});
  for (const std::string& difference : comparer.compare(a, b)) ADD_FAILURE() << difference;
  EXPECT_GT(comparer.objects(), 10u);
}

class Fidelity : public ::testing::Test {
 protected:
  void make(TreeOptions options = {}) {
    seed = seed_for_this_run();
    RecordProperty("seed", std::to_string(seed));
    make_tree(seed, temp / "source", options);
    body = plant(v, tree_of(temp.path(), "source"), {.leaf_entries_max = 30, .inline_slices_max = 20});
  }
  ~Fidelity() override {
    unlock_tree(temp / "source");
    unlock_tree(temp / "target/source");
  }
  TempDirectory temp;
  TestVault v;
  std::uint64_t seed = 0;
  format::SnapshotBody body;
};

TEST_F(Fidelity, ARandomTreeComesBack) {
  make({.directories = 30, .locked = true});
  Restoring restore(v);
  // Little memory: many windows, files across them, links that wait.
  auto report = restore(body, {.target = temp / "target", .workers = 3, .memory_bytes = 8u << 20});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u) << "seed " << seed << "\n" << all_warnings(*report);
  EXPECT_EQ(report->warnings_total, 0u) << all_warnings(*report);
  EXPECT_EQ(report->files, body.files);
  EXPECT_EQ(report->directories, body.directories);
  EXPECT_EQ(report->others, body.others);
  EXPECT_EQ(restore.progress.files, restore.progress.files_total);
  expect_same(temp / "source", temp / "target/source");
}

TEST_F(Fidelity, AgainChangesNothing) {
  make({.locked = true});
  Restoring restore(v);
  ASSERT_OK(restore(body, {.target = temp / "target"}));
  const auto before = stat_of(temp / "target/source/text-131072");
  for (const bool verify : {false, true}) {
    Restoring again(v);
    auto report = again(body, {.target = temp / "target", .verify = verify});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
    EXPECT_EQ(report->files, 0u);
    EXPECT_EQ(report->bytes, 0u);
    EXPECT_EQ(report->skipped, body.files);
    EXPECT_EQ(report->verified > 50, verify);
    expect_same(temp / "source", temp / "target/source");
  }
  const auto after = stat_of(temp / "target/source/text-131072");
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(Fidelity, VerifyReadsBackWhatIsWritten) {
  make();
  Restoring restore(v);
  auto report = restore(body, {.target = temp / "target", .verify = true, .memory_bytes = 8u << 20});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
  EXPECT_GT(report->verified, 50u);
  expect_same(temp / "source", temp / "target/source");
}

TEST_F(Fidelity, ADamagedTreeIsMended) {
  make({.locked = true});
  Restoring restore(v);
  ASSERT_OK(restore(body, {.target = temp / "target"}));
  // Gone, cut, grown, touched, another mode, another owner, another type, another target, strangers' attributes.
  unlock_tree(temp / "target/source");
  const std::string t = temp / "target/source/";
  std::filesystem::remove_all(t + "dir-3");
  ASSERT_EQ(truncate((t + "text-131072").c_str(), 1000), 0);
  ASSERT_EQ(truncate((t + "random-65536").c_str(), 70000), 0);
  set_mtime(t + "text-4096", {5, 5});
  ASSERT_EQ(chmod((t + "text-4095").c_str(), 0123), 0);
  ASSERT_EQ(chmod((t + "empty").c_str(), 0), 0);
  ASSERT_EQ(unlink((t + "random-65535").c_str()), 0);
  ASSERT_EQ(symlink("/etc/passwd", (t + "random-65535").c_str()), 0);
  ASSERT_EQ(unlink((t + "link-relative").c_str()), 0);
  ASSERT_EQ(symlink("elsewhere", (t + "link-relative").c_str()), 0);
  ASSERT_EQ(unlink((t + "fifo").c_str()), 0);
  write_text(t + "fifo", "no fifo");
  ASSERT_EQ(rmdir((t + "empty\nodd").c_str()), 0);
  write_text(t + "empty\nodd", "a file where a directory was");
  ASSERT_EQ(unlink((t + "hole-middle").c_str()), 0);  // of several names
  if (setxattr((t + "xattr-large").c_str(), "user.stranger", "x", 1, 0) != 0)
    GTEST_LOG_(INFO) << "no user attributes here";
  setxattr((t + "empty-acl").c_str(), "user.stranger", "x", 1, 0);
  Restoring again(v);
  auto report = again(body, {.target = temp / "target", .workers = 2});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
  EXPECT_GT(report->files, 4u);
  EXPECT_GE(report->metadata_set, 2u);
  EXPECT_GT(report->skipped, 50u);
  expect_same(temp / "source", temp / "target/source");
}

TEST_F(Fidelity, ManySeeds) {
  const std::uint64_t first = seed_for_this_run() + 1;
  for (std::uint64_t s = first; s < first + 4; ++s) {
    SCOPED_TRACE(fmt::format("COPPICE_TEST_SEED={}", s - 1));
    TempDirectory here;
    TestVault own(s);
    make_tree(s, here / "source", {.directories = 8, .deep = false, .large = s % 2 == 0});
    const auto snapshot = plant(own, tree_of(here.path(), "source"),
                                {.chunk_bytes = 5000 + s % 3 * 30000,
                                 .group_bytes = 9000,
                                 .leaf_entries_max = 1 + s % 20,
                                 .inline_slices_max = s % 5});
    Restoring restore(own);
    auto report = restore(
        snapshot, {.target = here / "target", .workers = static_cast<unsigned>(1 + s % 4), .memory_bytes = 8u << 20});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
    expect_same(here / "source", here / "target/source");
  }
}

}  // namespace
}  // namespace coppice::testing
