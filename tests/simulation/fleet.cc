#include "simulation/fleet.h"

#include <filesystem>
#include <fstream>

#include "capture/backup.h"
#include "keys/roster.h"
#include "maintenance/check.h"
#include "storage/fault_store.h"
#include "support/result.h"
#include "tasks/key_admin.h"
#include "tasks/vault_access.h"

namespace coppice::simulation {
namespace {

namespace fs = std::filesystem;
using format::Role;
using format::SessionId;
using testing::TempDirectory;

std::string noise(std::uint64_t seed, std::size_t bytes) {
  std::string text(bytes, '\0');
  platform::SeededEntropy entropy(seed);
  entropy.fill({reinterpret_cast<std::byte*>(text.data()), text.size()});
  return text;
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

bool differ(const Contents& a, const Contents& b) { return a != b; }

std::string name_of(SessionId session) { return format::snapshot_object(session); }

// Jumps now and then, by seconds or by decades.
class JumpingClock : public platform::Clock {
 public:
  explicit JumpingClock(std::uint64_t seed) : random_(seed) {}
  Timestamp now() const override {
    MutexLock lock(mutex_);
    static constexpr std::int64_t kJumps[] = {2, 3600, 86400 * 30, 86400 * 365 * 12ll};
    if (random_() % 4 == 0) {
      const std::int64_t jump = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(kJumps[random_() % std::size(kJumps)]));
      now_ += random_() % 2 ? jump : -jump;
    }
    return {.seconds = std::max<std::int64_t>(now_, 0)};
  }
  std::uint64_t monotonic_ns() const override { return monotonic_.fetch_add(1000); }

 private:
  mutable Mutex mutex_;
  mutable std::mt19937_64 random_ GUARDED_BY(mutex_);
  mutable std::int64_t now_ GUARDED_BY(mutex_) = std::time(nullptr) + 3600;
  mutable std::atomic<std::uint64_t> monotonic_{1};
};

}  // namespace

Contents read_contents(const std::string& directory) {
  Contents all;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    std::string& what = all[entry.path().lexically_relative(directory).string()];
    if (entry.is_directory()) {
      what = "directory";
    } else {
      what.resize(fs::file_size(entry.path()));
      std::ifstream(entry.path(), std::ios::binary).read(what.data(), static_cast<std::streamsize>(what.size()));
    }
  }
  return all;
}

Fleet::Fleet() {
  crypto::initialise();
  entropy_.fill(vault_.id);
  entropy_.fill(vault_.root.writable());
  const crypto::Key owner_seed = keys::derive_owner_seed(vault_.root, vault_.id);
  const keys::Random random = tasks::random_of(entropy_);
  std::vector<format::Member> members;
  std::vector<format::KeySlot> slots;
  for (const auto& [role, name] : {std::pair(Role::kOwner, "owner"), std::pair(Role::kReader, "host0"), std::pair(Role::kWriter, "host1"),
                                   std::pair(Role::kReader, "host2")}) {
    format::MemberId id{};
    entropy_.fill(id);
    const keys::KeyBundle bundle =
        keys::make_bundle(vault_.root, vault_.id, role, id, tasks::derive_signing_seed(vault_.root, vault_.id, id), keys::kFirstEpoch);
    auto made = keys::make_key_file_slot(bundle, owner_seed, random);
    if (role != Role::kOwner) key_files_.push_back(to_bytes(keys::render_key_file(made.file).view()));
    slots.push_back(std::move(made.slot));
    members.push_back(keys::describe_member(bundle, slots.back(), name, {.seconds = 1795334400}));
  }
  EXPECT_OK(vault::create_vault(start_, vault_, members, slots, platform::ManualClock({.seconds = 1795334400})));
}

