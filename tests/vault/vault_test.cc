// Goal: a vault opens for its keys and for nobody else's, does not let itself be rolled back, and lists exactly the
// snapshots that are what they say.
#include "vault/vault.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "foundation/encoding.h"
#include "platform/file.h"
#include "support/result.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using format::Role;
using testing::TestVault;

// The next roster of a test vault, signed and stored.
void put_roster(TestVault& v, const format::Roster& next) {
  EXPECT_OK(v.store.put(format::roster_object(next.version), keys::sign_roster(next, v.vault.id, v.owner_seed())));
}
keys::RosterMark current_mark(TestVault& v, std::uint32_t version) {
  return {version, crypto::sha256(v.bytes_of(format::roster_object(version)))};
}

TEST(Vault, OpensForEveryRole) {
  TestVault v;
  for (const Role role : {Role::kOwner, Role::kReader, Role::kWriter, Role::kKeeper}) {
    const auto opened = v.open(role);
    ASSERT_OK(opened);
    EXPECT_EQ((*opened)->roster().members.size(), 4u);
    EXPECT_EQ((*opened)->may_write().has_value(), role != Role::kKeeper);
    EXPECT_FALSE((*opened)->revoked());
  }
  EXPECT_OK(Vault::open(v.store, keys::bundle_from_root(v.vault.root, v.vault.id, keys::kFirstEpoch), "", v.clock,
                        v.entropy));
}

TEST(Vault, SaysWhatIsWrongWithAStore) {
  TestVault v;
  storage::MemoryStore empty;
  const auto none = Vault::open(empty, v.bundle(Role::kReader), "", v.clock, v.entropy);
  EXPECT_FAILS(none, kNotFound);
  EXPECT_NE(none.error().message().find("coppice init"), std::string::npos);

  TestVault other(2);
  const auto foreign = Vault::open(other.store, v.bundle(Role::kReader), "", v.clock, v.entropy);
  EXPECT_FAILS(foreign, kDenied);
  EXPECT_NE(foreign.error().message().find("belongs to vault"), std::string::npos);

  std::string text(as_text(v.bytes_of("vault.json")));
  text.replace(text.find("\"version\": 1"), 12, "\"version\": 9");
  v.replace("vault.json", to_bytes(as_bytes(text)));
  const auto newer = v.open();
  EXPECT_FAILS(newer, kUnsupported);
  EXPECT_NE(newer.error().message().find('9'), std::string::npos);
}

TEST(Vault, RefusesAChangedDescription) {
  TestVault v;
  std::string text(as_text(v.bytes_of("vault.json")));
  text.replace(text.find("created\": \"2"), 12, "created\": \"1");
  v.replace("vault.json", to_bytes(as_bytes(text)));
  EXPECT_FALSE(v.open().has_value());
}

TEST(Vault, RefusesAnyFlippedBitInTheRoster) {
  TestVault v;
  const Bytes good = v.bytes_of("roster/0");
  for (std::size_t at = 0; at < good.size(); at += 7) {
    Bytes bad = good;
    bad[at] ^= std::byte{4};
    v.replace("roster/0", bad);
    EXPECT_FALSE(v.open().has_value()) << at;
  }
}

TEST(Vault, FindsTheNewestRosterAndRefusesAnOlderOne) {
  TestVault v;
  testing::TempDirectory state;
  {
    auto opened = v.open(Role::kReader, state.path());
    ASSERT_OK(opened);
    EXPECT_EQ((*opened)->roster().version, 0u);
    auto next = keys::with_member_revoked((*opened)->roster(), current_mark(v, 0), v.ids[Role::kWriter], {0, 5});
    ASSERT_OK(next);
    put_roster(v, *next);
  }
  auto opened = v.open(Role::kReader, state.path());
  ASSERT_OK(opened);
  EXPECT_EQ((*opened)->roster().version, 1u);

  const Bytes newest = v.bytes_of("roster/1");
  ASSERT_OK(v.store.remove("roster/1"));
  const auto rolled_back = v.open(Role::kReader, state.path());
  EXPECT_FAILS(rolled_back, kUnauthentic);
  EXPECT_NE(rolled_back.error().message().find("rolled back"), std::string::npos);
  EXPECT_OK(v.open(Role::kReader));  // one who has seen nothing cannot know

  // Another roster under a number that was seen.
  auto fork =
      keys::with_member_revoked((*v.open(Role::kReader))->roster(), current_mark(v, 0), v.ids[Role::kKeeper], {0, 5});
  ASSERT_OK(fork);
  put_roster(v, *fork);
  EXPECT_FAILS(v.open(Role::kReader, state.path()), kUnauthentic);
  v.replace("roster/1", newest);
  EXPECT_OK(v.open(Role::kReader, state.path()));
}

