// Goal: what an earlier session left is used only where the vault still bears it out: a pack that is gone is stored again, a stale list
// does not fork a lineage, a commit that asks for more than this program knows stops it.
#include "own_past.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "foundation/encoding.h"
#include "support/result.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using format::Role;
using testing::Files;
using testing::noise;
using testing::TestVault;

Files tree(int version) {
  Files files;
  for (int i = 0; i < 6; ++i) files[fmt::format("d{}/f{}", i % 2, i)] = noise(static_cast<std::uint64_t>(i), 20'000);
  files["changing"] = fmt::format("version {}", version);
  return files;
}

std::unique_ptr<Writer> begin(const Vault& vault) {
  auto writer = Writer::begin(vault, "host /", {.workers = 1, .memory_bytes = 64u << 20});
  EXPECT_OK(writer);
  return std::move(*writer);
}

TEST(LostPack, IsStoredAgainAndTold) {
  for (const char* kind : {"packs/", "trees/"}) {
    SCOPED_TRACE(kind);
    TestVault v;
    v.back_up(tree(0));
    const std::string gone = v.objects(kind).front();
    ASSERT_OK(v.store.remove(gone));
    const auto opened = v.open();
    {
      auto writer = begin(**opened);
      EXPECT_FALSE(writer->previous_usable());
      ASSERT_EQ(writer->notices().size(), 1u);
      EXPECT_NE(writer->notices()[0].find(gone), std::string::npos);
    }
    const Snapshot healed = v.back_up(tree(0));
    const auto back = v.read_back(healed);
    ASSERT_OK(back);
    EXPECT_EQ(*back, tree(0));
    // The base is whole again; the older snapshot is not, and that is still said.
    auto writer = begin(**opened);
    EXPECT_TRUE(writer->previous_usable());
    EXPECT_EQ(writer->notices().size(), 1u);
  }
}

// With its commit, or with the page that records it, nobody knows of the pack but who relies on it.
TEST(LostPack, IsMissedAlthoughWhatRecordedItIsLostToo) {
  for (const char* recorded_by : {"snapshots/", "lists/"}) {
    SCOPED_TRACE(recorded_by);
    TestVault v;
    const Snapshot first = v.back_up(tree(0));
    const Snapshot second = v.back_up(tree(1));
    const std::string record = std::string(recorded_by) == "lists/" ? format::list_object(first.commit.packs.pages.front()) : format::snapshot_object(first.session);
    ASSERT_OK(v.store.remove(record));
    ASSERT_OK(v.store.remove("packs/0/0/0"));
    const auto opened = v.open();
    {
      auto writer = begin(**opened);
      EXPECT_FALSE(writer->previous_usable());
      const auto notices = writer->notices();
      EXPECT_TRUE(std::ranges::any_of(notices, [](const std::string& notice) { return notice.contains("packs/0/0/0"); }));
    }
    const auto back = v.read_back(v.back_up(tree(1)));
    ASSERT_OK(back);
    EXPECT_EQ(*back, tree(1));
    EXPECT_TRUE(begin(**opened)->previous_usable());
  }
}

TEST(LostPack, OfASessionWithoutACommitIsUsedWhileItIsThere) {
  TestVault v;
  v.back_up(tree(0));
  v.back_up(tree(1));
  ASSERT_OK(v.store.remove("snapshots/0.0"));
  const auto opened = v.open();
  EXPECT_TRUE(begin(**opened)->previous_usable());
}

TEST(LostPack, ThatWasCutShortIsLostToo) {
  TestVault v;
  v.back_up(tree(0));
  const std::string pack = v.objects("packs/").front();
  Bytes bytes = v.bytes_of(pack);
  bytes.resize(bytes.size() / 2);
  v.replace(pack, bytes);
  const auto back = v.read_back(v.back_up(tree(0)));
  ASSERT_OK(back);
  EXPECT_EQ(*back, tree(0));
}

TEST(LostPack, StaysUnknownWhenItsSnapshotWasForgotten) {
  TestVault v;
  const Snapshot first = v.back_up(tree(0));
  ASSERT_OK(v.store.remove(v.objects("packs/").front()));
  ASSERT_OK((*v.open())->forget(first));
  const auto back = v.read_back(v.back_up(tree(0)));
  ASSERT_OK(back);
  EXPECT_EQ(*back, tree(0));
  const auto opened = v.open();
  EXPECT_TRUE(begin(**opened)->notices().empty());   // nothing that anybody wants is missing
}

TEST(LostPack, SurvivesTheMergeOfIndexRuns) {
  TestVault v;
  v.back_up(tree(0));
  ASSERT_OK(v.store.remove(v.objects("packs/").front()));
  for (int i = 0; i < 12; ++i) {
    const auto back = v.read_back(v.back_up(tree(i)));
    ASSERT_OK(back);
    EXPECT_EQ(*back, tree(i));
  }
}

TEST(LostPack, AListThatForgetsItIsNotBelieved) {
  class ForgetfulStore : public storage::ObjectStore {
   public:
    explicit ForgetfulStore(storage::ObjectStore& inner) : inner_(inner) {}
    Result<> put(std::string_view name, ByteSpan bytes) override { return inner_.put(name, bytes); }
    Result<Bytes> get(std::string_view name, std::uint64_t max) override { return inner_.get(name, max); }
    Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override { return inner_.get_range(name, offset, into); }
    Result<std::uint64_t> size(std::string_view name) override { return inner_.size(name); }
    Result<> list(std::string_view prefix, const std::function<Result<>(const storage::ObjectInfo&)>& each) override {
      if (prefix == hidden) return {};
      return inner_.list(prefix, each);
    }
    Result<> remove(std::string_view name) override { return inner_.remove(name); }
    Result<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }
    std::string describe() const override { return inner_.describe(); }
    std::string hidden;

   private:
    storage::ObjectStore& inner_;
  };
  TestVault v;
  v.back_up(tree(0));
  ForgetfulStore store(v.store);
  store.hidden = "packs/";
  const auto opened = Vault::open(store, v.bundle(Role::kReader), "", v.clock, v.entropy);
  ASSERT_OK(opened);
  EXPECT_TRUE(begin(**opened)->previous_usable());
  EXPECT_TRUE(begin(**opened)->notices().empty());

  // A list of snapshots that leaves out the newest neither forks the lineage nor accuses anybody.
  testing::TempDirectory state;
  const auto remembering = Vault::open(store, v.bundle(Role::kReader), state.path(), v.clock, v.entropy);
  ASSERT_OK(remembering);
  auto writer = begin(**remembering);
  format::SnapshotBody body{.host = "host", .sources = {"/"}};
  const auto second = writer->commit(body);
  ASSERT_OK(second);
  store.hidden = "snapshots/";
  writer = begin(**remembering);
  EXPECT_TRUE(writer->notices().empty()) << writer->notices()[0];
  ASSERT_TRUE(writer->previous());
  EXPECT_EQ(writer->previous()->commit_hash, second->commit_hash);
  // But one that the store has not got any more is missed.
  ASSERT_OK(v.store.remove(format::snapshot_object(second->session)));
  EXPECT_EQ(begin(**remembering)->notices().size(), 1u);
}