// One seed.
class Run {
 public:
  Run(Fleet& fleet, std::uint64_t seed, Canary canary)
      : fleet_(fleet), random_(seed * 2 + 1), actors_(3 + random_() % 2), turns_(random_(), actors_), sea_(objects_, turns_, random_(), weather(random_, canary)) {
    objects_.become(fleet.start_);
    twins_ = random_() % 4 == 0;
    deadly_ = random_() % 4 != 0;
    for (std::size_t host = 0; host < Fleet::kHosts; ++host) make_source(source(host));
    if (twins_) fs::remove_all(source(2));
    for (std::size_t host = 0; host < Fleet::kHosts; ++host) fs::create_directories(state(host));
  }

  Outcome go() {
    turns_.run([this](std::size_t actor) { live(actor); });
    sea_.settle(Sea::Which::kSome);
    sea_.set_calm();
    look("when all had ended");
    for (std::size_t host = 0; host < Fleet::kHosts; ++host) {
      std::mt19937_64 random(host);
      Process process(*this, 0, random(), host, {});
      process.back_up(source(twins_ && host == 2 ? 0 : host), true);
    }
    sea_.settle(Sea::Which::kAll);
    look("after the next backups");
    outcome_.steps = turns_.steps();
    outcome_.late_puts = static_cast<unsigned>(sea_.late_puts());
    outcome_.log = sea_.log();
    return std::move(outcome_);
  }

 private:
  // What a commit may hold: put is what the source was when a process tried to commit it, in vain or not.
  struct Committed {
    Contents contents;
    std::string source;
    bool acknowledged = false;
  };

  // One run of the program, from its start to its end or its death.
  class Process {
   public:
    Process(Run& run, std::size_t actor, std::uint64_t seed, std::optional<std::size_t> host, storage::FaultPlan plan)
        : run_(run), actor_(actor), host_(host), plan_(plan), clock_(seed), entropy_(seed + 1),
          shore_(run.sea_, actor, [this](std::string_view name, ByteSpan) { see_put(name); }), faulty_(shore_, plan),
          late_before_(run.sea_.late_puts()), rosters_before_(run.sea_.rosters_arrived()) {}
    ~Process() {
      MutexLock lock(run_.mutex_);
      run_.outcome_.crashes += faulty_.crashed();
    }

    void back_up(const std::string& source, bool calm) {
      contents_ = read_contents(source);
      source_ = source;
      const auto report = [&]() -> Result<capture::BackupReport> {
        const auto vault = TRY(open());
        capture::BackupProgress progress;
        return capture::run_backup(*vault, {.sources = {source}, .host = fmt::format("host{}", *host_), .writer = {.workers = 1, .memory_bytes = 32u << 20}},
                                   progress, run_.cancel_);
      }();
      if (!report) return judge("a backup", report.error());
      MutexLock lock(run_.mutex_);
      ++run_.outcome_.committed;
      Committed& committed = run_.committed_[report->snapshot.session];
      if (committed.contents != contents_) run_.wrong(fmt::format("{} was acknowledged and never put", name_of(report->snapshot.session)));
      committed.acknowledged = true;
      for (const auto& warning : report->warnings)
        run_.wrong(fmt::format("{} backup of host {} warns: {}: {}", calm ? "the next" : "a", *host_, warning.path, warning.what));
    }

    void forget(std::mt19937_64& random) {
      const auto session = run_.some_snapshot(random);
      if (!session) return;
      const auto done = [&]() -> Result<> {
        const auto vault = TRY(open());
        const auto snapshot = TRY(vault->snapshot(*session));
        {
          MutexLock lock(run_.mutex_);
          run_.forget_tried_.insert(*session);
        }
        return vault->forget(snapshot);
      }();
      if (!done) return judge("a forget", done.error());
      MutexLock lock(run_.mutex_);
      run_.forgotten_.insert(*session);
      ++run_.outcome_.forgets;
    }

    void restore(std::mt19937_64& random) {
      const auto session = run_.some_snapshot(random);
      if (!session) return;
      const auto done = [&]() -> Result<> {
        const auto vault = TRY(open());
        const auto snapshot = TRY(vault->snapshot(*session));
        run_.compare(*vault, snapshot, "beside the others", &faulty_);
        return {};
      }();
      if (!done) return judge("a restore", done.error());
      MutexLock lock(run_.mutex_);
      ++run_.outcome_.restores;
    }

