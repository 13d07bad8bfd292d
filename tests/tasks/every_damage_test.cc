// One object of a small vault is damaged: a bit of it flipped, cut short at a place, emptied, gone, longer, swapped with another or
// replaced by it. For every kind of object and every boundary of its format: a check that reads data names it; a restore gives every file
// as it was or says that it cannot, and those that it cannot are files that the check named; nothing is wrong, crashes or hangs.
//
// The places are the boundaries of the formats, found by the formats themselves, and every byte where an object is small. A run takes a
// sample (COPPICE_SEED=n another one), COPPICE_SOAK=1 all of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include "format/block.h"
#include "format/index.h"
#include "maintenance/check.h"
#include "packs/directory.h"
#include "restore/planted.h"
#include "support/soak.h"
#include "support/temp_directory.h"

namespace coppice::testing {
namespace {

namespace fs = std::filesystem;

enum class Blow { kFlip, kCut, kEmpty, kGone, kLonger, kSwapped, kReplaced };
constexpr Blow kBlows[] = {Blow::kFlip, Blow::kCut, Blow::kEmpty, Blow::kGone, Blow::kLonger, Blow::kSwapped, Blow::kReplaced};

struct Case {
  std::string object, other;
  Blow blow;
  std::size_t at = 0;
};

std::string name_of(const Case& c) {
  static constexpr const char* names[] = {"a bit flipped", "cut", "emptied", "gone", "longer", "swapped", "replaced"};
  return fmt::format("{}: {} at {} {}", c.object, names[static_cast<int>(c.blow)], c.at, c.other);
}

std::string kind_of(const std::string& object) {
  const std::size_t slash = object.find('/');
  if (object.starts_with("generations/")) return object.find("/slots/") != std::string::npos ? "slots" : object.substr(object.rfind('/'));
  return object.substr(0, slash);
}

// Where the parts of an object of the format begin and end.
std::set<std::size_t> boundaries(TestVault& v, const std::string& object, const Bytes& bytes) {
  std::set<std::size_t> at{0, 1, 8, 12, bytes.size() / 2, bytes.size() - 1};
  const auto part = [&](std::size_t begin, std::size_t size) {
    for (const std::size_t place : {begin, begin + size / 2, begin + size - 1}) at.insert(place);
  };
  if (object.starts_with("packs/") || object.starts_with("trees/")) {
    const auto directory = packs::read_pack_directory(v.store, *format::parse_pack_object(object));
    EXPECT_OK(directory);
    std::size_t end = 0;
    for (const format::PackEntry& entry : directory->entries) {
      for (const std::size_t field : {0u, 8u, 9u, 10u, 12u, 16u, 20u, 24u, 26u, 27u, 28u, 32u, 36u, 40u, 72u, 104u, 144u})
        at.insert(entry.offset + field);
      part(entry.offset + format::kBlockHeaderBytes, entry.bytes - format::kBlockHeaderBytes - format::kBlockTagBytes);
      part(entry.offset + entry.bytes - format::kBlockTagBytes, format::kBlockTagBytes);
      end = entry.offset + entry.bytes;
    }
    for (std::size_t i = end; i < bytes.size(); ++i) at.insert(i);   // directory and footer, each byte
  } else if (object.starts_with("index/")) {
    const auto header = format::decode_index_header(ByteSpan(bytes).first(format::kIndexHeaderBytes));
    EXPECT_OK(header);
    for (std::size_t i = 0; i < format::kIndexHeaderBytes + format::index_directory_bytes(*header); ++i) at.insert(i);
    for (std::uint32_t p = 0; p < format::index_pages(*header); ++p)
      part(format::index_page_offset(*header, p), format::index_page_bytes(*header, p));
  } else {
    for (std::size_t i = 0; i < bytes.size(); ++i) at.insert(i);
  }
  return at;
}

class EveryDamage : public ::testing::Test {
 protected:
  EveryDamage() {
    for (int version = 0; version < 2; ++version) {
      Node root = directory_node("");
      for (int d = 0; d < 3; ++d) {
        Node& sub = root.add(directory_node(fmt::format("d{}", d)));
        for (int f = 0; f < 3; ++f) sub.add(file_node(fmt::format("f{}", f), noise(static_cast<std::uint64_t>(d * 10 + f), 700)));
      }
      root.add(file_node("cut", noise(100, 30'000)));
      root.add(file_node("extents", noise(101, 24'000)));
      root.add(file_node("changing", noise(200 + static_cast<std::uint64_t>(version), 5'000)));
      root.add(symlink_node("link", "cut"));
      for (const Node& n : root.children)
        for (const Node& f : n.children) wanted[version]["/" + n.entry.name + "/" + f.entry.name] = f.content[0].bytes;
      for (const Node& n : root.children)
        if (!n.content.empty()) wanted[version]["/" + n.entry.name] = n.content[0].bytes;
      bodies[version] = plant(v, std::move(root), {.chunk_bytes = 4'000, .group_bytes = 4'000, .leaf_entries_max = 3, .inline_slices_max = 7});
    }
    v.back_up({{"forgotten", noise(300, 900)}}, format::Role::kReader, "other");
    v.back_up({{"forgotten", noise(300, 900)}, {"and more", "x"}}, format::Role::kReader, "other");
    const auto list = (*v.open())->snapshots(true);
    EXPECT_OK(list);
    EXPECT_OK((*v.open())->forget(list->snapshots[2]));
    for (const vault::Snapshot& snapshot : list->snapshots) sessions.push_back(snapshot.session);
    whole.become(v.store);
  }

  std::vector<Case> cases() {
    std::vector<Case> all;
    const std::vector<std::string> objects = v.objects();
    for (const std::string& object : objects) {
      const Bytes bytes = v.bytes_of(object);
      for (const std::size_t at : boundaries(v, object, bytes)) {
        all.push_back({object, "", Blow::kFlip, at});
        all.push_back({object, "", Blow::kCut, at});
      }
      for (const Blow blow : {Blow::kEmpty, Blow::kGone, Blow::kLonger}) all.push_back({object, "", blow});
      for (const std::string& other : objects)
        if (other != object && v.bytes_of(other) != bytes) {
          if (kind_of(other) == kind_of(object)) all.push_back({object, other, Blow::kSwapped});
          all.push_back({object, other, Blow::kReplaced});
        }
    }
    return all;
  }

  void strike(const Case& c) {
    Bytes bytes = v.bytes_of(c.object);
    switch (c.blow) {
      case Blow::kFlip: bytes[c.at] ^= std::byte{0x10}; break;
      case Blow::kCut: bytes.resize(c.at); break;
      case Blow::kEmpty: bytes.clear(); break;
      case Blow::kLonger: bytes.push_back(std::byte{0}); break;
      case Blow::kReplaced: bytes = v.bytes_of(c.other); break;
      case Blow::kGone: EXPECT_OK(v.store.remove(c.object)); return;
      case Blow::kSwapped: {
        Bytes other = v.bytes_of(c.other);
        v.replace(c.other, bytes);
        bytes = std::move(other);
        break;
      }
    }
    v.replace(c.object, bytes);
  }

  // What nobody can tell from a vault that is as it should be.
  bool may_go_unseen(const Case& c) const {
    // A sealed bundle says to its holder alone that a bit of it changed.
    if (c.object.starts_with("keys/") && c.blow == Blow::kFlip) return true;
    if (c.blow != Blow::kGone) return false;
    // What was forgotten may go, and so may the wish; the newest of a lineage is missed by its own host, which remembers it.
    return c.object.starts_with("forgets/") || c.object == format::snapshot_object(sessions[1]) ||
           c.object == format::snapshot_object(sessions[2]) || c.object == format::snapshot_object(sessions[3]);
  }

  void run_case(const Case& c, const vault::Vault& opened) {
    SCOPED_TRACE(name_of(c));
    strike(c);
    maintenance::CheckProgress progress;
    CancelToken cancel;
    const auto report = maintenance::check_vault(opened, {.read_data_percent = 100, .workers = 1}, progress, cancel);
    ASSERT_OK(report);
    bool named = false;
    for (const maintenance::Finding& finding : report->findings)
      named |= (finding.severity == maintenance::Severity::kDamage || finding.what.ends_with("only forgotten snapshots need it")) &&
               (finding.object == c.object || finding.object == c.other);
    EXPECT_TRUE(named || may_go_unseen(c));
    const auto again = v.open();
    if (!again) {
      const bool names_it = again.error().message().find(c.object) != std::string::npos;
      EXPECT_TRUE(names_it && (c.object == "vault.json" || c.object.starts_with("roster/"))) << again.error().message();
    } else {
      for (int version = 0; version < 2; ++version) expect_right_or_told(version, **again, *report);
    }
    v.store.become(whole);
  }

  void expect_right_or_told(int version, const vault::Vault& opened, const maintenance::CheckReport& report) {
    const auto snapshot = opened.snapshot(sessions[static_cast<std::size_t>(version)]);
    if (!snapshot) {
      EXPECT_NE(snapshot.error().message().find(format::snapshot_object(sessions[static_cast<std::size_t>(version)])), std::string::npos);
      return;
    }
    const auto named = [&](const std::string& path) {
      for (const maintenance::Finding& finding : report.findings)
        for (const std::string& file : finding.files)
          if (file == path || (file.ends_with('/') && path.starts_with(file))) return true;
      return false;
    };
    TempDirectory target;
    auto reader = vault::ChunkReader::create(opened, 8u << 20);
    ASSERT_OK(reader);
    restore::RestoreProgress progress;
    CancelToken cancel;
    const auto restored = restore::restore_snapshot(**reader, bodies[version], {.target = target.path(), .workers = 1, .memory_bytes = 8u << 20}, progress, cancel);
    std::size_t missing = 0;
    for (const auto& [path, content] : wanted[version]) {
      const std::string at = target.path() + path;
      if (!exists(at)) {
        ++missing;
        EXPECT_TRUE(named(path)) << path << " is not restored, and the check does not name it";
      } else {
        EXPECT_TRUE(content_of(at) == content) << path;
      }
    }
    if (!restored) {
      EXPECT_EQ(missing, wanted[version].size()) << restored.error().message();
    } else {
      EXPECT_EQ(restored->failed > 0, missing > 0) << all_warnings(*restored);
      files_lost += missing;
    }
  }

  TestVault v;
  storage::MemoryStore whole;
  std::map<std::string, std::string> wanted[2];
  format::SnapshotBody bodies[2];
  std::vector<format::SessionId> sessions;
  std::size_t files_lost = 0;
};

TEST_F(EveryDamage, IsNamedAndCostsNoMoreThanItTouches) {
  std::vector<Case> all = cases();
  const auto opened = v.open();   // before: without vault.json or roster there is no opening
  ASSERT_OK(opened);
  const char* given = std::getenv("COPPICE_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : 1;
  const std::size_t total = all.size();
  std::map<std::string, std::size_t> struck;
  if (!soaking()) {
    // Every blow to every kind is in the sample, the rest by chance.
    std::ranges::shuffle(all, std::mt19937_64(seed));
    std::map<std::pair<std::string, Blow>, int> taken;
    std::erase_if(all, [&](const Case& c) { return ++taken[{kind_of(c.object), c.blow}] > 4; });
  }
  SoakProgress progress("cases", all.size());
  for (const Case& c : all) {
    run_case(c, **opened);
    progress.step();
    ++struck[kind_of(c.object)];
    if (HasFailure()) {
      ADD_FAILURE() << "COPPICE_SEED=" << seed;
      break;
    }
  }
  for (const char* kind : {"vault.json", "roster", "keys", "/plan", "/seal", "slots", "packs", "trees", "index", "lists", "snapshots", "forgets"})
    EXPECT_GE(struck[kind], std::size(kBlows) - 2) << kind;
  EXPECT_GT(files_lost, 10u);
  fmt::print("{} of {} cases, {} files lost\n", all.size(), total, files_lost);
}

}  // namespace
}  // namespace coppice::testing
