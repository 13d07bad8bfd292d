// A small backup meets every fault that a store may have: a crash at each of its operations (the one at the crash done or not), answers
// lost or late, no space, errors, stale lists, wrong bits. Whatever happened, check finds no damage, every committed snapshot restores
// exactly, and the next backup succeeds and restores.
//
// Cases are numbered: first the sweep over every operation of every start, then faults drawn from the number. COPPICE_SEED=n runs one
// case, COPPICE_SOAK=1 thousands.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "capture/backup.h"
#include "foundation/mutex.h"
#include "maintenance/check.h"
#include "restore/restore.h"
#include "storage/fault_store.h"
#include "support/soak.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice {
namespace {

using format::Role;
using storage::CrashOutcome;
using storage::FaultPlan;
using testing::TempDirectory;
using testing::TestVault;
namespace fs = std::filesystem;

using Contents = std::map<std::string, std::string>;   // path below a root -> what is there

std::string slurp(const fs::path& path) {
  std::string text(fs::file_size(path), '\0');
  std::ifstream(path, std::ios::binary).read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

Contents contents(const fs::path& root) {
  Contents all;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string name = entry.path().lexically_relative(root).string();
    all[name] = entry.is_symlink() ? "-> " + fs::read_symlink(entry.path()).string() : entry.is_directory() ? "directory" : slurp(entry.path());
  }
  return all;
}

// The names that are not the same in both.
std::vector<std::string> differences(const Contents& a, const Contents& b) {
  std::vector<std::string> names;
  for (const auto& [name, what] : a)
    if (const auto it = b.find(name); it == b.end() || it->second != what) names.push_back(name);
  for (const auto& [name, what] : b)
    if (!a.contains(name)) names.push_back(name);
  return names;
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// Small files in groups, one that is cut, what has no content.
void make_source(const fs::path& root) {
  std::mt19937_64 random(1);
  for (int d = 0; d < 3; ++d)
    for (int f = 0; f < 10; ++f)
      write(root / fmt::format("d{}/sub{}/f{}", d, f % 3, f), testing::noise(random(), random() % 30000));
  write(root / "large", testing::noise(1, 1u << 20) + std::string(100000, 'x'));
  fs::create_directories(root / "empty");
  fs::create_symlink("large", root / "link");
}

// The fault that the simulation must find: puts are acknowledged at once and stored four at a time, the newest first.
class HastyStore : public storage::ObjectStore {
 public:
  explicit HastyStore(storage::ObjectStore& inner) : inner_(inner) {}
  ~HastyStore() override {
    MutexLock lock(mutex_);
    flush();
  }
  Result<> put(std::string_view name, ByteSpan bytes) override {
    if (size(name)) return fail(ErrorKind::kConflict, "the name is taken");
    MutexLock lock(mutex_);
    waiting_.emplace_back(std::string(name), to_bytes(bytes));
    if (waiting_.size() == 4) flush();
    return {};
  }
  Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override {
    MutexLock lock(mutex_);
    const Bytes* bytes = find(name);
    return bytes ? Result<Bytes>(*bytes) : inner_.get(name, bytes_max);
  }
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override {
    MutexLock lock(mutex_);
    flush();
    return inner_.get_range(name, offset, into);
  }
  Result<std::uint64_t> size(std::string_view name) override {
    MutexLock lock(mutex_);
    const Bytes* bytes = find(name);
    return bytes ? Result<std::uint64_t>(bytes->size()) : inner_.size(name);
  }
  Result<> list(std::string_view prefix, const std::function<Result<>(const storage::ObjectInfo&)>& each) override { return inner_.list(prefix, each); }
  Result<> remove(std::string_view name) override { return inner_.remove(name); }
  Result<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }
  std::string describe() const override { return "a hasty store"; }

 private:
  void flush() REQUIRES(mutex_) {
    for (; !waiting_.empty(); waiting_.pop_back()) (void)inner_.put(waiting_.back().first, waiting_.back().second);
  }
  const Bytes* find(std::string_view name) REQUIRES(mutex_) {
    for (const auto& [waiting, bytes] : waiting_)
      if (waiting == name) return &bytes;
    return nullptr;
  }
  storage::ObjectStore& inner_;
  Mutex mutex_;
  std::vector<std::pair<std::string, Bytes>> waiting_ GUARDED_BY(mutex_);
};

// Where a case begins. Prepared once; a case works on copies.
struct Start {
  std::string name;
  Role role = Role::kReader;
  storage::MemoryStore objects;
  std::string state;                 // directory; may be missing
  std::vector<Contents> committed;   // what the snapshots hold, oldest first
  std::int64_t operations = 0;       // of a backup that meets no fault
};

struct Case {
  const Start* start = nullptr;
  std::vector<FaultPlan> plans;      // one backup each
  bool must_succeed = false;         // these faults are ones that a backup survives
  bool hasty = false;
};

using Wrongs = std::vector<std::string>;

class Simulation {
 public:
  Simulation() {
    test_.clock.set({.seconds = std::time(nullptr) + 3600});   // files are old enough for the source state to be believed
    make_source(source());
    const Start& empty = add_start("the first backup", Role::kReader, "none", {});
    const Contents before = contents(source());
    for (const Role role : {Role::kReader, Role::kWriter}) {
      const std::string state = role == Role::kReader ? "reader" : "writer";
      test_.store.become(empty.objects);
      EXPECT_OK(back_up(test_.store, role, directory_ / state));
      add_start("the second backup of a " + state, role, state, {before});
    }
    add_start("the second backup, the state lost", Role::kWriter, "none", {before});
    write(fs::path(source()) / "d1/new", testing::noise(2, 150000));
    write(fs::path(source()) / "d2/sub1/f1", "changed");
    now_ = contents(source());
    for (const auto& start : starts_) count_operations(*start);
    {
      test_.store.become(empty.objects);
      storage::FaultStore faulty(test_.store, {.crash_at = empty.operations - 3, .crash_outcome = CrashOutcome::kNotDone});
      EXPECT_FAILS(back_up(faulty, Role::kReader, directory_ / "killed"), kCancelled);
      add_start("after a backup that was killed", Role::kReader, "killed", {});
      count_operations(*starts_.back());
    }
    for (const auto& start : starts_)
      for (std::int64_t operation = 0; operation < start->operations; ++operation)
        for (const CrashOutcome outcome : {CrashOutcome::kNotDone, CrashOutcome::kDone})
          sweep_.push_back({.start = start.get(), .plans = {{.crash_at = operation, .crash_outcome = outcome}}});
  }

