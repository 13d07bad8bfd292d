// Goal: of any number of claimants each gets a slot of its own, and nothing that stands in a slot stops the ones after it.
#include "packs/session.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <thread>

#include "storage/directory_store.h"
#include "storage/fault_store.h"
#include "storage/memory_store.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::packs {
namespace {

Bytes claim_by(int who, format::SessionId id) {
  Bytes bytes = to_bytes(as_bytes("claim "));
  bytes.push_back(std::byte(who));
  bytes.push_back(std::byte(id.slot));
  return bytes;
}
Result<> is_claim(format::SessionId, ByteSpan object) {
  if (as_text(object).starts_with("claim ")) return {};
  return fail(ErrorKind::kUnauthentic, "scribble");
}
Result<ClaimedSlot> claim(storage::ObjectStore& store, int who = 0, format::SessionId after = {}) {
  return claim_slot(store, after, [&](format::SessionId id) { return claim_by(who, id); }, is_claim);
}

TEST(ClaimSlot, CountsUpFromZero) {
  storage::MemoryStore store;
  for (std::uint32_t i = 0; i < 5; ++i) {
    const auto claimed = claim(store);
    ASSERT_OK(claimed);
    EXPECT_EQ(claimed->session, (format::SessionId{0, i}));
    EXPECT_TRUE(claimed->notices.empty());
  }
}

TEST(ClaimSlot, ClaimantsAtTheSameTimeGetDifferentSlots) {
  storage::MemoryStore store;
  constexpr int kClaimants = 8;
  std::vector<Result<ClaimedSlot>> claimed(kClaimants);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kClaimants; ++i) threads.emplace_back([&, i] { claimed[static_cast<std::size_t>(i)] = claim(store, i); });
  }
  std::set<std::uint32_t> slots;
  for (const auto& one : claimed) {
    ASSERT_OK(one);
    slots.insert(one->session.slot);
  }
  EXPECT_EQ(slots.size(), std::size_t{kClaimants});
  EXPECT_EQ(*slots.rbegin(), std::uint32_t{kClaimants - 1});
}

TEST(ClaimSlot, GarbageInTheNewestSlotIsPassedOverAndTold) {
  storage::MemoryStore store;
  ASSERT_OK(claim(store));
  ASSERT_OK(store.put(format::slot_object({0, 1}), as_bytes("scribble")));
  const auto claimed = claim(store);
  ASSERT_OK(claimed);
  EXPECT_EQ(claimed->session.slot, 2u);
  ASSERT_EQ(claimed->notices.size(), 1u);
  EXPECT_NE(claimed->notices[0].find("generations/0/slots/1"), std::string::npos);
  EXPECT_EQ(claim(store)->session.slot, 3u);

  ASSERT_OK(store.put(format::slot_object({0, 4}), Bytes(format::kControlObjectBytesMax + 1)));
  EXPECT_EQ(claim(store)->session.slot, 5u);
}

TEST(ClaimSlot, WhatIsThereAndCannotBeReadIsPassedOverAndTold) {
  class BadSector : public storage::MemoryStore {
   public:
    Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override {
      if (name == format::slot_object({0, 1})) return fail(ErrorKind::kUnavailable, "Input/output error");
      return storage::MemoryStore::get(name, bytes_max);
    }
  } store;
  ASSERT_OK(claim(store));
  ASSERT_OK(claim(store));
  const auto claimed = claim(store);
  ASSERT_OK(claimed);
  EXPECT_EQ(claimed->session.slot, 2u);
  ASSERT_EQ(claimed->notices.size(), 1u);
  EXPECT_EQ(claimed->notices[0], "generations/0/slots/1 cannot be read, and was passed over: Input/output error");
}

TEST(ClaimSlot, WhatIsNoFileIsPassedOverAndTold) {
  testing::TempDirectory temp;
  const auto store = storage::create_directory_store(temp / "vault");
  ASSERT_OK(store);
  ASSERT_OK(claim(**store));
  const std::string slot = temp / ("vault/" + format::slot_object({0, 1}));
  ASSERT_EQ(mkfifo(slot.c_str(), 0600), 0);
  const auto claimed = claim(**store);
  ASSERT_OK(claimed);
  EXPECT_EQ(claimed->session.slot, 2u);
  const auto again = claim(**store);
  ASSERT_OK(again);
  EXPECT_EQ(again->session.slot, 3u);
}

TEST(ClaimSlot, AListThatNamesWhatIsNotThereIsNoEvidence) {
  class Liar : public storage::MemoryStore {
   public:
    Result<> list(std::string_view, const std::function<Result<>(const storage::ObjectInfo&)>& each) override {
      return each({format::slot_object({0, 7}), 10});
    }
  } store;
  const auto claimed = claim(store);
  ASSERT_OK(claimed);
  EXPECT_EQ(claimed->session.slot, 0u);
}

// A vandal who can only add must not keep the sessions to come from being the newest.
TEST(ClaimSlot, WhatStandsBeyondAFreeSlotMovesNobody) {
  storage::MemoryStore store;
  ASSERT_OK(claim(store));
  for (const std::uint32_t far : {7u, UINT32_MAX - 1, UINT32_MAX}) ASSERT_OK(store.put(format::slot_object({0, far}), claim_by(1, {0, far})));
  EXPECT_EQ(claim(store)->session.slot, 1u);
  EXPECT_EQ(claim(store)->session.slot, 2u);
  EXPECT_EQ(find_free_session(store, {}), (format::SessionId{0, 3}));
  EXPECT_EQ(claim(store, 0, {0, 5})->session.slot, 5u);   // behind a commit that is known
}

TEST(ClaimSlot, ANumberWhoseClaimWasLostIsNotTakenAgain) {
  for (const std::string& trace : {std::string("snapshots/0.1"), std::string("packs/0/1/0"), std::string("trees/0/1/0"), std::string("index/0/1/0")}) {
    storage::MemoryStore store;
    for (int i = 0; i < 3; ++i) ASSERT_OK(claim(store));
    ASSERT_OK(store.put(trace, as_bytes("something")));
    ASSERT_OK(store.remove(format::slot_object({0, 1})));
    EXPECT_EQ(claim(store)->session.slot, 3u) << trace;
    ASSERT_OK(store.remove(format::slot_object({0, 2})));
    ASSERT_OK(store.remove(format::slot_object({0, 3})));
    const auto after = claim(store);   // of session 1 there are traces, of 2 none
    ASSERT_OK(after);
    EXPECT_EQ(after->session.slot, 2u);
    ASSERT_EQ(after->notices.size(), 1u);
    EXPECT_NE(after->notices[0].find("generations/0/slots/1 cannot be read"), std::string::npos);
  }
}

TEST(ClaimSlot, ALostAcknowledgementIsStillMyClaim) {
  storage::MemoryStore inner;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    storage::FaultStore store(inner, {.seed = seed, .lost_acknowledgement = 500});
    ASSERT_OK(claim(store, static_cast<int>(seed)));
  }
  EXPECT_EQ(claim(inner)->session.slot, 20u);
}

TEST(ClaimSlot, AStoreThatDoesNotAnswerIsNoFreeSlot) {
  storage::MemoryStore inner;
  storage::FaultStore store(inner, {.seed = 1, .unavailable = 1000});
  EXPECT_FAILS(claim(store), kUnavailable);
}

}  // namespace
}  // namespace coppice::packs
