// Goal: a session that is told to stop stops soon, keeps what it has in hand, and commits nothing; a rate is kept in small slices.
#include "vault/writer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "rate_limit.h"
#include "storage/directory_store.h"
#include "storage/fault_store.h"
#include "support/result.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using testing::noise;
using testing::TempDirectory;
using testing::TestVault;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

// Chunks of one MiB, each another, eight of which have nothing in common.
Result<> put_megabytes(Writer& writer, int count, const CancelToken& cancel) {
  static const std::string random = noise(1, 8u << 20);
  for (int i = 0; i < count && !cancel.cancelled(); ++i) {
    Bytes chunk = to_bytes(as_bytes(random).subspan(static_cast<std::size_t>(i % 8) << 20, 1u << 20));
    store_le<std::uint32_t>(chunk, 0, static_cast<std::uint32_t>(i));
    TRY(writer.put_data(share(std::move(chunk)), std::make_shared<ChunkTicket>()));
  }
  return {};
}

// Only workers hash and seal; or the sequencer does, too.
constexpr WriterOptions kAlone{.workers = 1, .memory_bytes = 64u << 20}, kHelping{.workers = 2, .memory_bytes = 192u << 20};
int more_than_queues_hold(const WriterOptions& options) { return options.workers == 1 ? 80 : 220; }

TEST(Writer, ACancelEndsTheWaitForTheRateAndKeepsWhatIsInHand) {
  for (WriterOptions options : {kAlone, kHelping}) {
    TestVault v;
    TempDirectory state;
    const auto vault = v.open(format::Role::kReader, state.path());
    CancelToken cancel;
    options.rate_limit = 1000;   // an hour for 4 MB
    options.cancel = &cancel;
    auto writer = Writer::begin(**vault, "host /", options);
    ASSERT_OK(writer);
    std::jthread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      cancel.cancel();
    });
    const auto began = Clock::now();
    ASSERT_OK(put_megabytes(**writer, more_than_queues_hold(options), cancel));
    ASSERT_OK((*writer)->suspend());
    EXPECT_LT(seconds_since(began), 20.0);
    const std::uint64_t stored = (*writer)->stats().bytes_stored;
    EXPECT_GT(stored, 4u << 20);
    writer->reset();
    EXPECT_TRUE((*vault)->snapshots()->snapshots.empty());
    EXPECT_EQ((*Writer::begin(**vault, "host /", kAlone))->stats().bytes_adopted, stored);
  }
}

TEST(Writer, AStoreThatFailsEndsTheSessionWhoeverMeetsIt) {
  for (const WriterOptions& options : {kAlone, kHelping}) {
    TestVault v;
    TempDirectory state;
    std::int64_t begun = 0;
    for (const bool fails : {false, true}) {
      storage::FaultStore store(v.store, {.seed = 5, .crash_at = fails ? begun + 5 : -1});
      const auto vault = Vault::open(store, v.bundle(format::Role::kReader), state.path(), v.clock, v.entropy);
      ASSERT_OK(vault);
      auto writer = Writer::begin(**vault, "host /", options);
      ASSERT_OK(writer);
      begun = store.operations();
      if (!fails) continue;   // ends without a commit
      EXPECT_FAILS(put_megabytes(**writer, more_than_queues_hold(options), {}), kCancelled);
      EXPECT_FAILS((*writer)->drain(), kCancelled);
      EXPECT_FAILS((*writer)->commit({.host = "host", .sources = {"/"}}), kCancelled);
    }
    EXPECT_TRUE(v.objects("snapshots/").empty());
  }
}

TEST(Writer, ASessionThatIsGivenUpStopsWithoutStoringWhatWaits) {
  for (const WriterOptions& options : {kAlone, kHelping}) {
    TestVault v;
    TempDirectory state;
    const auto vault = v.open(format::Role::kReader, state.path());
    {
      auto writer = Writer::begin(**vault, "host /", options);
      ASSERT_OK(writer);
      ASSERT_OK(put_megabytes(**writer, 10, {}));
    }
    EXPECT_TRUE(v.objects("snapshots/").empty());
    EXPECT_OK(Writer::begin(**vault, "host /", options));
  }
}

TEST(Writer, ACancelBeforeTheCommitCommitsNothing) {
  TestVault v;
  TempDirectory state;
  const auto vault = v.open(format::Role::kReader, state.path());
  CancelToken cancel;
  {
    auto writer = Writer::begin(**vault, "host /", {.workers = 1, .memory_bytes = 64u << 20, .cancel = &cancel});
    ASSERT_OK(writer);
    ASSERT_OK(put_megabytes(**writer, 3, cancel));
    cancel.cancel();
    EXPECT_FAILS((*writer)->commit({.host = "host", .sources = {"/"}}), kCancelled);
  }
  EXPECT_TRUE(v.objects("snapshots/").empty());
  EXPECT_GT((*Writer::begin(**vault, "host /", {.workers = 1, .memory_bytes = 64u << 20}))->stats().bytes_adopted, 3u << 20);
}

TEST(RateLimit, LetsThroughWhatFlowsIn) {
  const std::atomic<bool> stop{false};
  RateLimit rate(10u << 20, nullptr, stop);
  const auto began = Clock::now();
  for (int i = 0; i < 5; ++i) rate.wait_for(1u << 20);
  EXPECT_GT(seconds_since(began), 0.45);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto later = Clock::now();
  for (int i = 0; i < 2; ++i) rate.wait_for(1u << 20);
  EXPECT_GT(seconds_since(later), 0.15);   // idle time saves up nothing
}

TEST(RateLimit, APackLeavesInSlices) {
  TempDirectory directory;
  const auto store = storage::create_directory_store(directory / "store");
  ASSERT_OK(store);
  std::vector<std::size_t> slices;
  const std::string bytes = noise(1, (3u << 20) + 5);
  ASSERT_OK(storage::put_or_confirm(**store, "packs/0/1/2", as_bytes(bytes), [&](std::size_t n) { slices.push_back(n); }));
  EXPECT_EQ(slices, (std::vector<std::size_t>{1u << 20, 1u << 20, 1u << 20, 5}));
  EXPECT_TRUE(equal(*(*store)->get("packs/0/1/2", 4u << 20), as_bytes(bytes)));
}

}  // namespace
}  // namespace coppice::vault