  const std::vector<Case>& sweep() const { return sweep_; }
  const std::vector<std::unique_ptr<Start>>& starts() const { return starts_; }

  Case case_of(std::uint64_t seed) const {
    if (seed < sweep_.size()) return sweep_[seed];
    std::mt19937_64 random(seed);
    Case drawn{.start = starts_[random() % starts_.size()].get()};
    const std::uint64_t kind = seed % 8;
    for (int i = 0; i < 2; ++i) {
      FaultPlan plan{.seed = random()};
      if (kind == 0) plan.crash_at = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(drawn.start->operations + 5));
      if (kind == 1) plan.lost_acknowledgement = i == 0 ? 1000 : 200;
      if (kind == 2) plan.late_put = 100;
      if (kind == 3) plan.unavailable = 30;
      if (kind == 4) plan.no_space = 100;
      if (kind == 5) plan.stale_list = 500;
      if (kind == 6) plan.flipped_bit = 100;
      if (kind == 7)
        plan = {.seed = random(), .crash_at = static_cast<std::int64_t>(10 + random() % 40), .lost_acknowledgement = 100, .late_put = 20,
                .unavailable = 5, .stale_list = 200, .flipped_bit = 5};
      drawn.plans.push_back(plan);
    }
    drawn.must_succeed = kind == 1 || kind == 5;
    return drawn;
  }

