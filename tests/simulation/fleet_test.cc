// Hundreds of seeds of simulation/fleet.h. COPPICE_SEED=n runs one and tells what happened, COPPICE_SOAK=1 runs thousands
// (COPPICE_SOAK=n: n of them), COPPICE_SEEDS_FROM=n begins elsewhere.
#include "simulation/fleet.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

namespace coppice::simulation {
namespace {

std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string join(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += "\n  " + line;
  return all;
}

// Hosts flush what they write, thousands of times over: where there is room, to memory.
void work_in_memory() {
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
    const Outcome outcome = fleet().run(number("COPPICE_SEED", 0));
    fmt::print("{}\n", join(outcome.log));
    EXPECT_EQ(join(outcome.wrongs), "");
    return;
  }
  std::uint64_t seeds = 200;
  if (std::getenv("COPPICE_SOAK")) seeds = std::max<std::uint64_t>(number("COPPICE_SOAK", 1), 5000);
  const std::uint64_t first = number("COPPICE_SEEDS_FROM", 0);
  Outcome all;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
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