    void check() {
      const auto report = [&]() -> Result<maintenance::CheckReport> {
        const auto vault = TRY(open());
        maintenance::CheckProgress progress;
        return maintenance::check_vault(*vault, {.read_data_percent = 100, .workers = 1, .memory_bytes = 32u << 20}, progress, run_.cancel_);
      }();
      if (!report) return judge("a check", report.error());
      MutexLock lock(run_.mutex_);
      ++run_.outcome_.checks;
      if (!faulty_.crashed()) run_.no_damage(*report, "beside the others");
    }

    void rotate() {
      const auto done = [&]() -> Result<tasks::Rotation> {
        const auto vault = TRY(open());
        return tasks::rotate_epoch(*vault);
      }();
      if (!done) return judge("a rotation", done.error());
      MutexLock lock(run_.mutex_);
      ++run_.outcome_.rotations;
      for (const std::string& member : done->without_slot) run_.wrong("a rotation left out " + member);
    }

   private:
    Result<std::unique_ptr<vault::Vault>> open() {
      const std::string state = host_ ? run_.state(*host_) : "";
      if (!host_)
        return vault::Vault::open(faulty_, keys::bundle_from_root(run_.fleet_.vault_.root, run_.fleet_.vault_.id, keys::kFirstEpoch), state, clock_, entropy_);
      auto credential = TRY(keys::parse_key_file(run_.fleet_.key_files_[*host_]));
      return tasks::open_with(faulty_, tasks::source_by_slot(faulty_, std::move(credential), {}, "this key", ""), state, clock_, entropy_);
    }

    void see_put(std::string_view name) {
      const auto session = format::parse_snapshot_object(name);
      if (!session) return;
      MutexLock lock(run_.mutex_);
      Committed& committed = run_.committed_[*session];
      if (!committed.source.empty()) run_.wrong(fmt::format("{} is put a second time", name));
      committed.contents = contents_;
      committed.source = source_;
    }

    // A process may fail when it died, when a put of the vault's was late, or when somebody's list of keys arrived after it had opened the vault.
    void judge(const char* what, const Error& error) {
      const bool allowed = faulty_.crashed() || run_.sea_.late_puts() > late_before_ || run_.sea_.rosters_arrived() > rosters_before_;
      run_.sea_.note(fmt::format("{:3} {} fails: {}", actor_, what, error.message()));
      MutexLock lock(run_.mutex_);
      if (!allowed) run_.wrong(fmt::format("{} gave up: {}", what, error.message()));
      ++run_.outcome_.unacknowledged;
    }

    Run& run_;
    const std::size_t actor_;
    const std::optional<std::size_t> host_;   // nothing: the owner
    const storage::FaultPlan plan_;
    JumpingClock clock_;
    platform::SeededEntropy entropy_;
    Shore shore_;
    storage::FaultStore faulty_;
    const std::uint64_t late_before_, rosters_before_;
    Contents contents_;
    std::string source_;
  };

  static Weather weather(std::mt19937_64& random, Canary canary) {
    Weather weather{.canary = canary};
    if (random() % 3 == 0 || canary == Canary::kAcknowledgesLatePuts) weather.late_put = random() % 2 ? 15 : 80;
    if (random() % 2) weather.stale_list = random() % 2 ? 150 : 700;
    return weather;
  }

  std::string source(std::size_t host) const { return directory_ / fmt::format("source{}", host); }
  std::string state(std::size_t host) const { return directory_ / fmt::format("state{}", host); }