  // What of the promise did not hold.
  Wrongs run(const Case& c) {
    Wrongs wrongs;
    test_.store.become(c.start->objects);
    TempDirectory state;
    if (fs::exists(c.start->state)) fs::copy(c.start->state, state.path(), fs::copy_options::recursive);
    std::size_t committed = c.start->committed.size();
    for (const FaultPlan& plan : c.plans) {
      storage::FaultStore faulty(test_.store, plan);
      const auto report = [&] {
        if (!c.hasty) return back_up(faulty, c.start->role, state.path());
        HastyStore hasty(faulty);
        return back_up(hasty, c.start->role, state.path());
      }();
      if (report) ++committed;
      if (!report && c.must_succeed) wrongs.push_back("a backup gave up: " + report.error().message());
    }
    look(*c.start, committed, 0, wrongs);
    const auto next = back_up(test_.store, c.start->role, state.path());
    if (!next) {
      wrongs.push_back("the next backup fails: " + next.error().message());
      return wrongs;
    }
    for (const auto& warning : next->warnings) wrongs.push_back("the next backup warns: " + warning.path + ": " + warning.what);
    look(*c.start, committed + 1, committed, wrongs);
    return wrongs;
  }

  // A store that breaks its promise left a torn object. What was committed before restores all the same; a later backup restores if it
  // claims to be one.
  Wrongs run_torn(const Start& start, std::int64_t operation) {
    Wrongs wrongs;
    test_.store.become(start.objects);
    TempDirectory state;
    if (fs::exists(start.state)) fs::copy(start.state, state.path(), fs::copy_options::recursive);
    {
      storage::FaultStore faulty(test_.store, {.seed = static_cast<std::uint64_t>(operation), .crash_at = operation, .crash_outcome = CrashOutcome::kTorn});
      (void)back_up(faulty, start.role, state.path());
    }
    const auto next = back_up(test_.store, start.role, state.path());
    auto vault = test_.open(Role::kReader);
    if (!vault) return {vault.error().message()};
    const auto list = (*vault)->snapshots();
    if (!list) return {list.error().message()};
    restore_all(**vault, list->snapshots, start, start.committed.size() + (next ? 1 : 0), 0, wrongs);
    return wrongs;
  }

  // Restores the newest snapshot of `start` through a store with faults: an entry is right, or a warning names it or what is above it.
  Wrongs run_restore(const Start& start, const FaultPlan& plan) {
    test_.store.become(start.objects);
    storage::FaultStore faulty(test_.store, plan);
    auto vault = vault::Vault::open(faulty, test_.bundle(Role::kReader), "", test_.clock, test_.entropy);
    if (!vault) return {};
    const auto list = (*vault)->snapshots();
    if (!list || list->snapshots.empty()) return {};
    auto reader = vault::ChunkReader::create(**vault, 8u << 20);
    if (!reader) return {};
    TempDirectory target;
    restore::RestoreProgress progress;
    const auto restored = restore::restore_snapshot(**reader, *list->snapshots.back().body,
                                                    {.target = target.path(), .sub_path = source(), .workers = 1}, progress, cancel_);
    if (!restored) return {};
    Wrongs wrongs;
    for (const std::string& name : differences(contents(target.path()), start.committed.back())) {
      const std::string path = source() + "/" + name;
      if (!std::ranges::any_of(restored->warnings, [&](const auto& warning) { return (path + "/").starts_with(warning.path + "/"); }))
        wrongs.push_back(name + " is wrong, and nothing was said");
    }
    if (!restored->warnings.empty() && restored->failed == 0) wrongs.push_back("warnings, but nothing counted as failed");
    return wrongs;
  }

 private:
  std::string source() const { return directory_ / "source"; }

  const Start& add_start(std::string name, Role role, const std::string& state, std::vector<Contents> committed) {
    auto start = std::make_unique<Start>();
    start->name = std::move(name);
    start->role = role;
    start->state = directory_ / state;
    start->committed = std::move(committed);
    start->objects.become(test_.store);
    starts_.push_back(std::move(start));
    return *starts_.back();
  }

