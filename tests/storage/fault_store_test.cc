#include "storage/fault_store.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>
#include <vector>

#include "foundation/encoding.h"
#include "storage/memory_store.h"
#include "support/result.h"

namespace coppice::storage {
namespace {

const Bytes kObject(100, std::byte{0x5a});

// What each of many calls answered, as text.
std::vector<std::string> history(FaultPlan plan) {
  MemoryStore inner;
  FaultStore store(inner, plan);
  std::vector<std::string> answers;
  const auto note = [&](const auto& result) {
    answers.emplace_back(result ? "ok" : error_kind_name(result.error().kind()));
  };
  for (int i = 0; i < 200; ++i) {
    const std::string name = "o/" + std::to_string(i);
    note(store.put(name, kObject));
    const auto got = store.get(name, 1000);
    answers.push_back(got ? render_hex(*got) : std::string(error_kind_name(got.error().kind())));
    std::string listed;
    note(store.list("o/", [&](const ObjectInfo& info) -> Result<> {
      listed += info.name;
      return {};
    }));
    answers.push_back(listed);
    if (i % 3 == 0) note(store.remove(name));
  }
  return answers;
}

FaultPlan busy_plan(std::uint64_t seed) {
  return {.seed = seed, .lost_acknowledgement = 100, .late_put = 50, .unavailable = 50, .no_space = 50, .stale_list = 100, .flipped_bit = 100};
}

TEST(FaultStore, TheSameSeedGivesTheSameFaults) {
  EXPECT_EQ(history(busy_plan(1)), history(busy_plan(1)));
  EXPECT_NE(history(busy_plan(1)), history(busy_plan(2)));
}

TEST(FaultStore, CountsCallsFromZero) {
  MemoryStore inner;
  FaultStore store(inner, {.crash_at = 2});
  EXPECT_EQ(store.operations(), 0);
  EXPECT_OK(store.put("a", kObject));
  EXPECT_OK(store.get("a", 1000));
  EXPECT_FALSE(store.crashed());
  EXPECT_FAILS(store.size("a"), kCancelled);
  EXPECT_TRUE(store.crashed());
  EXPECT_EQ(store.operations(), 3);
}

TEST(FaultStore, AfterTheCrashNothingAnswersAndNothingChanges) {
  MemoryStore inner;
  FaultStore store(inner, {.crash_at = 1});
  ASSERT_OK(store.put("kept", kObject));
  Bytes into(1);
  EXPECT_FAILS(store.get("kept", 1000), kCancelled);
  EXPECT_FAILS(store.put("late", kObject), kCancelled);
  EXPECT_FAILS(store.remove("kept"), kCancelled);
  EXPECT_FAILS(store.get_range("kept", 0, into), kCancelled);
  EXPECT_FAILS(store.size("kept"), kCancelled);
  EXPECT_FAILS(store.list("", [](const ObjectInfo&) -> Result<> { return {}; }), kCancelled);
  EXPECT_FAILS(store.free_bytes(), kCancelled);
  EXPECT_TRUE(equal(inner.get("kept", 1000).value(), kObject));
  EXPECT_FAILS(inner.get("late", 1000), kNotFound);
}

enum class Outcome { kAbsent, kTorn, kWhole };

std::map<Outcome, int> outcomes_of_put_at_crash(CrashOutcome outcome) {
  std::map<Outcome, int> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MemoryStore inner;
    FaultStore store(inner, {.seed = seed, .crash_at = 1, .crash_outcome = outcome});
    EXPECT_OK(store.put("acknowledged", kObject));
    EXPECT_FAILS(store.put("last", kObject), kCancelled);
    EXPECT_TRUE(equal(inner.get("acknowledged", 1000).value(), kObject));
    const auto got = inner.get("last", 1000);
    if (!got) {
      ++outcomes[Outcome::kAbsent];
    } else if (equal(*got, kObject)) {
      ++outcomes[Outcome::kWhole];
    } else {
      EXPECT_LT(got->size(), kObject.size());
      EXPECT_TRUE(equal(*got, ByteSpan(kObject).first(got->size())));
      ++outcomes[Outcome::kTorn];
    }
  }
  return outcomes;
}

TEST(FaultStore, ThePutAtTheCrashIsAbsentOrWhole) {
  auto outcomes = outcomes_of_put_at_crash(CrashOutcome::kBySeed);
  EXPECT_GT(outcomes[Outcome::kAbsent], 50);
  EXPECT_GT(outcomes[Outcome::kWhole], 50);
  EXPECT_EQ(outcomes[Outcome::kTorn], 0);
}

TEST(FaultStore, ThePutAtTheCrashIsAsAskedFor) {
  EXPECT_EQ(outcomes_of_put_at_crash(CrashOutcome::kNotDone), (std::map<Outcome, int>{{Outcome::kAbsent, 200}}));
  EXPECT_EQ(outcomes_of_put_at_crash(CrashOutcome::kDone), (std::map<Outcome, int>{{Outcome::kWhole, 200}}));
  EXPECT_EQ(outcomes_of_put_at_crash(CrashOutcome::kTorn), (std::map<Outcome, int>{{Outcome::kTorn, 200}}));
}

TEST(FaultStore, TheRemoveAtTheCrashIsDoneOrNot) {
  int done = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MemoryStore inner;
    FaultStore store(inner, {.seed = seed, .crash_at = 1});
    EXPECT_OK(store.put("a", kObject));
    EXPECT_FAILS(store.remove("a"), kCancelled);
    if (!inner.size("a")) ++done;
  }
  EXPECT_GT(done, 50);
  EXPECT_LT(done, 150);
}

