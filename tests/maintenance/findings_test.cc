#include "findings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace coppice::maintenance {
namespace {

// The finding on one object that `paths` files need, each told of in `versions` versions of its directory.
Finding finding_of(std::uint64_t path_bytes, int paths, int versions = 1) {
  Findings findings(path_bytes);
  const auto id = findings.add(Severity::kDamage, "packs/0/0/0", Error(ErrorKind::kCorrupt, "gone"));
  for (int version = 0; version < versions; ++version)
    for (int i = 0; i < paths; ++i) findings.touch_file(*id, fmt::format("/data/file-{:04}", i));
  CheckReport report;
  findings.move_into(report, [](format::SessionId) { return false; }, [](format::SessionId, Finding&) {});
  return report.findings.at(0);
}

TEST(Findings, NamesTheFirstFilesAndSaysThatThereAreMore) {
  const Finding finding = finding_of(0, 150);
  EXPECT_EQ(finding.files.size(), kFindingDetailsMax);
  EXPECT_EQ(finding.files_total, 150u);
  EXPECT_TRUE(finding.files_left_out);
}

TEST(Findings, NamesAFileOnceHoweverManyVersionsItsDirectoryHas) {
  const Finding finding = finding_of(0, 100, 3);
  EXPECT_EQ(finding.files.size(), 100u);
  EXPECT_EQ(finding.files_total, 300u);
  EXPECT_FALSE(finding.files_left_out);
}

TEST(Findings, KnowsEveryDamagedPackHoweverManyFindingsThereAre) {
  Findings findings(0);
  const auto pack = [](std::uint32_t i) { return format::PackName{.session = {0, 1}, .sequence = i}; };
  for (std::uint32_t i = 0; i < 2 * kFindingsMax; ++i)
    for (std::uint16_t block = 0; block < 3; ++block) (void)findings.add_block({.pack = pack(i), .ordinal = block}, Error(ErrorKind::kCorrupt, "bad"));
  (void)findings.add_pack(pack(1u << 20), Error(ErrorKind::kDenied, "not for us to read"));
  const auto damaged = findings.damaged_packs();
  EXPECT_EQ(damaged.size(), 2 * kFindingsMax);
  EXPECT_EQ(damaged.back(), pack(2 * kFindingsMax - 1));
}

TEST(Findings, WhatOnlyForgottenSnapshotsNeedIsNoDamage) {
  Findings findings(0);
  const auto pack = [](std::uint32_t i) { return format::PackName{.session = {0, 1}, .sequence = i}; };
  const auto old = findings.add_pack(pack(1), Error(ErrorKind::kCorrupt, "bad")), both = findings.add_block({.pack = pack(2)}, Error(ErrorKind::kCorrupt, "bad")),
             nobody = findings.add_pack(pack(3), Error(ErrorKind::kCorrupt, "bad")), list = findings.add(Severity::kDamage, "lists/1", Error(ErrorKind::kCorrupt, "bad"));
  for (const auto id : {old, both, list}) findings.touch_snapshot(*id, {0, 1});
  findings.touch_snapshot(*both, {0, 2});
  CheckReport report;
  findings.move_into(report, [](format::SessionId session) { return session.slot == 1; },
                     [](format::SessionId session, Finding& finding) { finding.signer = fmt::format("key {}", session.slot); });
  EXPECT_EQ(report.damage_total, 3u);
  EXPECT_EQ(report.information_total, 1u);
  EXPECT_EQ(report.findings.back().object, format::pack_object(pack(1)));
  EXPECT_EQ(report.findings.back().severity, Severity::kInformation);
  EXPECT_EQ(report.findings.back().signer, "key 1");
  EXPECT_TRUE(nobody.has_value());
}

TEST(Findings, NamesAllThatThereIsRoomFor) {
  const Finding all = finding_of(1 << 20, 1500, 2);
  EXPECT_EQ(all.files.size(), 1500u);
  EXPECT_TRUE(std::ranges::is_sorted(all.files));
  EXPECT_FALSE(all.files_left_out);
  const Finding some = finding_of(16 << 10, 1500, 2);
  EXPECT_GT(some.files.size(), kFindingDetailsMax);
  EXPECT_LT(some.files.size(), 200u);
  EXPECT_TRUE(some.files_left_out);
}

}  // namespace
}  // namespace coppice::maintenance