// A program that is stopped may hold any lock, and may have been about to write what it saw long ago.
TEST(Vault, TheNewestRosterSeenIsKeptWhateverOthersOfThisMachineDoOrLeave) {
  TestVault v;
  testing::TempDirectory state;
  const std::string directory = state / render_hex(v.vault.id);
  ASSERT_OK(v.open(Role::kReader, state.path()));
  std::filesystem::copy(directory + "/roster-seen.0", state / "old");
  put_roster(v, *keys::with_member_revoked((*v.open())->roster(), current_mark(v, 0), v.ids[Role::kWriter], {0, 5}));
  {
    const auto lock = platform::lock_directory(directory);
    ASSERT_OK(lock);
    ASSERT_OK(v.open(Role::kReader, state.path()));
  }
  EXPECT_FALSE(std::filesystem::exists(directory + "/roster-seen.0"));
  std::filesystem::copy(state / "old", directory + "/roster-seen.0");
  const Bytes newest = v.bytes_of("roster/1");
  ASSERT_OK(v.store.remove("roster/1"));
  EXPECT_FAILS(v.open(Role::kReader, state.path()), kUnauthentic);
  v.replace("roster/1", newest);
  ASSERT_OK(v.open(Role::kReader, state.path()));

  // What is no such record opens nothing.
  const std::string digest(64, '0');
  for (const std::string& text : {std::string(), "coppice roster-seen 1\n2 \n" + digest, "coppice roster-seen 1\n2 00\n" + digest,
                                  "coppice roster-seen 1\n1 " + digest + "\n", "coppice roster-seen 2\n2 " + digest + "\n",
                                  "coppice roster-seen 1\n2 " + digest}) {
    std::ofstream(directory + "/roster-seen.2") << text;
    const auto refused = v.open(Role::kReader, state.path());
    EXPECT_FAILS(refused, kCorrupt);
    EXPECT_NE(refused.error().message().find("roster-seen.2: not a record of the newest roster seen; remove it"), std::string::npos);
  }
  std::filesystem::rename(directory + "/roster-seen.2", directory + "/roster-seen.02");   // another's
  EXPECT_OK(v.open(Role::kReader, state.path()));

  // One that cannot be read is told, and neither waited for nor written over.
  std::filesystem::remove(directory + "/roster-seen.1");
  std::filesystem::create_directory(directory + "/roster-seen.1");
  for (const char* unreadable : {"a directory", "a dangling link"}) {
    const auto opened = v.open(Role::kReader, state.path());
    ASSERT_OK(opened);
    EXPECT_EQ((*opened)->notices().size(), 1u) << unreadable;
    EXPECT_FALSE(std::filesystem::is_regular_file(directory + "/roster-seen.1"));
    std::filesystem::remove(directory + "/roster-seen.1");
    std::filesystem::create_symlink("nowhere", directory + "/roster-seen.1");
  }
}

TEST(Vault, ARosterUnderAnothersNumberIsRefused) {
  TestVault v;
  ASSERT_OK(v.store.put("roster/1", v.bytes_of("roster/0")));
  EXPECT_FAILS(v.open(), kUnauthentic);
}

