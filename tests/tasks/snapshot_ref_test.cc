#include "tasks/snapshot_ref.h"

#include <gtest/gtest.h>

#include "support/result.h"
#include "tasks/places.h"

namespace coppice::tasks {
namespace {

vault::Snapshot snapshot(std::uint32_t slot, std::byte first, std::byte second, std::int64_t seconds, std::string host,
                         std::vector<std::string> tags = {}, std::vector<std::string> sources = {"/"}) {
  vault::Snapshot made;
  made.session = {0, slot};
  made.commit_hash = {first, second};
  made.commit.claimed_time = {seconds + 60, 0};
  format::SnapshotBody body;
  body.host = std::move(host);
  body.tags = std::move(tags);
  body.sources = std::move(sources);
  body.started = {seconds, 0};
  made.body = std::move(body);
  return made;
}

vault::SnapshotList some() {
  vault::SnapshotList list;
  list.snapshots.push_back(snapshot(0, std::byte{0xab}, std::byte{0xcd}, 1000, "web1", {"nightly"}));
  list.snapshots.push_back(
      snapshot(1, std::byte{0xab}, std::byte{0xcf}, 2000, "web2", {"db", "nightly"}, {"/etc", "/srv"}));
  list.snapshots.push_back(snapshot(2, std::byte{0x12}, std::byte{0x34}, 1500, "web1"));  // that host's clock went back
  return list;
}

TEST(SnapshotRef, ThePathFollowsTheFirstColonAndSlash) {
  auto ref = parse_snapshot_ref("latest");
  ASSERT_OK(ref);
  EXPECT_EQ(ref->kind, SnapshotRef::Kind::kLatest);
  EXPECT_FALSE(ref->has_path);
  ref = parse_snapshot_ref("ABCD:/a//b/./c:/d/");
  ASSERT_OK(ref);
  EXPECT_EQ(ref->prefix, "abcd");
  EXPECT_EQ(ref->path, "/a/b/c:/d");
  ref = parse_snapshot_ref("@2026-11-22T08:00Z:/data");
  ASSERT_OK(ref);
  EXPECT_EQ(ref->kind, SnapshotRef::Kind::kMoment);
  EXPECT_EQ(ref->path, "/data");
  EXPECT_EQ(ref->before, parse_time("2026-11-22T08:01Z")->begin) << "that minute is still meant";
  EXPECT_EQ(parse_snapshot_ref("latest:/")->path, "/");
}

TEST(SnapshotRef, WhatNamesNothingIsRefused) {
  for (const char* text :
       {"", "abc", "ghij", "newest", "@", "@yesterday", "latest:/a/../b", "abcd:data", ":/a", "@2026-13-01"}) {
    const auto ref = parse_snapshot_ref(text);
    ASSERT_FALSE(ref) << text;
    EXPECT_EQ(ref.error().kind(), ErrorKind::kInvalid) << text;
  }
  EXPECT_FALSE(parse_snapshot_ref(std::string(65, 'a')));
}

TEST(SnapshotRef, APrefixFindsOneOrNamesTheCandidates) {
  const auto list = some();
  const auto one = find_snapshot(list, *parse_snapshot_ref("abcf"), {});
  ASSERT_OK(one);
  EXPECT_EQ((*one)->session.slot, 1u);
  const auto none = find_snapshot(list, *parse_snapshot_ref("ffff"), {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind(), ErrorKind::kNotFound);

  auto twins = some();
  twins.snapshots.push_back(snapshot(3, std::byte{0xab}, std::byte{0xcd}, 3000, "web1"));
  twins.snapshots.back().commit_hash[5] = std::byte{1};
  const auto both = find_snapshot(twins, *parse_snapshot_ref("abcd"), {});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().kind(), ErrorKind::kConflict);
  EXPECT_NE(both.error().message().find(twins.snapshots.back().short_id()), std::string::npos)
      << both.error().message();
}

TEST(SnapshotRef, LatestIsTheLastThatBeganWhateverTheClockSaid) {
  const auto list = some();
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("latest"), {}))->session.slot, 2u);
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("latest"), {.hosts = {"web2", "web3"}}))->session.slot, 1u);
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("latest"), {.tags = {"nightly"}}))->session.slot, 1u);
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("latest"), {.hosts = {"web2"}, .paths = {"/etc"}}))->session.slot,
            1u);
  EXPECT_FALSE(find_snapshot(list, *parse_snapshot_ref("latest"), {.tags = {"nightly", "nothing"}}));
}