  void make_source(const std::string& root) {
    for (int i = 0; i < 5; ++i) write(fs::path(root) / fmt::format("d{}/f{}", i % 2, i), noise(random_(), random_() % 4000));
    write(fs::path(root) / "large", noise(random_(), 150000 + random_() % 200000));
  }
  // Every version has another length.
  static void change_source(const std::string& root, std::mt19937_64& random) {
    const std::string grown = fmt::format("d{}/f{}", random() % 2, random() % 6);
    write(fs::path(root) / grown, noise(random(), 5000 + random() % 100000));
    if (random() % 3 == 0) fs::remove(fs::path(root) / fmt::format("d0/f{}", random() % 3 * 2));
    if (random() % 4 == 0) write(fs::path(root) / "large", noise(random(), 150000 + random() % 200000));
  }

  // What happens to a host between two runs.
  void misfortune(std::size_t host, std::mt19937_64& random) {
    const std::string old = state(host) + ".old";
    switch (random() % 12) {
      case 0:
        fs::remove_all(state(host));
        sea_.note(fmt::format("      host {} loses its state", host));
        break;
      case 1:
        if (!fs::exists(old)) break;
        fs::remove_all(state(host));
        fs::copy(old, state(host), fs::copy_options::recursive);
        sea_.note(fmt::format("      host {} gets an old state back", host));
        break;
      case 2:
        if (!fs::exists(state(host))) break;
        fs::remove_all(old);
        fs::copy(state(host), old, fs::copy_options::recursive);
        break;
      default: break;
    }
  }

  storage::FaultPlan plan(std::mt19937_64& random) const {
    storage::FaultPlan plan{.seed = random()};
    if (deadly_ && random() % 2) plan.crash_at = static_cast<std::int64_t>(random() % 70);
    if (random() % 2) plan.lost_acknowledgement = random() % 2 ? 60 : 1000;
    return plan;
  }

  // Actors 0 to 2 are hosts (two of them the same one, at times); the fourth is whoever looks after the vault.
  void live(std::size_t actor) {
    std::mt19937_64 random(turns_.step(actor, [&] { return random_(); }));
    const std::size_t host = twins_ && actor == 2 ? 0 : actor;
    for (std::size_t runs = 2 + random() % 2; runs > 0; --runs) {
      if (actor < Fleet::kHosts) {
        turns_.step(actor, [&] {
          if (!twins_) {
            misfortune(host, random);
            change_source(source(host), random);
          } else {
            // Else it would be up to others on this machine whether there is a tree to put: a tree holds the times of /tmp.
            fs::last_write_time(source(host), fs::file_time_type::clock::now());
          }
          return 0;
        });
        Process process(*this, actor, random(), host, plan(random));
        // The writer's host has nothing else to do; it cannot read.
        const std::uint64_t kind = host == 1 ? 0 : random() % 8;
        if (kind < 6) process.back_up(source(host), false);
        if (kind == 6) process.forget(random);
        if (kind == 7) process.restore(random);
      } else {
        Process process(*this, actor, random(), std::nullopt, plan(random));
        const std::uint64_t kind = random() % 4;
        if (kind == 0) process.check();
        if (kind == 1) process.rotate();
        if (kind == 2) process.restore(random);
        if (kind == 3) process.forget(random);
      }
    }
  }

  std::optional<SessionId> some_snapshot(std::mt19937_64& random) {
    MutexLock lock(mutex_);
    std::vector<SessionId> all;
    for (const auto& [session, committed] : committed_)
      if (committed.acknowledged) all.push_back(session);
    if (all.empty()) return std::nullopt;
    return all[random() % all.size()];
  }

  void wrong(std::string what) REQUIRES(mutex_) { outcome_.wrongs.push_back(std::move(what)); }

  void no_damage(const maintenance::CheckReport& report, const char* when) REQUIRES(mutex_) {
    for (const auto& finding : report.findings)
      if (finding.severity == maintenance::Severity::kDamage) wrong(fmt::format("check {}: {}: {}", when, finding.object, finding.what));
  }

