// COPPICE_REWRITE_GOLDEN=1 writes the seeds anew.
#include "support/corpus.h"

#include "fuzz/vault/decoders.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::vault {
namespace {

std::vector<format::IndexEntry> entries(std::size_t count) {
  std::vector<format::IndexEntry> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    all[i].prefix[0] = static_cast<std::byte>(i >> 8);
    all[i].prefix[1] = static_cast<std::byte>(i);
    all[i].birth = {.pack = {.session = {0, 3}, .kind = format::PackKind::kData, .sequence = 1}, .ordinal = static_cast<std::uint16_t>(i % 128)};
    all[i].length = 1000;
  }
  return all;
}

// Two records, of three chunks and of none.
std::string seed_journal() {
  testing::TempDirectory directory;
  auto journal = Journal::create(directory.path(), {}, {0, 3}).value();
  const format::PackName name{.session = {0, 3}, .kind = format::PackKind::kData, .sequence = 1};
  EXPECT_OK(journal.append({.pack = {.name = name, .bytes = 4096}, .chunks = entries(3)}));
  EXPECT_OK(journal.append({.pack = {.name = name, .bytes = 1}, .chunks = {}}));
  return testing::files_under(directory.path()).front().second;
}

std::string seed_run(std::size_t count) {
  const std::array<std::byte, 32> salt{};
  const BuiltRun run = build_index_run({}, crypto::Key(), {0, 3}, 1, salt, entries(count));
  return std::string(as_text(run.object));
}

TEST(CorpusReplay, WhatASessionReadsOfItsPast) {
  if (std::getenv("COPPICE_REWRITE_GOLDEN")) {
    const auto write = [](const char* name, const std::string& bytes) {
      const auto path = testing::kTests / "fuzz/corpus" / name;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << bytes;
    };
    write("journal/seed-0", seed_journal());
    write("journal/seed-1", seed_journal().substr(20, 41 + 3 * format::kIndexEntryBytes));
    write("index_run/seed-0", seed_run(1));
    write("index_run/seed-1", seed_run(900));
    GTEST_SKIP() << "wrote the seeds instead of reading them";
  }
  testing::replay(fuzz::kDecoders);
}

}  // namespace
}  // namespace coppice::vault
