// Hundreds of seeds of simulation/fleet.h. COPPICE_SEED=n runs one and tells what happened, COPPICE_SOAK=1 runs hundreds of thousands;
// COPPICE_SEEDS=n runs n of them, COPPICE_SEEDS_FROM=n begins elsewhere, COPPICE_SHARD=i COPPICE_SHARDS=n runs every nth.
#include "simulation/fleet.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "support/soak.h"

namespace coppice::simulation {
namespace {

using testing::number_in;

std::string join(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += "\n  " + line;
  return all;
}

// Hosts flush what they write, thousands of times over: where there is room, to memory. And what one process frees the next one takes: the
// kernel need not clear it anew.
void work_in_memory() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  std::error_code error;
  const auto space = std::filesystem::space("/dev/shm", error);
  if (!error && space.available > 256u << 20) setenv("TMPDIR", "/dev/shm", 0);
}

Fleet& fleet() {
  static Fleet& fleet = [] -> Fleet& {
    work_in_memory();
    static Fleet made;
    return made;
  }();
  return fleet;
}

TEST(Fleet, LosesNothingWhateverHappens) {
  if (std::getenv("COPPICE_SEED")) {
    const Outcome outcome = fleet().run(number_in("COPPICE_SEED", 0));
    fmt::print("{}\n", join(outcome.log));
    EXPECT_EQ(join(outcome.wrongs), "");
    return;
  }
  const std::uint64_t seeds = number_in("COPPICE_SEEDS", testing::soaking() ? 200'000 : 200);
  const std::uint64_t first = number_in("COPPICE_SEEDS_FROM", 0);
  const std::uint64_t shards = std::max<std::uint64_t>(number_in("COPPICE_SHARDS", 1), 1), shard = number_in("COPPICE_SHARD", 0) % shards;
  testing::SoakProgress progress("seeds", (seeds + shards - 1 - shard) / shards);
  Outcome all;
  for (std::uint64_t seed = first + shard; seed < first + seeds; seed += shards, progress.step()) {
    const Outcome outcome = fleet().run(seed);
    EXPECT_EQ(join(outcome.wrongs), "") << "COPPICE_SEED=" << seed;
    all.steps += outcome.steps;
    all.committed += outcome.committed;
    all.unacknowledged += outcome.unacknowledged;
    all.crashes += outcome.crashes;
    all.late_puts += outcome.late_puts;
    all.restores += outcome.restores;
    all.checks += outcome.checks;
    all.forgets += outcome.forgets;
    all.rotations += outcome.rotations;
  }
  fmt::print("seeds {} to {}: {} steps, {} commits, {} restores, {} checks, {} forgets, {} rotations, {} late puts, {} processes died, {} gave up\n", first,
             first + seeds - 1, all.steps, all.committed, all.restores, all.checks, all.forgets, all.rotations, all.late_puts, all.crashes,
             all.unacknowledged);
}

TEST(Fleet, ASeedIsTheSameEveryTime) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const Outcome once = fleet().run(seed), again = fleet().run(seed);
    EXPECT_EQ(join(once.log), join(again.log)) << "COPPICE_SEED=" << seed;
  }
}

// The first seed that finds a store that breaks its promise.
std::optional<std::uint64_t> first_to_find(Canary canary) {
  for (std::uint64_t seed = 0; seed < 30; ++seed)
    if (!fleet().run(seed, canary).wrongs.empty()) return seed;
  return std::nullopt;
}

TEST(Fleet, AStoreThatAcknowledgesWhatItHasNotStoredIsFoundOut) { EXPECT_TRUE(first_to_find(Canary::kAcknowledgesLatePuts)); }

TEST(Fleet, AStoreThatLetsANameBeTakenTwiceIsFoundOut) { EXPECT_TRUE(first_to_find(Canary::kOverwrites)); }

}  // namespace
}  // namespace coppice::simulation
