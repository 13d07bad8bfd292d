// Goal: a walk tells every entry once, in path order, and reads no page more often than it must, however wide or deep.
#include "tasks/tree_walk.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "storage/fault_store.h"
#include "support/test_vault.h"

namespace coppice::tasks {
namespace {

using testing::Files;
using testing::TestVault;

struct Walked {
  std::vector<std::string> paths;
  std::int64_t operations = 0;  // on the store, by the walk alone
};

// Without a cache to speak of: what is read twice is fetched twice.
Walked walk(TestVault& v, const vault::Snapshot& snapshot, std::size_t bytes_max = kWalkBytesMax) {
  storage::FaultStore counted(v.store, {});
  auto vault = vault::Vault::open(counted, v.bundle(format::Role::kReader), "", v.clock, v.entropy);
  EXPECT_OK(vault);
  auto reader = vault::ChunkReader::create(**vault, 1);
  EXPECT_OK(reader);
  const auto root = vault::find_entry(**reader, *snapshot.body, "/");
  EXPECT_OK(root);
  Walked walked;
  const std::int64_t before = counted.operations();
  EXPECT_OK(walk_tree(
      **reader, root->entry, "/",
      [&](std::string_view path, const format::Entry&) -> Result<Descend> {
        walked.paths.emplace_back(path);
        return Descend::kYes;
      },
      bytes_max));
  walked.operations = counted.operations() - before;
  return walked;
}

std::vector<std::string> paths_of(const Files& files) {
  std::set<std::vector<std::string>> all;  // compared name by name, as a walk goes
  for (const auto& [path, content] : files) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= path.size();) {
      const std::size_t end = std::min(path.find('/', at), path.size());
      parts.push_back(path.substr(at, end - at));
      all.insert(parts);
      at = end + 1;
    }
  }
  std::vector<std::string> paths;
  for (const auto& parts : all) {
    std::string path;
    for (const auto& part : parts) path += "/" + part;
    paths.push_back(path);
  }
  return paths;
}

TEST(TreeWalk, ADirectoryOfManySubdirectoriesIsReadOnce) {
  TestVault v;
  Files files;
  for (int i = 0; i < 1000; ++i) files[fmt::format("wide/{:04}/f", i)] = "";
  const auto snapshot = v.back_up(files, format::Role::kReader, "host /", 50);
  const Walked walked = walk(v, snapshot);
  EXPECT_EQ(walked.paths, paths_of(files));
  EXPECT_LT(walked.operations, 3000);  // a thousand small directories, and twenty pages of the wide one
}

TEST(TreeWalk, GoesOnWhereItLeftADirectoryThatWasClosedForRoom) {
  TestVault v;
  Files files;
  for (int i = 0; i < 6; ++i) {
    for (int j = 0; j < 6; ++j) {
      for (int k = 0; k < 6; ++k) files[fmt::format("a{}/b{}/c/d{}/e", i, j, k)] = "";
      files[fmt::format("a{}/b{}/z", i, j)] = "";
    }
    files[fmt::format("a{}/bb", i)] = "";
  }
  const auto snapshot = v.back_up(files, format::Role::kReader, "host /", 3);
  for (const std::size_t bytes_max : {std::size_t{0}, std::size_t{600}, std::size_t{2000}, kWalkBytesMax})
    EXPECT_EQ(walk(v, snapshot, bytes_max).paths, paths_of(files)) << bytes_max;
}

}  // namespace
}  // namespace coppice::tasks
