// The contract of object_store.h as one suite, run unchanged by every store and wrapper: see contract_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/object_store.h"
#include "support/result.h"

namespace coppice::storage {

// A store under test, with whatever must live as long as it does.
struct StoreUnderTest {
  std::shared_ptr<void> keeps;
  ObjectStore* store = nullptr;
};
struct StoreKind {
  std::string name;
  std::function<StoreUnderTest()> make;  // a new, empty one
};
inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

inline std::set<std::string> names_of(ObjectStore& store, std::string_view prefix) {
  std::set<std::string> names;
  EXPECT_OK(store.list(prefix, [&](const ObjectInfo& info) -> Result<> {
    EXPECT_TRUE(names.insert(info.name).second) << "named twice: " << info.name;
    return {};
  }));
  return names;
}

class StoreContract : public ::testing::TestWithParam<StoreKind> {
 protected:
  StoreContract() : under_test_(GetParam().make()) {}
  ObjectStore& store() { return *under_test_.store; }
  std::string text_of(std::string_view name) {
    const auto bytes = store().get(name, 1 << 20);
    EXPECT_OK(bytes) << name;
    return bytes ? std::string(as_text(*bytes)) : "";
  }

 private:
  StoreUnderTest under_test_;
};

TEST_P(StoreContract, WhatWasPutIsGot) {
  ASSERT_OK(store().put("vault.json", as_bytes("top")));
  ASSERT_OK(store().put("packs/0/3/1", as_bytes("deep")));
  ASSERT_OK(store().put("empty", {}));
  EXPECT_EQ(text_of("vault.json"), "top");
  EXPECT_EQ(text_of("packs/0/3/1"), "deep");
  EXPECT_EQ(text_of("empty"), "");
  EXPECT_EQ(store().size("packs/0/3/1").value(), 4u);
  EXPECT_EQ(store().size("empty").value(), 0u);
}

TEST_P(StoreContract, ALargeObjectSurvivesUnchanged) {
  Bytes bytes(5 * 1024 * 1024 + 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  ASSERT_OK(store().put("large", bytes));
  const auto got = store().get("large", bytes.size());
  ASSERT_OK(got);
  EXPECT_TRUE(equal(*got, bytes));
}

TEST_P(StoreContract, ATakenNameIsAConflictWhateverTheBytes) {
  ASSERT_OK(store().put("a/b", as_bytes("first")));
  EXPECT_FAILS(store().put("a/b", as_bytes("second")), kConflict);
  EXPECT_FAILS(store().put("a/b", as_bytes("first")), kConflict);
  EXPECT_EQ(text_of("a/b"), "first");
}

TEST_P(StoreContract, WhatIsAbsentIsNotFound) {
  ASSERT_OK(store().put("a/b", as_bytes("x")));
  Bytes into(1);
  for (const char* name : {"b", "a", "a/c", "a/b/c", "no/such/place"}) {
    EXPECT_FAILS(store().get(name, 10), kNotFound) << name;
    EXPECT_FAILS(store().get_range(name, 0, into), kNotFound) << name;
    EXPECT_FAILS(store().size(name), kNotFound) << name;
    EXPECT_OK(store().remove(name)) << name;
  }
  EXPECT_EQ(text_of("a/b"), "x");
}

TEST_P(StoreContract, AnObjectAboveTheLimitIsRefusedAndAHugeLimitAllocatesNothing) {
  ASSERT_OK(store().put("ten", as_bytes("0123456789")));
  EXPECT_FAILS(store().get("ten", 9), kInvalid);
  EXPECT_FAILS(store().get("ten", 0), kInvalid);
  EXPECT_EQ(store().get("ten", 10).value().size(), 10u);
  EXPECT_EQ(store().get("ten", std::numeric_limits<std::uint64_t>::max()).value().size(), 10u);
}

TEST_P(StoreContract, RangesAreExactOrCorrupt) {
  ASSERT_OK(store().put("ten", as_bytes("0123456789")));
  const auto range = [&](std::uint64_t offset, std::size_t size) -> Result<std::string> {
    Bytes into(size, std::byte{'?'});
    TRY(store().get_range("ten", offset, into));
    return std::string(as_text(into));
  };
  EXPECT_EQ(range(0, 10).value(), "0123456789");
  EXPECT_EQ(range(3, 4).value(), "3456");
  EXPECT_EQ(range(9, 1).value(), "9");
  EXPECT_EQ(range(10, 0).value(), "");
  EXPECT_EQ(range(4, 0).value(), "");
  EXPECT_FAILS(range(9, 2), kCorrupt);
  EXPECT_FAILS(range(10, 1), kCorrupt);
  EXPECT_FAILS(range(11, 0), kCorrupt);
  EXPECT_FAILS(range(std::numeric_limits<std::uint64_t>::max(), 1), kCorrupt);
  EXPECT_FAILS(range(std::numeric_limits<std::uint64_t>::max() - 3, 8), kCorrupt);
  EXPECT_FAILS(range(std::uint64_t{1} << 63, 1), kCorrupt);
}

TEST_P(StoreContract, NamesOutsideTheRuleAreInvalidEverywhere) {
  using namespace std::string_literals;
  const std::string bad[] = {"",       "/",       "/a",    "a/",    "a//b",    ".",     "..",       "a/..",   "../a",   "a/./b",
                             ".hidden", "a/.tmp-1", "a b",  "a\nb",  "a\0b"s,   "\xc3\xa4", "a\\b",     "a:b",    "a+b",    "~",
                             std::string(256, 'a'), std::string(200, 'a') + "/" + std::string(60, 'b')};
  Bytes into(1);
  for (const std::string& name : bad) {
    EXPECT_FAILS(store().put(name, as_bytes("x")), kInvalid) << name;
    EXPECT_FAILS(store().get(name, 10), kInvalid) << name;
    EXPECT_FAILS(store().get_range(name, 0, into), kInvalid) << name;
    EXPECT_FAILS(store().size(name), kInvalid) << name;
    EXPECT_FAILS(store().remove(name), kInvalid) << name;
  }
  EXPECT_TRUE(names_of(store(), "").empty());
}

TEST_P(StoreContract, NamesAtTheEdgeOfTheRuleWork) {
  std::string deep = "d";
  while (deep.size() < 254) deep += "/d";
  const std::string good[] = {std::string(255, 'a'), deep, "A-Z_a.z0", "-", "_", "a..b", "0/1.2", "x."};
  for (const std::string& name : good) EXPECT_OK(store().put(name, as_bytes(name))) << name;
  for (const std::string& name : good) EXPECT_EQ(text_of(name), name);
  EXPECT_EQ(names_of(store(), ""), std::set<std::string>(std::begin(good), std::end(good)));
}

TEST_P(StoreContract, ListNamesExactlyThePrefixWithSizes) {
  EXPECT_TRUE(names_of(store(), "").empty());
  for (const char* name : {"vault.json", "packs/0/3/1", "packs/0/3/2", "packs/0/30/1", "packs/0/4/1", "packs0", "trees/0/3/1"})
    ASSERT_OK(store().put(name, as_bytes(name)));
  using Names = std::set<std::string>;
  EXPECT_EQ(names_of(store(), "packs/0/3/"), (Names{"packs/0/3/1", "packs/0/3/2"}));
  EXPECT_EQ(names_of(store(), "packs/0/").size(), 4u);
  EXPECT_EQ(names_of(store(), "packs/").size(), 4u);
  EXPECT_EQ(names_of(store(), "").size(), 7u);
  EXPECT_TRUE(names_of(store(), "packs/1/").empty());
  EXPECT_TRUE(names_of(store(), "vault.json/").empty());
  EXPECT_OK(store().list("", [](const ObjectInfo& info) -> Result<> {
    EXPECT_EQ(info.size, info.name.size());
    return {};
  }));
}

TEST_P(StoreContract, ListRefusesPrefixesOutsideTheRule) {
  const auto nothing = [](const ObjectInfo&) -> Result<> { return {}; };
  for (const char* prefix : {"packs", "/", "../", "a//", "./", "a/../", ".hidden/"})
    EXPECT_FAILS(store().list(prefix, nothing), kInvalid) << prefix;
}

TEST_P(StoreContract, ListStopsAtTheCallersError) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(store().put("n" + std::to_string(i), {}));
  int calls = 0;
  EXPECT_FAILS(store().list("", [&](const ObjectInfo&) -> Result<> {
    ++calls;
    return fail(ErrorKind::kCancelled, "enough");
  }), kCancelled);
  EXPECT_EQ(calls, 1);
}

TEST_P(StoreContract, TheListCallbackMayUseTheStore) {
  for (int i = 0; i < 20; ++i) ASSERT_OK(store().put("old/" + std::to_string(i), as_bytes("x")));
  ASSERT_OK(store().list("old/", [&](const ObjectInfo& info) -> Result<> {
    TRY(store().get(info.name, 10));
    return store().remove(info.name);
  }));
  EXPECT_TRUE(names_of(store(), "").empty());
}

TEST_P(StoreContract, RemovedIsAbsentAndTheNameIsFree) {
  ASSERT_OK(store().put("a/b", as_bytes("one")));
  ASSERT_OK(store().remove("a/b"));
  ASSERT_OK(store().remove("a/b"));
  EXPECT_FAILS(store().get("a/b", 10), kNotFound);
  EXPECT_TRUE(names_of(store(), "").empty());
  ASSERT_OK(store().put("a/b", as_bytes("two")));
  EXPECT_EQ(text_of("a/b"), "two");
}

TEST_P(StoreContract, OfRacingPutsExactlyOneWins) {
  constexpr int kThreads = 8, kRounds = 12;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "race/" + std::to_string(round) + "/slot";
    std::atomic<int> winners{0}, winner{-1};
    std::atomic<bool> go{false};
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
          const std::string mine(1000, static_cast<char>('a' + t));
          while (!go) std::this_thread::yield();
          const auto put = store().put(name, as_bytes(mine));
          if (put) {
            ++winners;
            winner = t;
          } else {
            EXPECT_FAILS(put, kConflict);
          }
        });
      go = true;
    }
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(text_of(name), std::string(1000, static_cast<char>('a' + winner)));
  }
}

