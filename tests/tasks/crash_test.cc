// A small backup crashes at every storage operation. Whatever the moment: check finds no damage, every committed snapshot restores exactly,
// and the next backup succeeds. Seeds are printed and accepted: COPPICE_SEED=n runs one; COPPICE_SOAK=1 runs many more.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "capture/backup.h"
#include "maintenance/check.h"
#include "restore/restore.h"
#include "storage/fault_store.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice {
namespace {

using testing::TempDirectory;
using testing::TestVault;
namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Path below `root` -> what is there.
std::map<std::string, std::string> contents(const fs::path& root) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string name = fs::relative(entry.path(), root).string();
    all[name] = entry.is_symlink() ? "-> " + fs::read_symlink(entry.path()).string() : entry.is_directory() ? "directory" : slurp(entry.path());
  }
  return all;
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void make_source(const fs::path& root, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int d = 0; d < 4; ++d)
    for (int f = 0; f < 12; ++f)
      write(root / ("d" + std::to_string(d)) / ("sub" + std::to_string(f % 3)) / ("f" + std::to_string(f)), testing::noise(random(), random() % 30000));
  write(root / "large", testing::noise(seed, 3u << 20) + std::string(1u << 20, 'x'));
  fs::create_directories(root / "empty");
  fs::create_symlink("large", root / "link");
}

struct Host {
  storage::ObjectStore& store;
  TestVault& test;
  std::string source, state;

  Result<capture::BackupReport> back_up() {
    auto vault = vault::Vault::open(store, test.bundle(format::Role::kReader), state, platform::system_clock(), test.entropy);
    if (!vault) return std::unexpected(vault.error());
    capture::BackupProgress progress;
    CancelToken cancel;
    return capture::run_backup(**vault, {.sources = {source}, .host = "host", .writer = {.workers = 2, .memory_bytes = 64u << 20}}, progress, cancel);
  }
};

using Contents = std::map<std::string, std::string>;

// `versions`: what the newest snapshot may hold, oldest first. (A bool, so that a failure does not print megabytes.)
void expect_whole(TestVault& test, const std::string& source, std::size_t snapshots_min, const std::vector<Contents>& versions) {
  auto vault = test.open(format::Role::kReader);
  ASSERT_OK(vault);
  maintenance::CheckProgress check_progress;
  CancelToken cancel;
  const auto report = maintenance::check_vault(**vault, {.read_data_percent = 100, .workers = 1}, check_progress, cancel);
  ASSERT_OK(report);
  for (const auto& finding : report->findings)
    EXPECT_NE(finding.severity, maintenance::Severity::kDamage) << finding.object << ": " << finding.what;
  const auto list = (*vault)->snapshots();
  ASSERT_OK(list);
  EXPECT_TRUE(list->bad.empty());
  EXPECT_GE(list->snapshots.size(), snapshots_min);
  if (list->snapshots.empty()) return;
  auto reader = vault::ChunkReader::create(**vault, 8u << 20);
  ASSERT_OK(reader);
  TempDirectory target;
  restore::RestoreProgress progress;
  const vault::Snapshot& newest = list->snapshots.back();
  ASSERT_TRUE(newest.body.has_value());
  const auto restored = restore::restore_snapshot(**reader, *newest.body, {.target = target.path(), .sub_path = source, .workers = 1}, progress, cancel);
  ASSERT_OK(restored);
  EXPECT_EQ(restored->failed, 0u);
  const Contents back = contents(target.path());
  EXPECT_TRUE(std::ranges::find(versions, back) != versions.end()) << "the newest snapshot holds " << back.size() << " names, as no version of the source";
}

void run_seed(std::uint64_t seed) {
  SCOPED_TRACE("COPPICE_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  TestVault test(seed);
  TempDirectory directory;
  const std::string source = directory / "source", state = directory / "state";
  make_source(source, seed % 7);
  std::size_t committed = 0;
  std::vector<Contents> versions{contents(source)};
  if (seed % 2) {   // half of them: an incremental backup crashes
    ASSERT_OK((Host{test.store, test, source, state}.back_up()));
    ++committed;
    write(fs::path(source) / "d1" / "new", testing::noise(seed, 200000));
    versions.push_back(contents(source));
  }
  // How many operations such a backup has is not known before: the crash point is drawn from more than enough, and a run that ends
  // before its crash is a run like any other.
  for (int crash = 0; crash < 2; ++crash) {
    storage::FaultStore faulty(test.store, {.seed = random(), .crash_at = static_cast<std::int64_t>(random() % 48), .lost_acknowledgement = random() % 3 ? 0u : 100u});
    const auto report = Host{faulty, test, source, state}.back_up();
    if (report) ++committed;
    if (::testing::Test::HasFatalFailure()) return;
    expect_whole(test, source, 0, versions);
  }
  const auto last = Host{test.store, test, source, state}.back_up();
  ASSERT_OK(last);
  EXPECT_EQ(last->warnings_total, 0u) << last->warnings.front().what;
  expect_whole(test, source, committed + 1, {versions.back()});
}

TEST(Crash, AtEveryStorageOperationLosesNothing) {
  if (const char* one = std::getenv("COPPICE_SEED")) return run_seed(std::strtoull(one, nullptr, 10));
  const std::uint64_t seeds = std::getenv("COPPICE_SOAK") ? 20000 : 24;
  for (std::uint64_t seed = 0; seed < seeds && !HasFailure(); ++seed) run_seed(seed);
}

TEST(Crash, WhatAKilledBackupStoredIsNotStoredAgain) {
  TestVault test;
  TempDirectory directory;
  const std::string source = directory / "source", state = directory / "state";
  write(fs::path(source) / "large", testing::noise(1, 40u << 20));   // several packs
  storage::FaultStore faulty(test.store, {.seed = 1, .crash_at = 11});
  ASSERT_FALSE((Host{faulty, test, source, state}.back_up()));
  std::uint64_t kept = 0;
  ASSERT_OK(test.store.list("packs/", [&](const storage::ObjectInfo& object) -> Result<> {
    kept += object.size;
    return {};
  }));
  ASSERT_GT(kept, 10u << 20);
  const auto report = Host{test.store, test, source, state}.back_up();
  ASSERT_OK(report);
  EXPECT_GE(report->adopted, kept / 2);
  std::uint64_t all = 0;
  ASSERT_OK(test.store.list("packs/", [&](const storage::ObjectInfo& object) -> Result<> {
    all += object.size;
    return {};
  }));
  // At most the pack whose acknowledgement the crash swallowed is there twice.
  EXPECT_LE(all, (40u << 20) + (14u << 20) + (1u << 20));
  expect_whole(test, source, 1, {contents(source)});
}

}  // namespace
}  // namespace coppice