TEST(SnapshotRef, APathIsThatOfASourceOrBelowOneHoweverItIsWritten) {
  auto list = some();
  const auto slots = [&](const char* path) {
    std::vector<std::uint32_t> slots;
    const auto found = filter_snapshots(list, {.paths = {path}});
    for (const auto* one : *found) slots.push_back(one->session.slot);
    return slots;
  };
  using Slots = std::vector<std::uint32_t>;
  EXPECT_EQ(slots("/etc/nginx/"), (Slots{0, 1, 2}));
  EXPECT_EQ(slots("/etc//./"), (Slots{0, 1, 2}));
  EXPECT_EQ(slots("/etcetera"), (Slots{0, 2}));
  EXPECT_EQ(slots("/"), (Slots{0, 2}));
  list.snapshots.push_back(
      snapshot(3, std::byte{7}, std::byte{7}, 3000, "web3", {}, {*absolute_path("relative"), "dump.sql"}));
  EXPECT_EQ(slots("relative/"), (Slots{0, 2, 3}));
  EXPECT_EQ(slots("dump.sql"), (Slots{0, 2, 3}));
}

TEST(SnapshotRef, WhatStandsInAnothersNameIsNotChosenUnasked) {
  auto list = some();
  const auto latest = [&](const SnapshotFilter& filter) { return find_snapshot(list, *parse_snapshot_ref("latest"), filter); };
  list.snapshots[0].signer_name = "web1";
  list.snapshots[1].signer_name = list.snapshots[2].signer_name = "web2";
  for (const SnapshotFilter& filter : {SnapshotFilter{}, SnapshotFilter{.hosts = {"web1"}}}) {
    const auto forged = latest(filter);
    ASSERT_FALSE(forged);
    EXPECT_EQ(forged.error().kind(), ErrorKind::kConflict);
    EXPECT_NE(forged.error().message().find("signed by web2"), std::string::npos) << forged.error().message();
  }
  EXPECT_FALSE(find_snapshot(list, *parse_snapshot_ref("@1970-01-01T00:25Z"), {}));
  EXPECT_EQ((*latest({.hosts = {"web1"}, .signers = {"web1"}}))->session.slot, 0u);
  EXPECT_EQ((*latest({.hosts = {"web1"}, .signers = {"web2"}}))->session.slot, 2u);
  EXPECT_EQ((*latest({.hosts = {"web2"}}))->session.slot, 1u);
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("1234"), {}))->session.slot, 2u);
  list.snapshots[2].signer_role = format::Role::kOwner;
  EXPECT_EQ((*latest({}))->session.slot, 2u);
  list.snapshots[2].signer_role = format::Role::kWriter;
  list.snapshots[0].signer_name = "a key of another name";   // then nothing can be told
  EXPECT_EQ((*latest({}))->session.slot, 2u);
}

