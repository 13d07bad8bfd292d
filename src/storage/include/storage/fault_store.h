// Wraps a store and makes it fail as real ones do, from one seed: the same seed and the same calls give the same faults.
#pragma once

#include <cstdint>
#include <memory>

#include "foundation/mutex.h"
#include "storage/object_store.h"

namespace coppice::storage {

// What the crash does with the put or remove that it meets. A torn put leaves a prefix of its bytes, as a store that breaks its
// promise would (a remove is then as by the seed).
enum class CrashOutcome { kBySeed, kNotDone, kDone, kTorn };

struct FaultPlan {
  std::uint64_t seed = 0;
  // The operation (counted from 0 over every call) at which the process "dies": that call and all later ones are kCancelled
  // ("crashed"). A put or remove at that point is done or not done: by the seed, or as crash_outcome says. A call that is under way
  // in another thread then may be done, too, but is not acknowledged. What was acknowledged stays, whole. -1: never.
  std::int64_t crash_at = -1;
  CrashOutcome crash_outcome = CrashOutcome::kBySeed;
  // Probabilities in 1/1000 of each call:
  std::uint32_t lost_acknowledgement = 0;  // a put stores but answers kUnavailable
  std::uint32_t late_put = 0;              // a put answers kUnavailable while its object is still on the way: it appears, whole, some
                                           // calls later; at the crash, or when this wrapper goes, by the seed it appears or is lost
  std::uint32_t unavailable = 0;           // any call answers kUnavailable and does nothing (EIO)
  std::uint32_t no_space = 0;              // a put answers kExhausted and stores nothing
  std::uint32_t stale_list = 0;            // a list leaves out the newest objects put through this wrapper
  std::uint32_t flipped_bit = 0;           // a get returns one wrong bit
};

// `inner` must outlive the store. Thread-safe; but which call gets which number, and so which fault, is then the scheduler's.
class FaultStore : public ObjectStore {
 public:
  FaultStore(ObjectStore& inner, FaultPlan plan);
  Result<> put(std::string_view name, ByteSpan bytes) override;
  Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override;
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override;
  Result<std::uint64_t> size(std::string_view name) override;
  Result<> list(std::string_view prefix, const std::function<Result<>(const ObjectInfo&)>& each) override;
  Result<> remove(std::string_view name) override;
  Result<std::uint64_t> free_bytes() override;
  std::string describe() const override;

  std::int64_t operations() const;         // calls so far
  bool crashed() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace coppice::storage