  // Restores and compares. A reader that died meanwhile has nothing to say.
  void compare(const vault::Vault& vault, const vault::Snapshot& snapshot, const char* when, const storage::FaultStore* through = nullptr) {
    Committed expected;
    {
      MutexLock lock(mutex_);
      const auto it = committed_.find(snapshot.session);
      if (it == committed_.end()) return wrong(name_of(snapshot.session) + " is there, and nobody made it");
      expected = it->second;
    }
    TempDirectory target;
    const auto restored = [&]() -> Result<restore::RestoreReport> {
      const auto reader = TRY(vault::ChunkReader::create(vault, 8u << 20));
      restore::RestoreProgress progress;
      const restore::RestoreOptions options{.target = target.path(), .sub_path = expected.source, .workers = 1, .memory_bytes = 32u << 20};
      return restore::restore_snapshot(*reader, *snapshot.body, options, progress, cancel_);
    }();
    if (through && through->crashed()) return;
    MutexLock lock(mutex_);
    const std::string what = fmt::format("{} {}", name_of(snapshot.session), when);
    if (!restored) return wrong(what + " does not restore: " + restored.error().message());
    for (const auto& warning : restored->warnings) wrong(fmt::format("{}: {}: {}", what, warning.path, warning.what));
    if (restored->warnings.empty() && differ(read_contents(target.path()), expected.contents)) wrong(what + " restores something else");
  }

  // Through the store itself, by the owner.
  void look(const char* when) {
    platform::ManualClock clock({.seconds = std::time(nullptr)});
    platform::SeededEntropy entropy(1);
    const auto looked = [&]() -> Result<> {
      const auto vault = TRY(vault::Vault::open(objects_, keys::bundle_from_root(fleet_.vault_.root, fleet_.vault_.id, keys::kFirstEpoch), "", clock, entropy));
      maintenance::CheckProgress progress;
      const auto report = TRY(maintenance::check_vault(*vault, {.read_data_percent = 100, .workers = 1, .memory_bytes = 32u << 20}, progress, cancel_));
      {
        MutexLock lock(mutex_);
        no_damage(report, when);
      }
      const auto list = TRY(vault->snapshots());
      std::set<SessionId> there;
      for (const vault::Snapshot& snapshot : list.snapshots) {
        there.insert(snapshot.session);
        if (std::exchange(seen_[snapshot.session], snapshot.commit_hash) != snapshot.commit_hash) compare(*vault, snapshot, when);
      }
      MutexLock lock(mutex_);
      for (const auto& bad : list.bad) wrong(fmt::format("{}: {}: {}", when, bad.object, bad.error.message()));
      for (const auto& [session, committed] : committed_)
        if (committed.acknowledged && !forget_tried_.contains(session) && !there.contains(session)) wrong(fmt::format("{} is lost {}", name_of(session), when));
      for (const SessionId session : forgotten_)
        if (there.contains(session)) wrong(fmt::format("{} was forgotten, and is there {}", name_of(session), when));
      return {};
    }();
    MutexLock lock(mutex_);
    if (!looked) wrong(fmt::format("the vault cannot be looked at {}: {}", when, looked.error().message()));
  }

  Fleet& fleet_;
  std::mt19937_64 random_;   // used by whoever has the turn
  const std::size_t actors_;
  storage::MemoryStore objects_;
  Turns turns_;
  Sea sea_;
  TempDirectory directory_;
  CancelToken cancel_;
  bool twins_ = false;       // actor 2 is a second run of host 0, of the same source
  bool deadly_ = false;
  Mutex mutex_;
  std::map<SessionId, Committed> committed_ GUARDED_BY(mutex_);
  std::set<SessionId> forget_tried_ GUARDED_BY(mutex_), forgotten_ GUARDED_BY(mutex_);
  std::map<SessionId, format::Digest> seen_;   // by look()
  Outcome outcome_ GUARDED_BY(mutex_);
};

Outcome Fleet::run(std::uint64_t seed, Canary canary) { return Run(*this, seed, canary).go(); }

}  // namespace coppice::simulation