TEST(FaultStore, ALostAcknowledgementStoresAndIsConfirmedByReading) {
  MemoryStore inner;
  FaultStore store(inner, {.lost_acknowledgement = 1000});
  EXPECT_FAILS(store.put("a", kObject), kUnavailable);
  EXPECT_TRUE(equal(inner.get("a", 1000).value(), kObject));
  EXPECT_OK(put_or_confirm(store, "b", kObject));
  ASSERT_OK(inner.put("c", as_bytes("another's")));
  EXPECT_FAILS(put_or_confirm(store, "c", kObject), kConflict);
}

TEST(FaultStore, ALatePutIsRefusedAndAppearsWholeAFewCallsLater) {
  MemoryStore inner;
  FaultStore store(inner, {.late_put = 1000});
  EXPECT_FAILS(store.put("a", kObject), kUnavailable);
  EXPECT_FAILS(inner.size("a"), kNotFound);
  EXPECT_FAILS(store.put("../b", kObject), kInvalid);
  int calls = 0;
  while (!store.size("a") && calls < 100) ++calls;
  EXPECT_LT(calls, 13);
  EXPECT_TRUE(equal(inner.get("a", 1000).value(), kObject));
}

TEST(FaultStore, ALatePutNeverReplacesWhatWonTheName) {
  MemoryStore inner;
  {
    FaultStore store(inner, {.late_put = 1000});
    EXPECT_FAILS(store.put("a", kObject), kUnavailable);
    ASSERT_OK(inner.put("a", as_bytes("another's")));
    for (int i = 0; i < 20; ++i) ASSERT_OK(store.size("a"));
  }
  EXPECT_EQ(as_text(inner.get("a", 1000).value()), "another's");
}

TEST(FaultStore, APutOnTheWayAtTheCrashIsAbsentOrWhole) {
  int whole = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MemoryStore inner;
    FaultStore store(inner, {.seed = seed, .crash_at = 1, .late_put = 1000});
    EXPECT_FAILS(store.put("a", kObject), kUnavailable);
    EXPECT_FAILS(store.size("a"), kCancelled);   // whatever its fate, it is decided now
    const auto got = inner.get("a", 1000);
    EXPECT_FAILS(store.size("a"), kCancelled);
    EXPECT_EQ(inner.size("a").has_value(), got.has_value());
    if (!got) continue;
    EXPECT_TRUE(equal(*got, kObject));
    ++whole;
  }
  EXPECT_GT(whole, 50);
  EXPECT_LT(whole, 150);
}

