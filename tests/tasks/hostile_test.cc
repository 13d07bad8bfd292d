// Goal: who holds a writer's key and means harm makes snapshots that are named and cost others nothing: not the check its end, its
// memory or its word on the rest, and a restore no byte outside of its target.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "maintenance/check.h"
#include "restore/planted.h"
#include "support/temp_directory.h"

namespace coppice::testing {
namespace {

using format::Role;
using maintenance::CheckReport;
using maintenance::Finding;

// Counts what is asked of the store.
class CountingStore : public storage::ObjectStore {
 public:
  explicit CountingStore(storage::ObjectStore& inner) : inner_(inner) {}
  Result<> put(std::string_view name, ByteSpan bytes) override { return inner_.put(name, bytes); }
  Result<Bytes> get(std::string_view name, std::uint64_t max) override { return ++asked, inner_.get(name, max); }
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override {
    return ++asked, inner_.get_range(name, offset, into);
  }
  Result<std::uint64_t> size(std::string_view name) override { return ++asked, inner_.size(name); }
  Result<> list(std::string_view prefix, const std::function<Result<>(const storage::ObjectInfo&)>& each) override {
    return inner_.list(prefix, each);
  }
  Result<> remove(std::string_view name) override { return inner_.remove(name); }
  Result<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }
  std::string describe() const override { return inner_.describe(); }
  std::atomic<std::uint64_t> asked{0};

 private:
  storage::ObjectStore& inner_;
};

class Hostile : public ::testing::Test {
 protected:
  CheckReport check(maintenance::CheckOptions options = {.read_data_percent = 100}) {
    CountingStore counting(v.store);
    auto vault = vault::Vault::open(counting, v.bundle(Role::kReader), "", v.clock, v.entropy);
    EXPECT_OK(vault);
    counting.asked = 0;
    maintenance::CheckProgress progress;
    CancelToken cancel;
    auto report = maintenance::check_vault(**vault, options, progress, cancel);
    EXPECT_OK(report);
    asked = counting.asked;
    return std::move(*report);
  }
  static const Finding* find(const CheckReport& report, std::string_view object) {
    const auto it = std::ranges::find(report.findings, object, &Finding::object);
    return it == report.findings.end() ? nullptr : &*it;
  }
  static std::string told(const CheckReport& report) {
    std::string all;
    for (const Finding& finding : report.findings) all += finding.object + ": " + finding.what + "\n";
    return all;
  }
  // Puts a commit in the place of `snapshot`'s, as its signer would have made it.
  void recommit(const vault::Snapshot& snapshot, Role signer, const std::function<void(format::Commit&)>& edit) {
    const std::string object = format::snapshot_object(snapshot.session);
    auto envelope = format::decode_envelope(format::kCommitMagic, v.bytes_of(object));
    EXPECT_OK(envelope);
    auto commit = format::decode_commit(envelope->body);
    EXPECT_OK(commit);
    edit(*commit);
    v.replace(object, keys::sign_envelope(format::kCommitMagic, v.vault.id, format::encode_commit(*commit), v.bundle(signer)));
  }
  // Directories that each hang the next one twice: 2^levels paths.
  vault::Snapshot hang_twice(int levels) {
    auto vault = v.open(Role::kWriter);
    auto writer = vault::Writer::begin(**vault, "hostile", {.workers = 1, .memory_bytes = 64u << 20});
    EXPECT_OK(writer);
    format::ChunkRef node;
    for (int i = 0; i < levels; ++i) {
      format::LeafBuilder leaf;
      for (const char* name : {"a", "b"}) {
        format::Entry entry{.name = name, .type = format::EntryType::kDirectory, .mode = 0755};
        if (i > 0) entry.child = node;
        leaf.add_entry(entry);
      }
      const auto put = (*writer)->put_tree(leaf.finish());
      EXPECT_OK(put);
      node = *put;
    }
    auto snapshot = (*writer)->commit({.host = "hostile", .sources = {"/"}, .root = node});
    EXPECT_OK(snapshot);
    return std::move(*snapshot);
  }