  void count_operations(Start& start) {
    test_.store.become(start.objects);
    TempDirectory state;
    if (fs::exists(start.state)) fs::copy(start.state, state.path(), fs::copy_options::recursive);
    storage::FaultStore counting(test_.store, {});
    EXPECT_OK(back_up(counting, start.role, state.path()));
    start.operations = counting.operations();
  }

  Result<capture::BackupReport> back_up(storage::ObjectStore& store, Role role, const std::string& state) {
    test_.clock.advance_seconds(60);
    auto vault = vault::Vault::open(store, test_.bundle(role), state, test_.clock, test_.entropy);
    if (!vault) return std::unexpected(vault.error());
    capture::BackupProgress progress;
    return capture::run_backup(**vault, {.sources = {source()}, .host = "host", .writer = {.workers = 2, .memory_bytes = 64u << 20}}, progress, cancel_);
  }

  // `first`: restores from that snapshot on; what lies before was looked at.
  void look(const Start& start, std::size_t snapshots_min, std::size_t first, Wrongs& wrongs) {
    auto vault = test_.open(Role::kReader);
    if (!vault) return wrongs.push_back("the vault does not open: " + vault.error().message());
    maintenance::CheckProgress progress;
    const auto report = maintenance::check_vault(**vault, {.read_data_percent = 100, .workers = 1}, progress, cancel_);
    if (!report) return wrongs.push_back("check fails: " + report.error().message());
    for (const auto& finding : report->findings)
      if (finding.severity == maintenance::Severity::kDamage) wrongs.push_back("damage: " + finding.object + ": " + finding.what);
    const auto list = (*vault)->snapshots();
    if (!list) return wrongs.push_back("no list of snapshots: " + list.error().message());
    for (const auto& bad : list->bad) wrongs.push_back("not a snapshot: " + bad.object + ": " + bad.error.message());
    restore_all(**vault, list->snapshots, start, snapshots_min, first, wrongs);
  }

  void restore_all(const vault::Vault& vault, const std::vector<vault::Snapshot>& snapshots, const Start& start, std::size_t snapshots_min, std::size_t first,
                   Wrongs& wrongs) {
    if (snapshots.size() < snapshots_min) wrongs.push_back(fmt::format("{} snapshots, {} were committed", snapshots.size(), snapshots_min));
    auto reader = vault::ChunkReader::create(vault, 8u << 20);
    if (!reader) return wrongs.push_back("no reader: " + reader.error().message());
    for (std::size_t i = first; i < snapshots.size(); ++i) {
      TempDirectory target;
      restore::RestoreProgress progress;
      const auto restored = restore::restore_snapshot(**reader, *snapshots[i].body, {.target = target.path(), .sub_path = source(), .workers = 1},
                                                      progress, cancel_);
      if (!restored) {
        wrongs.push_back("restore fails: " + restored.error().message());
        continue;
      }
      for (const auto& warning : restored->warnings) wrongs.push_back("restore: " + warning.path + ": " + warning.what);
      const std::size_t wrong = differences(contents(target.path()), i < start.committed.size() ? start.committed[i] : now_).size();
      if (wrong > 0) wrongs.push_back(fmt::format("snapshot {} of {} restores {} names wrong", i + 1, snapshots.size(), wrong));
    }
  }

  TestVault test_;
  TempDirectory directory_;
  CancelToken cancel_;
  std::vector<std::unique_ptr<Start>> starts_;
  Contents now_;
  std::vector<Case> sweep_;
};

std::string join(const Wrongs& wrongs) {
  std::string all;
  for (const std::string& wrong : wrongs) all += "\n  " + wrong;
  return all;
}

Simulation& simulation() {
  static Simulation simulation;
  return simulation;
}