TEST(Vault, ARevokedKeyReadsButDoesNotWrite) {
  TestVault v;
  const Snapshot snapshot = v.back_up({{"a", "1"}});
  put_roster(v, *keys::with_member_revoked((*v.open())->roster(), current_mark(v, 0), v.ids[Role::kReader], {0, 9}));
  auto opened = v.open();
  ASSERT_OK(opened);
  EXPECT_TRUE((*opened)->revoked());
  EXPECT_FAILS((*opened)->may_write(), kDenied);
  EXPECT_FAILS((*opened)->forget(snapshot), kDenied);
  EXPECT_EQ((*opened)->snapshots()->snapshots.size(), 1u);
}

// A store that has a roster put just before the first commit.
struct RosterBeforeCommit : storage::MemoryStore {
  std::string name;
  Bytes roster;
  Result<> put(std::string_view object, ByteSpan bytes) override {
    if (object.starts_with("snapshots/")) {
      EXPECT_OK(storage::MemoryStore::put(name, roster));
    }
    return storage::MemoryStore::put(object, bytes);
  }
};

TEST(Vault, ABackupWhoseKeyIsRemovedMeanwhileIsNoSuccess) {
  for (const bool before : {true, false}) {
    TestVault v;
    RosterBeforeCommit store;
    store.become(v.store);
    const auto opened = Vault::open(store, v.bundle(Role::kReader), "", v.clock, v.entropy);
    ASSERT_OK(opened);
    auto writer = Writer::begin(**opened, "host /", {.workers = 1, .memory_bytes = 64u << 20});
    ASSERT_OK(writer);
    format::SnapshotBody body{.host = "host", .sources = {"/"}, .started = v.clock.now()};
    body.root = v.put_directory(**writer, {{"a", "1"}}, 1000);
    auto next = *keys::with_member_revoked((*opened)->roster(), current_mark(v, 0), v.ids[Role::kReader], {0, 1000}, {{.first = (*writer)->session(), .count = 1}});
    store.name = format::roster_object(1);
    store.roster = keys::sign_roster(next, v.vault.id, v.owner_seed());
    if (before) {
      ASSERT_OK(store.storage::MemoryStore::put(store.name, store.roster));
    }
    const auto committed = (*writer)->commit(body);
    EXPECT_FAILS(committed, kDenied);
    EXPECT_NE(committed.error().message().find("removed from the vault meanwhile"), std::string::npos);
    EXPECT_EQ(store.size(format::snapshot_object((*writer)->session())).has_value(), !before);
  }
}

TEST(Vault, ListsSnapshotsInOrderWithTheirBodies) {
  TestVault v;
  for (int i = 0; i < 12; ++i) v.back_up({{"a", std::to_string(i)}}, i % 2 ? Role::kReader : Role::kWriter);
  const auto list = (*v.open())->snapshots();
  ASSERT_OK(list);
  ASSERT_EQ(list->snapshots.size(), 12u);
  EXPECT_TRUE(list->bad.empty());
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(list->snapshots[i].session.slot, list->snapshots[0].session.slot + i);
    EXPECT_EQ(list->snapshots[i].signer_name, i % 2 ? "reader" : "writer");
    ASSERT_TRUE(list->snapshots[i].body);
    EXPECT_EQ(list->snapshots[i].body->host, "host");
    EXPECT_EQ(list->snapshots[i].short_id(), list->snapshots[i].id().substr(0, 12));
  }
  const auto as_writer = (*v.open(Role::kWriter))->snapshots();
  ASSERT_OK(as_writer);
  EXPECT_EQ(as_writer->snapshots.size(), 12u);
  EXPECT_FALSE(as_writer->snapshots[0].body);
}