  TestVault v;
  std::uint64_t asked = 0;
};

TEST_F(Hostile, ATreeOfEndlessPathsIsNamedAndTheOthersAreCheckedAllTheSame) {
  v.back_up({{"honest/a", noise(1, 3000)}});
  const auto damaged = v.back_up({{"honest/b", noise(2, 3000)}});
  const auto endless = hang_twice(60);
  EXPECT_FALSE(check().damaged()) << told(check());   // each node is looked at once as long as nothing is bad
  const std::string pack = format::pack_object(v.packs_of(damaged).front().name);
  ASSERT_OK(v.store.remove(pack));
  const CheckReport report = check();
  const Finding* finding = find(report, pack);
  ASSERT_TRUE(finding) << told(report);
  EXPECT_EQ(finding->files, std::vector<std::string>{"/honest/b"});
  ASSERT_TRUE(find(report, format::snapshot_object(endless.session))) << told(report);
  EXPECT_EQ(report.damage_total, 2u) << told(report);
  EXPECT_LT(report.tree_pages, 1'000'000u);
}

TEST_F(Hostile, ACommitThatClaimsMillionsOfPacksIsNamedAndCostsNothing) {
  const auto honest = v.back_up({{"honest", noise(1, 3000)}});
  const auto liar = v.back_up({{"x", noise(2, 3000)}}, Role::kWriter, "other");
  const CheckReport before = check();
  const std::uint64_t asked_before = asked;
  recommit(liar, Role::kWriter, [](format::Commit& commit) {
    commit.packs.packs = std::uint64_t{format::kPackPagesMax} * format::kPackPageRecordsMax;
    commit.packs.pages.assign(format::kPackPagesMax, commit.packs.pages.front());
  });
  const CheckReport report = check();
  EXPECT_EQ(report.passes, before.passes);
  EXPECT_LT(asked, 2 * asked_before);
  EXPECT_TRUE(find(report, format::snapshot_object(liar.session))) << told(report);
  EXPECT_EQ(report.damage_total, 1u) << told(report);
  // And pages that are not there: each is asked for once, and is a finding.
  recommit(liar, Role::kWriter, [](format::Commit& commit) {
    for (std::size_t i = 0; i < commit.packs.pages.size(); ++i)
      store_le<std::uint64_t>(commit.packs.pages[i], 0, i);
  });
  const CheckReport absent = check();
  EXPECT_EQ(absent.passes, before.passes);
  EXPECT_LT(asked, asked_before + 5 * format::kPackPagesMax);
  EXPECT_EQ(absent.damage_total, format::kPackPagesMax);
}

// A page that fills memory must not be believed to be smaller than it is: the passes follow what lies in the store.
TEST_F(Hostile, ACommitThatClaimsFewPacksDoesNotGetMoreMemory) {
  const auto liar = v.back_up({{"x", noise(2, 3000)}}, Role::kWriter, "other");
  std::vector<format::PackRecord> records(format::kPackPageRecordsMax);
  for (std::uint32_t i = 0; i < records.size(); ++i)
    records[i] = {.name = {.session = liar.session, .kind = format::PackKind::kData, .sequence = i + 1}, .bytes = 1};
  const auto page = packs::put_list_page(v.store, format::encode_pack_page(records));
  ASSERT_OK(page);
  recommit(liar, Role::kWriter, [&](format::Commit& commit) {
    commit.packs.packs = 1;
    commit.packs.pages = {*page};
  });
  EXPECT_EQ(check().passes, 1u);
  EXPECT_GT(check({.read_data_percent = 100, .memory_bytes = 100'000}).passes, 10u);
}

// Whatever a tree says of a chunk (another birth, another place in the block, bytes past its end), a reader compares it with the block.
TEST_F(Hostile, ReferencesToWhatIsNotThereCostTheirFileOnly) {
  auto vault = v.open(Role::kWriter);
  auto writer = vault::Writer::begin(**vault, "hostile", {.workers = 1, .memory_bytes = 64u << 20});
  ASSERT_OK(writer);
  std::vector<format::ChunkRef> refs;
  for (std::uint64_t i = 0; i < 3; ++i) {
    auto ticket = std::make_shared<vault::ChunkTicket>();
    ASSERT_OK((*writer)->put_data(vault::share(to_bytes(as_bytes(noise(i, 1000)))), ticket));
    ASSERT_OK((*writer)->drain());
    refs.push_back(ticket->ref());
    (*writer)->refer(refs.back());
  }
  format::LeafBuilder leaf;
  std::vector<std::string> bad;
  const auto add = [&](const std::string& name, const format::ChunkRef& ref, bool good) {
    format::Entry entry{.name = name, .mode = 0644, .size = ref.length};
    entry.slices.push_back({.chunk = leaf.add_chunk(ref), .offset = 0, .length = ref.length});
    leaf.add_entry(entry);
    if (!good) bad.push_back(name);
  };
  const auto changed = [&](const std::function<void(format::ChunkRef&)>& change) {
    format::ChunkRef ref = refs[0];
    change(ref);
    return ref;
  };
  add("a-good", refs[0], true);
  add("b-longer", changed([](auto& ref) { ref.length += 1; }), false);
  add("c-shorter", changed([](auto& ref) { ref.length -= 1; }), false);
  add("d-index", changed([](auto& ref) { ref.index = 16000; }), false);
  add("e-of-another", changed([&](auto& ref) { ref.id = refs[1].id; }), false);
  add("f-ordinal", changed([](auto& ref) { ref.birth.ordinal = 127; }), false);
  add("g-pack", changed([](auto& ref) { ref.birth.pack.sequence = 77; }), false);
  add("h-session", changed([](auto& ref) { ref.birth.pack.session.slot = 4'000'000'000; }), false);
  add("i-tree-pack", changed([](auto& ref) { ref.birth.pack.kind = format::PackKind::kTree; }), false);
  add("j-good", refs[2], true);
  const auto root = (*writer)->put_tree(leaf.finish());
  ASSERT_OK(root);
  auto snapshot = (*writer)->commit({.host = "h", .sources = {"/"}, .root = *root});
  ASSERT_OK(snapshot);
  TempDirectory temp;
  Restoring run(v);
  const auto body = run.vault->snapshot(snapshot->session)->body;
  const auto report = run(*body, {.target = temp / "t"});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, bad.size()) << all_warnings(*report);
  EXPECT_EQ(content_of(temp / "t/a-good"), noise(0, 1000));
  EXPECT_EQ(content_of(temp / "t/j-good"), noise(2, 1000));
  for (const std::string& name : bad) EXPECT_FALSE(exists(temp / "t/" + name)) << name;
  EXPECT_TRUE(check().damaged());
}

}  // namespace
}  // namespace coppice::testing