TEST(SnapshotRef, AWholeSnapshotOfAPathGoesBeforeANewerPartialOneOfItsHost) {
  auto list = some();
  list.snapshots[2].body->complete = false;
  const auto chosen = [&](const char* ref, const SnapshotFilter& filter = {}) {
    const vault::Snapshot* passed_over = nullptr;
    const auto found = find_snapshot(list, *parse_snapshot_ref(ref), filter, &passed_over);
    return found ? std::pair(static_cast<int>((*found)->session.slot), passed_over ? static_cast<int>(passed_over->session.slot) : -1) : std::pair(-1, -1);
  };
  EXPECT_EQ(chosen("latest:/srv"), std::pair(0, 2)) << "not that of another host, though it is newer";
  EXPECT_EQ(chosen("@1970-01-01T00:25Z:/srv"), std::pair(0, 2));
  EXPECT_EQ(chosen("@1970-01-01T00:20Z:/srv"), std::pair(0, -1)) << "what comes later is passed over by the moment";
  EXPECT_EQ(chosen("latest"), std::pair(2, -1));
  EXPECT_EQ(chosen("latest:/"), std::pair(2, -1));
  EXPECT_EQ(chosen("1234:/srv"), std::pair(2, -1)) << "who names it means it";
  list.snapshots[0].body->complete = false;
  EXPECT_EQ(chosen("latest:/srv", {.hosts = {"web1"}}), std::pair(2, -1)) << "only partial ones: the newest";
  list.snapshots[0].body->complete = true;
  list.snapshots[0].signer_name = "web2";
  list.snapshots[2].signer_name = "web1";
  EXPECT_EQ(chosen("latest:/srv"), std::pair(2, -1)) << "nor one that another's key signed in its name";
  list.snapshots[0].signer_name = "web1";
  list.snapshots[0].body->sources = {"/srv/part"};
  EXPECT_EQ(chosen("latest:/srv"), std::pair(2, -1)) << "one that lacks a source goes before one that never had it";
}

TEST(SnapshotRef, TheFilterHoldsForAnIdToo) {
  const auto list = some();
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("abcf"), {.hosts = {"web2"}}))->session.slot, 1u);
  const auto other = find_snapshot(list, *parse_snapshot_ref("abcf"), {.hosts = {"web1"}, .tags = {"db"}});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind(), ErrorKind::kNotFound);
  EXPECT_TRUE(other.error().message().starts_with("snapshot abcf")) << other.error().message();
  EXPECT_TRUE(other.error().message().ends_with("is not of host web1, tagged db")) << other.error().message();
}

TEST(SnapshotRef, AMomentTakesTheNewestThatStandsInTheListBeforeItsEnd) {
  const auto list = some();
  const auto at = [&](const char* text) { return find_snapshot(list, *parse_snapshot_ref(text), {}); };
  EXPECT_EQ((*at("@1970-01-01T00:16:40Z"))->session.slot, 0u);
  EXPECT_EQ((*at("@1970-01-01T00:25Z"))->session.slot, 2u);
  EXPECT_EQ((*at("@1970-01-02Z"))->session.slot, 1u);
  const auto early = at("@1970-01-01T00:10Z");
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(early.error().message().find("oldest"), std::string::npos) << early.error().message();
}

TEST(SnapshotRef, WithoutBodiesOnlyWhatNeedsNoneIsAnswered) {
  auto list = some();
  for (auto& one : list.snapshots) one.body.reset();
  EXPECT_EQ(filter_snapshots(list, {})->size(), 3u);
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("1234"), {}))->session.slot, 2u);
  list.snapshots[1].signer_name = "web2";
  EXPECT_EQ((*find_snapshot(list, *parse_snapshot_ref("latest"), {.signers = {"web2"}}))->session.slot, 1u);
  for (const char* ref : {"latest", "1234"}) {
    const auto denied = find_snapshot(list, *parse_snapshot_ref(ref), {.hosts = {"web1"}});
    ASSERT_FALSE(denied);
    EXPECT_EQ(denied.error().kind(), ErrorKind::kDenied);
  }
  EXPECT_EQ(snapshot_time(list.snapshots[0]).seconds, 1060);
}

TEST(SnapshotRef, EmptyVaultSaysSo) {
  const auto none = find_snapshot({}, *parse_snapshot_ref("latest"), {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace coppice::tasks