TEST_P(StoreContract, ManyThreadsPutListAndReadAtOnce) {
  constexpr int kThreads = 6, kEach = 15;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const std::string name = "packs/" + std::to_string(i % 3) + "/" + std::to_string(t) + "-" + std::to_string(i);
          EXPECT_OK(store().put(name, as_bytes(name)));
          EXPECT_OK(store().list("packs/", [](const ObjectInfo& info) -> Result<> {
            EXPECT_EQ(info.size, info.name.size()) << info.name;  // never seen half written
            return {};
          }));
          const auto got = store().get(name, 100);
          EXPECT_OK(got);
          if (got) {
            EXPECT_EQ(as_text(*got), name);
          }
        }
      });
  }
  EXPECT_EQ(names_of(store(), "packs/").size(), static_cast<std::size_t>(kThreads * kEach));
}

TEST_P(StoreContract, PutOrConfirmTellsMineFromAnothers) {
  EXPECT_OK(put_or_confirm(store(), "a", as_bytes("mine")));
  EXPECT_OK(put_or_confirm(store(), "a", as_bytes("mine")));
  EXPECT_FAILS(put_or_confirm(store(), "a", as_bytes("hers")), kConflict);
  EXPECT_FAILS(put_or_confirm(store(), "a", as_bytes("min")), kConflict);
  EXPECT_FAILS(put_or_confirm(store(), "a", as_bytes("mine!")), kConflict);
  EXPECT_FAILS(put_or_confirm(store(), "a", {}), kConflict);
  EXPECT_FAILS(put_or_confirm(store(), "../a", as_bytes("mine")), kInvalid);
  EXPECT_EQ(text_of("a"), "mine");
}

TEST_P(StoreContract, FreeSpaceIsKnownOrUnsupported) {
  const auto free = store().free_bytes();
  if (!free) {
    EXPECT_FAILS(free, kUnsupported);
  }
}

TEST_P(StoreContract, DescribesItself) { EXPECT_FALSE(store().describe().empty()); }

}  // namespace coppice::storage