TEST(FaultStore, RefusalsStoreNothing) {
  MemoryStore inner;
  FaultStore full(inner, {.no_space = 1000}), away(inner, {.unavailable = 1000});
  EXPECT_FAILS(full.put("a", kObject), kExhausted);
  EXPECT_FAILS(put_or_confirm(full, "a", kObject), kExhausted);
  EXPECT_FAILS(away.put("a", kObject), kUnavailable);
  EXPECT_FAILS(put_or_confirm(away, "a", kObject), kUnavailable);
  EXPECT_FAILS(away.list("", [](const ObjectInfo&) -> Result<> { return {}; }), kUnavailable);
  EXPECT_FAILS(inner.size("a"), kNotFound);
}

TEST(FaultStore, AFlippedBitIsOneBit) {
  MemoryStore inner;
  FaultStore store(inner, {.flipped_bit = 1000});
  ASSERT_OK(store.put("a", kObject));
  ASSERT_OK(store.put("empty", {}));
  const auto wrong_bits = [](ByteSpan bytes) {
    int count = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) count += std::popcount(std::to_integer<unsigned>(bytes[i] ^ kObject[i]));
    return count;
  };
  std::set<std::string> versions;
  for (int i = 0; i < 20; ++i) {
    const Bytes got = store.get("a", 1000).value();
    EXPECT_EQ(wrong_bits(got), 1);
    versions.insert(render_hex(got));
    Bytes part(10);
    ASSERT_OK(store.get_range("a", 5, part));
    EXPECT_EQ(wrong_bits(part), 1);
  }
  EXPECT_GT(versions.size(), 10u);
  EXPECT_EQ(store.get("empty", 10).value().size(), 0u);
}

TEST(FaultStore, AStaleListLeavesOutTheNewestOnly) {
  MemoryStore inner;
  FaultStore store(inner, {.stale_list = 1000});
  ASSERT_OK(inner.put("old", kObject));
  for (int i = 0; i < 20; ++i) ASSERT_OK(store.put("n" + std::to_string(100 + i), kObject));
  std::vector<std::string> names;
  ASSERT_OK(store.list("", [&](const ObjectInfo& info) -> Result<> {
    names.push_back(info.name);
    return {};
  }));
  EXPECT_LT(names.size(), 21u);
  EXPECT_GE(names.size(), 13u);
  for (std::size_t i = 0; i + 1 < names.size(); ++i) EXPECT_EQ(names[i], "n" + std::to_string(100 + i));  // the oldest of ours
  EXPECT_EQ(names.back(), "old");
}

TEST(FaultStore, ACrashAmongManyThreadsKeepsWhatWasAcknowledged) {
  MemoryStore inner;
  FaultStore store(inner, {.seed = 3, .crash_at = 150});
  std::vector<std::set<std::string>> acknowledged(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < acknowledged.size(); ++t)
      threads.emplace_back([&, t] {
        for (int i = 0;; ++i) {
          const std::string name = std::to_string(t) + "/" + std::to_string(i);
          if (!store.put(name, kObject)) return;
          acknowledged[t].insert(name);
        }
      });
  }
  for (const auto& names : acknowledged)
    for (const auto& name : names) EXPECT_TRUE(equal(inner.get(name, 1000).value(), kObject)) << name;
}

TEST(MemoryStore, ACopyStaysAsItWas) {
  MemoryStore store, kept;
  ASSERT_OK(store.put("a", as_bytes("abc")));
  kept.become(store);
  ASSERT_OK(store.remove("a"));
  ASSERT_OK(store.put("b", kObject));
  EXPECT_EQ(as_text(kept.get("a", 10).value()), "abc");
  EXPECT_FAILS(kept.size("b"), kNotFound);
  store.become(kept);
  EXPECT_FAILS(store.size("b"), kNotFound);
}

TEST(MemoryStore, TamperEditsWhatLaterReadsSee) {
  MemoryStore store;
  ASSERT_OK(store.put("a", as_bytes("abc")));
  ASSERT_OK(store.tamper("a", [](Bytes& bytes) { bytes[0] = std::byte{'x'}; }));
  EXPECT_EQ(as_text(store.get("a", 10).value()), "xbc");
  EXPECT_FAILS(store.tamper("b", [](Bytes&) {}), kNotFound);
}

}  // namespace
}  // namespace coppice::storage
