// Goal: a session that is told to stop stops soon, keeps what it has in hand, and commits nothing; a rate is kept in small slices.
#include "vault/writer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "rate_limit.h"
#include "storage/directory_store.h"
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

// More than the queues hold, so that put_data waits for the store.
Result<> put_megabytes(Writer& writer, int count, const CancelToken& cancel) {
  for (int i = 0; i < count && !cancel.cancelled(); ++i)
    TRY(writer.put_data(share(to_bytes(as_bytes(noise(static_cast<std::uint64_t>(i), 1u << 20)))), std::make_shared<ChunkTicket>()));
  return {};
}

TEST(Writer, ACancelEndsTheWaitForTheRateAndKeepsWhatIsInHand) {
  TestVault v;
  TempDirectory state;
  const auto vault = v.open(format::Role::kReader, state.path());
  CancelToken cancel;
  const WriterOptions options{.workers = 1, .memory_bytes = 64u << 20, .rate_limit = 1000, .cancel = &cancel};   // an hour for 4 MB
  auto writer = Writer::begin(**vault, "host /", options);
  ASSERT_OK(writer);
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    cancel.cancel();
  });
  const auto began = Clock::now();
  ASSERT_OK(put_megabytes(**writer, 60, cancel));
  ASSERT_OK((*writer)->suspend());
  EXPECT_LT(seconds_since(began), 20.0);
  const std::uint64_t stored = (*writer)->stats().bytes_stored;
  EXPECT_GT(stored, 4u << 20);
  writer->reset();
  EXPECT_TRUE((*vault)->snapshots()->snapshots.empty());
  EXPECT_EQ((*Writer::begin(**vault, "host /", {.workers = 1, .memory_bytes = 64u << 20}))->stats().bytes_adopted, stored);
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