TEST(OwnPast, ACommitWithUnknownWriteFeaturesForbidsWriting) {
  TestVault v;
  const Snapshot snapshot = v.back_up(tree(0));
  const std::string object = format::snapshot_object(snapshot.session);
  const auto envelope = format::decode_envelope(format::kCommitMagic, v.bytes_of(object));
  ASSERT_OK(envelope);
  auto commit = format::decode_commit(envelope->body);
  ASSERT_OK(commit);
  commit->write_features = 2;
  v.replace(object, keys::sign_envelope(format::kCommitMagic, v.vault.id, format::encode_commit(*commit), v.bundle(Role::kReader)));
  const auto opened = v.open();
  const auto writer = Writer::begin(**opened, "host /", {.workers = 1, .memory_bytes = 64u << 20});
  EXPECT_FAILS(writer, kUnsupported);
  EXPECT_NE(writer.error().message().find(object), std::string::npos);
  EXPECT_OK(v.read_back(snapshot));
}

TEST(OwnPast, AClaimOfAKeyThatIsBeingRemovedStopsNobody) {
  TestVault v;
  const auto writers = v.open(Role::kWriter);
  { auto writer = begin(**writers); }   // claims a slot and goes
  const auto opened = v.open();
  ASSERT_OK(v.store.put("roster/1", keys::sign_roster(*keys::with_member_revoked((*opened)->roster(), {0, crypto::sha256(v.bytes_of("roster/0"))},
                                                                               v.ids[Role::kWriter], {0, 0}),
                                                      v.vault.id, v.owner_seed())));
  const auto reader = v.open();
  EXPECT_TRUE(begin(**reader)->notices().empty());
}

TEST(Snapshots, SayWhichAreForgotten) {
  TestVault v;
  const Snapshot first = v.back_up(tree(0)), second = v.back_up(tree(1));
  ASSERT_OK((*v.open())->forget(first));
  const auto list = (*v.open())->snapshots(true);
  ASSERT_OK(list);
  ASSERT_EQ(list->snapshots.size(), 2u);
  EXPECT_TRUE(list->snapshots[0].forgotten);
  EXPECT_FALSE(list->snapshots[1].forgotten);
  EXPECT_EQ((*v.open())->snapshots()->snapshots.size(), 1u);
}

}  // namespace
}  // namespace coppice::vault