TEST(Vault, NamesWhatIsNoSnapshot) {
  TestVault v;
  const Snapshot first = v.back_up({{"a", "1"}});
  v.back_up({{"a", "2"}});
  const std::string object = format::snapshot_object(first.session);
  ASSERT_OK(v.store.put("snapshots/0.77", v.bytes_of(object)));  // a replay
  ASSERT_OK(v.store.put("snapshots/stranger", v.bytes_of(object)));
  const Bytes good = v.bytes_of(object);
  for (std::size_t at = 0; at < good.size(); at += 11) {
    Bytes bad = good;
    bad[at] ^= std::byte{1};
    v.replace(object, bad);
    const auto list = (*v.open())->snapshots();
    ASSERT_OK(list);
    EXPECT_EQ(list->snapshots.size(), 1u) << at;
    EXPECT_EQ(list->bad.size(), 3u) << at;
  }
  v.replace(object, good);
  const auto list = (*v.open())->snapshots();
  ASSERT_EQ(list->bad.size(), 2u);
  EXPECT_EQ(list->bad[0].object, "snapshots/0.77");
  EXPECT_EQ(list->bad[0].error.kind(), ErrorKind::kUnauthentic);
  EXPECT_NE(list->bad[0].error.message().find("copy of"), std::string::npos);
  EXPECT_EQ(list->bad[1].object, "snapshots/stranger");
  EXPECT_FAILS((*v.open())->snapshot({0, 77}), kUnauthentic);
  EXPECT_FAILS((*v.open())->snapshot({0, 78}), kNotFound);
}

TEST(Vault, ForgetsOnceAndForAll) {
  TestVault v;
  const Snapshot first = v.back_up({{"a", "1"}}), second = v.back_up({{"a", "2"}});
  EXPECT_FAILS((*v.open(Role::kWriter))->forget(first), kDenied);
  ASSERT_OK((*v.open())->forget(first));
  v.clock.advance_seconds(60);
  ASSERT_OK((*v.open(Role::kOwner))->forget(first));  // somebody was first with another time: the same wish
  EXPECT_TRUE(*(*v.open())->is_forgotten(first.session, first.commit_hash));
  EXPECT_FALSE(*(*v.open())->is_forgotten(second.session, second.commit_hash));
  const auto list = (*v.open())->snapshots();
  ASSERT_EQ(list->snapshots.size(), 1u);
  EXPECT_EQ(list->snapshots[0].session, second.session);
  EXPECT_EQ((*v.open())->snapshots(true)->snapshots.size(), 2u);
}

TEST(Vault, ABadForgetDropsNothing) {
  TestVault v;
  const Snapshot first = v.back_up({{"a", "1"}}), second = v.back_up({{"a", "2"}});
  ASSERT_OK((*v.open())->forget(first));
  const std::string object = format::forget_object(first.session);
  ASSERT_OK(v.store.put(format::forget_object(second.session), v.bytes_of(object)));  // copied to another name
  auto list = (*v.open())->snapshots();
  EXPECT_EQ(list->snapshots.size(), 1u);
  ASSERT_EQ(list->bad.size(), 1u);
  EXPECT_EQ(list->bad[0].object, format::forget_object(second.session));
  ASSERT_OK(v.store.tamper(object, [](Bytes& bytes) { bytes[20] ^= std::byte{1}; }));
  list = (*v.open())->snapshots();
  EXPECT_EQ(list->snapshots.size(), 2u);
  EXPECT_EQ(list->bad.size(), 2u);

  // What took the name does not keep the snapshot for ever.
  ASSERT_OK((*v.open())->forget(second));
  ASSERT_OK((*v.open())->forget(second));
  EXPECT_TRUE(v.store.get(format::forget_object(second.session, 1), 1 << 20));
  EXPECT_FALSE(v.store.get(format::forget_object(second.session, 2), 1 << 20));
  list = (*v.open())->snapshots();
  ASSERT_EQ(list->snapshots.size(), 1u);
  EXPECT_EQ(list->snapshots[0].session, first.session);
}

TEST(Vault, ARevokedWritersLaterSnapshotsAreVoid) {
  TestVault v;
  const Snapshot before = v.back_up({{"a", "1"}}, Role::kWriter), after = v.back_up({{"a", "2"}}, Role::kWriter);
  put_roster(
      v, *keys::with_member_revoked((*v.open())->roster(), current_mark(v, 0), v.ids[Role::kWriter], after.session));
  const auto list = (*v.open())->snapshots();
  ASSERT_OK(list);
  ASSERT_EQ(list->snapshots.size(), 1u);
  EXPECT_EQ(list->snapshots[0].session, before.session);
  ASSERT_EQ(list->bad.size(), 1u);
  EXPECT_EQ(list->bad[0].error.kind(), ErrorKind::kDenied);
}

}  // namespace
}  // namespace coppice::vault