void run_seed(std::uint64_t seed) {
  const Case c = simulation().case_of(seed);
  EXPECT_EQ(join(simulation().run(c)), "") << "COPPICE_SEED=" << seed << " (" << c.start->name << ", crash at operation " << c.plans[0].crash_at << ")";
}

TEST(Crash, AtEveryStorageOperationLosesNothing) {
  if (const char* one = std::getenv("COPPICE_SEED")) return run_seed(std::strtoull(one, nullptr, 10));
  fmt::print("{} cases\n", simulation().sweep().size());
  for (std::uint64_t seed = 0; seed < simulation().sweep().size(); ++seed) run_seed(seed);
}

TEST(Crash, NoFaultOfTheStoreLosesAnything) {
  if (std::getenv("COPPICE_SEED")) GTEST_SKIP() << "one case was asked for";
  const std::uint64_t drawn = testing::soaking() ? 5000 : 48;
  testing::SoakProgress progress("cases", drawn);
  for (std::uint64_t i = 0; i < drawn; ++i, progress.step()) run_seed(simulation().sweep().size() + i);
}

TEST(Crash, AStoreThatAcknowledgesBeforeItStoresIsFoundOut) {
  std::size_t found = 0, runs = 0;
  for (const Case& of_sweep : simulation().sweep()) {
    if (of_sweep.start != simulation().starts()[1].get()) continue;
    Case c = of_sweep;
    c.hasty = true;
    ++runs;
    found += !simulation().run(c).empty();
  }
  EXPECT_GT(found, 0u) << "of " << runs << " runs";
  RecordProperty("found", static_cast<int>(found));
}

TEST(Crash, ATornObjectHarmsNothingCommitted) {
  const Start& start = *simulation().starts()[1];
  for (std::int64_t operation = 0; operation < start.operations; ++operation)
    EXPECT_EQ(join(simulation().run_torn(start, operation)), "") << "operation " << operation;
}

TEST(Crash, ARestoreThroughAFaultyStoreIsRightOrSaysWhatIsNot) {
  const Start& start = *simulation().starts()[1];
  for (std::uint64_t seed = 0; seed < 30; ++seed)
    EXPECT_EQ(join(simulation().run_restore(start, {.seed = seed, .unavailable = seed % 3 ? 0u : 100u, .flipped_bit = seed % 3 ? 150u : 0u})), "")
        << "seed " << seed;
}

TEST(Crash, WhatAKilledBackupStoredIsNotStoredAgain) {
  TestVault test;
  TempDirectory directory;
  const std::string source = directory / "source", state = directory / "state";
  write(fs::path(source) / "large", testing::noise(1, 40u << 20));   // several packs
  const auto back_up = [&](storage::ObjectStore& store) -> Result<capture::BackupReport> {
    auto vault = vault::Vault::open(store, test.bundle(Role::kReader), state, platform::system_clock(), test.entropy);
    if (!vault) return std::unexpected(vault.error());
    capture::BackupProgress progress;
    CancelToken cancel;
    return capture::run_backup(**vault, {.sources = {source}, .host = "host", .writer = {.workers = 2, .memory_bytes = 64u << 20}}, progress, cancel);
  };
  const auto stored = [&] {
    std::uint64_t bytes = 0;
    EXPECT_OK(test.store.list("packs/", [&](const storage::ObjectInfo& object) -> Result<> {
      bytes += object.size;
      return {};
    }));
    return bytes;
  };
  storage::FaultStore faulty(test.store, {.seed = 1, .crash_at = 22});
  ASSERT_FALSE(back_up(faulty));
  const std::uint64_t kept = stored();
  ASSERT_GT(kept, 10u << 20);
  const auto report = back_up(test.store);
  ASSERT_OK(report);
  EXPECT_GE(report->adopted, kept / 2);
  // At most the pack whose acknowledgement the crash swallowed is there twice.
  EXPECT_LE(stored(), (40u << 20) + (14u << 20) + (1u << 20));
}

}  // namespace
}  // namespace coppice
