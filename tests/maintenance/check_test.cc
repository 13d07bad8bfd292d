// Goal: check finds every kind of damage to every kind of object, names it and what it costs, and finds nothing in a
// whole vault.
#include "maintenance/check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/fault_store.h"
#include "support/result.h"
#include "support/test_vault.h"

namespace coppice::maintenance {
namespace {

using format::Role;
using testing::Files;
using testing::noise;
using testing::TestVault;

CheckReport check(TestVault& v, CheckOptions options = {.read_data_percent = 100}, Role role = Role::kReader) {
  auto vault = v.open(role);
  EXPECT_OK(vault);
  CheckProgress progress;
  CancelToken cancel;
  auto report = check_vault(**vault, options, progress, cancel);
  EXPECT_OK(report);
  return report ? std::move(*report) : CheckReport{};
}

const Finding* find(const CheckReport& report, std::string_view object) {
  const auto it = std::ranges::find(report.findings, object, &Finding::object);
  return it == report.findings.end() ? nullptr : &*it;
}

std::string told(const CheckReport& report) {
  std::string all;
  for (const Finding& finding : report.findings) {
    all += fmt::format("{}{}: {} [{}]\n", finding.severity == Severity::kDamage ? "" : "(info) ", finding.object,
                       finding.what, finding.snapshots_total);
    for (const std::string& file : finding.files) all += "    " + file + "\n";
  }
  return all;
}

Files tree(int version) {
  Files files;
  for (int i = 0; i < 40; ++i)
    files[fmt::format("home/u{}/f{}", i % 5, i)] = noise(static_cast<std::uint64_t>(i), 2000);
  files["etc/motd"] = fmt::format("version {}", version);
  files[fmt::format("new/{}", version)] = noise(1000 + static_cast<std::uint64_t>(version), 3000);
  return files;
}

// Three snapshots of one lineage, one by another member, one of them forgotten.
struct Sample : TestVault {
  Sample() {
    for (int i = 0; i < 3; ++i) snapshots.push_back(back_up(tree(i)));
    snapshots.push_back(back_up({{"writer/file", noise(5000, 9000)}}, Role::kWriter, "other"));
    snapshots.push_back(back_up(tree(3)));
    EXPECT_OK((*open())->forget(snapshots[1]));
  }
  std::vector<vault::Snapshot> snapshots;
};

TEST(Check, AWholeVaultHasNoFindings) {
  Sample v;
  for (const Role role : {Role::kOwner, Role::kReader, Role::kWriter, Role::kKeeper}) {
    for (const unsigned percent : {0u, 1u, 50u, 100u}) {
      const CheckReport report = check(v, {.read_data_percent = percent, .workers = 3}, role);
      EXPECT_TRUE(report.findings.empty()) << told(report);
      EXPECT_EQ(report.snapshots, 4u);
      EXPECT_EQ(report.forgotten, 1u);
      EXPECT_EQ(report.packs, v.objects("packs/").size() + v.objects("trees/").size());
      EXPECT_EQ(report.packs_read, (report.packs * percent + 99) / 100);
      EXPECT_EQ(report.tree_pages > 0, role == Role::kOwner || role == Role::kReader);
      EXPECT_EQ(report.not_checked.empty(), percent == 100 && (role == Role::kOwner || role == Role::kReader));
    }
  }
  EXPECT_EQ(v.objects("index/").size(), check(v).runs);
}

TEST(Check, SmallMemoryMeansMorePassesAndTheSameAnswer) {
  TestVault v;
  Files files;
  for (int i = 0; i < 30; ++i) {
    files[fmt::format("f{}", i)] = noise(static_cast<std::uint64_t>(i), 1000);
    v.back_up(files);
  }
  EXPECT_TRUE(check(v).findings.empty());
  for (int i = 0; i < 60; ++i) files[fmt::format("d{}/e{}/f{}/name{}", i % 3, i % 7, i % 2, i)] = std::to_string(i);
  v.back_up(files, Role::kReader, "host /", 4);
  const CheckReport whole = check(v);
  const CheckReport report = check(v, {.read_data_percent = 100, .memory_bytes = 6000});
  EXPECT_TRUE(report.findings.empty()) << told(report);
  EXPECT_GT(report.passes, 3u);
  EXPECT_EQ(report.packs, whole.packs);
  EXPECT_EQ(report.packs_read, whole.packs_read);
  EXPECT_EQ(report.blocks_read, whole.blocks_read);
  EXPECT_EQ(report.list_pages, whole.list_pages);
  EXPECT_EQ(report.tree_entries, whole.tree_entries);

  const std::string pack = "packs/0/7/0";  // of the eighth snapshot
  ASSERT_OK(v.store.remove(pack));
  const CheckReport all_at_once = check(v), in_parts = check(v, {.read_data_percent = 100, .memory_bytes = 6000});
  EXPECT_EQ(told(all_at_once), told(in_parts));
  ASSERT_EQ(in_parts.damage_total, 1u) << told(in_parts);
  EXPECT_EQ(in_parts.findings[0].snapshots_total, 24u);  // those from the eighth on
  EXPECT_EQ(in_parts.findings[0].files, std::vector<std::string>{"/f7"});
}

// What can happen to one object.
enum class Blow { kFlip, kTruncate, kEmpty, kDelete, kSwap, kGrow };

bool strike(TestVault& v, const std::string& object, Blow blow, std::size_t at) {
  Bytes bytes = v.bytes_of(object);
  switch (blow) {
    case Blow::kFlip:
      bytes[at % bytes.size()] ^= std::byte{0x20};
      break;
    case Blow::kTruncate:
      bytes.resize(bytes.size() - 1 - at % bytes.size());
      break;
    case Blow::kEmpty:
      bytes.clear();
      break;
    case Blow::kDelete:
      EXPECT_OK(v.store.remove(object));
      return true;
    case Blow::kGrow:
      bytes.push_back(std::byte{0});
      break;
    case Blow::kSwap: {
      const std::string prefix = object.substr(0, object.find('/') + 1);
      for (const std::string& other : v.objects(prefix)) {
        if (other == object || v.bytes_of(other) == bytes) continue;
        v.replace(object, v.bytes_of(other));
        v.replace(other, bytes);
        return true;
      }
      return false;
    }
  }
  v.replace(object, bytes);
  return true;
}

TEST(Check, FindsEveryKindOfDamageToEveryKindOfObject) {
  Sample v;
  std::map<std::string, Bytes> whole;
  for (const std::string& object : v.objects()) whole[object] = v.bytes_of(object);
  const std::string newest = format::snapshot_object(v.snapshots.back().session),
                    alone = format::snapshot_object(v.snapshots[3].session),
                    forgotten = format::snapshot_object(v.snapshots[1].session);
  const auto opened = v.open();  // before: without vault.json or roster there is no opening
  int struck = 0;
  for (const auto& [object, bytes] : whole) {
    for (const Blow blow : {Blow::kFlip, Blow::kTruncate, Blow::kEmpty, Blow::kDelete, Blow::kSwap, Blow::kGrow}) {
      // What nobody but its holder can open (a sealed bundle) tells no one else that a bit of it changed.
      if (object.starts_with("keys/") && blow == Blow::kFlip) continue;
      // Nothing comes after these, and nobody but their writer's own record can miss them; what was forgotten may go,
      // and a wish that is gone is not missed.
      if (blow == Blow::kDelete &&
          (object == newest || object == alone || object == forgotten || object.starts_with("forgets/")))
        continue;
      for (const std::size_t at : {std::size_t{3}, bytes.size() / 2, bytes.size() - 2}) {
        if (!strike(v, object, blow, at)) break;
        CheckProgress progress;
        CancelToken cancel;
        const auto report = check_vault(**opened, {.read_data_percent = 100}, progress, cancel);
        ASSERT_OK(report);
        const Finding* finding = find(*report, object);
        EXPECT_TRUE(finding && (finding->severity == Severity::kDamage || finding->what.ends_with("only forgotten snapshots need it")))
            << object << " blow " << static_cast<int>(blow) << " at " << at << "\n"
            << told(*report);
        ++struck;
        for (const auto& [name, content] : whole)
          if (const auto now = v.store.get(name, 1 << 30); !now || *now != content) v.replace(name, content);
        if (blow != Blow::kFlip) break;
      }
    }
  }
  EXPECT_GT(struck, 150);
  EXPECT_TRUE(check(v).findings.empty()) << told(check(v));
}

TEST(Check, NamesTheFilesThatALostDataPackCosts) {
  TestVault v;
  const auto first = v.back_up({{"keep/a", noise(1, 2000)}, {"keep/b", noise(2, 2000)}});
  const auto second = v.back_up({{"keep/a", noise(1, 2000)}, {"keep/b", noise(2, 2000)}, {"more/c", noise(3, 2000)}});
  const std::string pack = format::pack_object(v.packs_of(first).front().name);
  ASSERT_TRUE(pack.starts_with("packs/")) << pack;
  ASSERT_OK(v.store.remove(pack));
  for (const unsigned percent : {0u, 100u}) {
    const CheckReport report = check(v, {.read_data_percent = percent});
    const Finding* finding = find(report, pack);
    ASSERT_TRUE(finding) << told(report);
    EXPECT_EQ(finding->kind, ErrorKind::kNotFound);
    EXPECT_EQ(finding->files, (std::vector<std::string>{"/keep/a", "/keep/b"}));
    EXPECT_EQ(finding->snapshots, (std::vector<format::SessionId>{first.session, second.session}));
    EXPECT_EQ(report.damage_total, 1u) << told(report);
  }
}

TEST(Check, OneBadBlockIsNamedAndSoAreItsFiles) {
  TestVault v;
  Files files;
  for (int i = 0; i < 6; ++i) files[fmt::format("big{}", i)] = noise(static_cast<std::uint64_t>(i), 900'000);
  const auto snapshot = v.back_up(files);
  const std::string pack = format::pack_object(v.packs_of(snapshot).front().name);
  const std::size_t at = v.bytes_of(pack).size() / 2;
  ASSERT_OK(v.store.tamper(pack, [&](Bytes& bytes) { bytes[at] ^= std::byte{1}; }));
  EXPECT_TRUE(check(v, {.read_data_percent = 0}).findings.empty());  // it did not look
  const CheckReport report = check(v);
  ASSERT_EQ(report.damage_total, 1u) << told(report);
  const Finding& finding = report.findings.front();
  EXPECT_EQ(finding.object, pack);
  ASSERT_TRUE(finding.block);
  EXPECT_GE(finding.files.size(), 1u);
  EXPECT_LE(finding.files.size(), 3u);   // as many as a block of 2 MiB can touch
  EXPECT_EQ(finding.snapshots_total, 1u);
  // Without reading keys the same block is found by its hash alone.
  const CheckReport keyless = check(v, {.read_data_percent = 100}, Role::kKeeper);
  ASSERT_EQ(keyless.damage_total, 1u) << told(keyless);
  EXPECT_EQ(keyless.findings.front().block, finding.block);
  EXPECT_FALSE(keyless.not_checked.empty());
}

TEST(Check, ABadTreePageNamesTheDirectory) {
  TestVault v;
  const auto snapshot = v.back_up({{"a/b/c", "1"}, {"d", "2"}});
  const std::string pack = v.objects("trees/").front();
  ASSERT_OK(v.store.tamper(pack, [&](Bytes& bytes) { bytes[200] ^= std::byte{1}; }));
  const CheckReport report = check(v, {.read_data_percent = 0});
  const Finding* finding = find(report, pack);
  ASSERT_TRUE(finding) << told(report);
  EXPECT_EQ(finding->files, std::vector<std::string>{"/"});
  EXPECT_EQ(finding->snapshots, std::vector<format::SessionId>{snapshot.session});
}

TEST(Check, ATreeThatUsesWhatItsListDoesNotNameIsDamage) {
  TestVault v;
  const auto first = v.back_up({{"a", noise(1, 1000)}});
  auto vault = v.open();
  auto writer = vault::Writer::begin(**vault, "host /", {.workers = 1, .memory_bytes = 64 << 20});
  ASSERT_OK(writer);
  format::SnapshotBody body{.host = "host", .sources = {"/"}, .root = first.body->root};  // reused, and not told
  const auto second = (*writer)->commit(body);
  ASSERT_OK(second);
  const CheckReport report = check(v);
  const Finding* finding = find(report, format::list_object(second->commit.list_root));
  ASSERT_TRUE(finding) << told(report);
  EXPECT_EQ(finding->snapshots, std::vector<format::SessionId>{second->session});
  EXPECT_EQ(report.damage_total, 1u) << told(report);
}

// A file whose entry refers to its chunk as `lie` makes of the truth; in an extent page when `extents`.
vault::Snapshot back_up_a_lie(TestVault& v, const std::function<void(format::ChunkRef&)>& lie, bool extents) {
  auto vault = v.open(Role::kWriter);
  auto writer = vault::Writer::begin(**vault, "liar", {.workers = 1, .memory_bytes = 64 << 20});
  EXPECT_OK(writer);
  format::ChunkRef refs[2];
  for (int i = 0; i < 2; ++i) {
    auto ticket = std::make_shared<vault::ChunkTicket>();
    EXPECT_OK((*writer)->put_data(vault::share(to_bytes(as_bytes(noise(static_cast<std::uint64_t>(i), 1000)))), ticket));
    EXPECT_OK((*writer)->drain());
    refs[i] = ticket->ref();
    (*writer)->refer(refs[i]);
  }
  lie(refs[1]);
  (*writer)->refer(refs[1]);
  format::LeafBuilder leaf;
  for (int i = 0; i < 2; ++i) {
    format::Entry entry{.name = i == 0 ? "honest" : "liar", .mode = 0644, .size = refs[i].length, .mtime = {1000, 0}};
    if (extents)
      entry.extents.push_back(*(*writer)->put_tree(format::encode_extent_page({{refs[i]}, {{.chunk = 0, .offset = 0, .length = refs[i].length}}})));
    else
      entry.slices.push_back({.chunk = leaf.add_chunk(refs[i]), .offset = 0, .length = refs[i].length});
    leaf.add_entry(entry);
  }
  auto snapshot = (*writer)->commit({.host = "liar", .sources = {"/"}, .root = (*writer)->put_tree(leaf.finish()).value()});
  EXPECT_OK(snapshot);
  return std::move(*snapshot);
}

TEST(Check, ATreeThatSaysWhatItsBlocksDoNotHoldIsDamage) {
  const std::function<void(format::ChunkRef&)> truth_and_lies[] = {
      [](format::ChunkRef&) {},
      [](format::ChunkRef& ref) { ref.id.bytes[31] ^= std::byte{1}; },
      [](format::ChunkRef& ref) { ref.index ^= 1; },
      [](format::ChunkRef& ref) { ref.index = 7; },
      [](format::ChunkRef& ref) { ref.length -= 1; },
      [](format::ChunkRef& ref) { ref.length += 1; },
  };
  for (const bool extents : {false, true})
    for (const auto& lie : truth_and_lies) {
      SCOPED_TRACE(fmt::format("lie {}, extents {}", &lie - truth_and_lies, extents));
      TestVault v;
      v.back_up({{"a", noise(9, 1000)}});
      const auto snapshot = back_up_a_lie(v, lie, extents);
      const bool lies = &lie != truth_and_lies;
      EXPECT_EQ(v.read_back(snapshot).has_value(), !lies);
      for (const std::uint64_t memory : {128ull << 20, 2000ull}) {
        const CheckReport report = check(v, {.read_data_percent = 100, .memory_bytes = memory});
        ASSERT_EQ(report.damage_total, lies ? 1u : 0u) << told(report);
        EXPECT_TRUE(report.not_checked.empty());
        if (!lies) continue;
        EXPECT_TRUE(report.findings[0].object.starts_with("trees/")) << told(report);
        EXPECT_EQ(report.findings[0].files, std::vector<std::string>{"/liar"});
        EXPECT_EQ(report.findings[0].snapshots, std::vector<format::SessionId>{snapshot.session});
      }
      // What was not read cannot be compared.
      EXPECT_FALSE(check(v, {.read_data_percent = 0}).damaged());
    }
}

TEST(Check, ATreeThatLiesAboutABadBlockIsNoDamageOfItsOwn) {
  TestVault v;
  const auto snapshot = back_up_a_lie(v, [](format::ChunkRef& ref) { ref.index = 7; }, false);
  const std::string pack = format::pack_object(v.packs_of(snapshot).front().name);
  ASSERT_OK(v.store.tamper(pack, [&](Bytes& bytes) { bytes[200] ^= std::byte{1}; }));
  const CheckReport report = check(v);
  ASSERT_EQ(report.damage_total, 1u) << told(report);
  EXPECT_EQ(report.findings[0].files, (std::vector<std::string>{"/honest", "/liar"}));
}

TEST(Check, LeftoversAreInformation) {
  Sample v;
  const std::string pack = v.objects("packs/").front();
  ASSERT_OK(v.store.put("packs/0/99/1", v.bytes_of(pack)));
  ASSERT_OK(v.store.put("index/0/99/1", v.bytes_of(pack)));
  ASSERT_OK(v.store.put("lists/" + std::string(64, 'a'), v.bytes_of(pack)));
  ASSERT_OK(v.store.put("holiday.jpg", v.bytes_of(pack)));
  const CheckReport report = check(v);
  EXPECT_FALSE(report.damaged()) << told(report);
  EXPECT_EQ(report.information_total, 4u) << told(report);
  for (const char* object : {"packs/0/99/1", "index/0/99/1", "holiday.jpg"})
    EXPECT_TRUE(find(report, object)) << object;
}

TEST(Check, ASessionBrokenOffIsInformation) {
  TestVault v;
  v.back_up({{"a", "1"}});
  auto vault = v.open();
  { auto writer = vault::Writer::begin(**vault, "x", {.workers = 1, .memory_bytes = 64 << 20}); }
  const CheckReport report = check(v);
  EXPECT_FALSE(report.damaged());
  EXPECT_EQ(report.information_total, 1u) << told(report);
}

TEST(Check, ManySnapshotsAreWalkedTogether) {
  TestVault v;
  Files files;
  for (int i = 0; i < 200; ++i) files[fmt::format("d{}/{}", i % 20, i)] = "";
  for (int i = 0; i < 20; ++i) {
    files["d3/changing"] = std::to_string(i);
    v.back_up(files);
  }
  const CheckReport report = check(v);
  EXPECT_TRUE(report.findings.empty()) << told(report);
  // 21 nodes of the first, then the root and d3 of each later one.
  EXPECT_EQ(report.tree_pages, 21u + 19 * 2);
}

TEST(Check, AStoreThatFailsThroughoutEndsTheCheck) {
  Sample v;
  storage::FaultStore failing(v.store, {.seed = 1, .unavailable = 900});
  // Opening needs luck; what matters is that nothing hangs or crashes, and that an error or findings come out.
  for (int i = 0; i < 200; ++i) {
    auto vault = vault::Vault::open(failing, v.bundle(Role::kReader), "", v.clock, v.entropy);
    if (!vault) continue;
    CheckProgress progress;
    CancelToken cancel;
    const auto report = check_vault(**vault, {.read_data_percent = 100}, progress, cancel);
    EXPECT_TRUE(!report || report->damaged());
    return;
  }
}

TEST(Check, CanBeCancelled) {
  Sample v;
  auto vault = v.open();
  CheckProgress progress;
  CancelToken cancel;
  cancel.cancel();
  EXPECT_FAILS(check_vault(**vault, {}, progress, cancel), kCancelled);
}

}  // namespace
}  // namespace coppice::maintenance
