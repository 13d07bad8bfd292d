// Every call takes a number; what happens to it is a pure function of seed, number and kind of fault.
#include "storage/fault_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <set>
#include <vector>

namespace coppice::storage {
namespace {

enum class Fault : std::uint64_t {
  kCrashOutcome = 1,
  kTornLength,
  kLostAcknowledgement,
  kLatePut,
  kLateArrival,
  kLateOutcome,
  kUnavailable,
  kNoSpace,
  kStaleList,
  kStaleCount,
  kFlippedBit,
  kFlippedPlace,
};

constexpr std::size_t kNewestKept = 8;  // how far behind a stale list may be
constexpr std::uint64_t kLateCallsMax = 12;

// splitmix64's finaliser: neighbouring numbers get unrelated values.
std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::unexpected<Error> crashed_error() { return fail(ErrorKind::kCancelled, "crashed"); }

void flip_one_bit(MutableByteSpan bytes, std::uint64_t roll) {
  if (bytes.empty()) return;
  bytes[roll / 8 % bytes.size()] ^= static_cast<std::byte>(1u << (roll % 8));
}

}  // namespace

// A put that was refused but is on its way.
struct LatePut {
  std::int64_t operation = 0, due = 0;
  std::string name;
  Bytes bytes;
};

struct FaultStore::State {
  State(ObjectStore& inner_store, FaultPlan fault_plan) : inner(inner_store), plan(fault_plan) {}
  ~State() { settle_late(); }

  ObjectStore& inner;
  const FaultPlan plan;
  std::atomic<std::int64_t> next_operation{0};
  Mutex mutex;
  std::deque<std::string> newest GUARDED_BY(mutex);
  std::vector<LatePut> late GUARDED_BY(mutex);

  std::uint64_t roll(std::int64_t operation, Fault fault) const {
    return mix(mix(plan.seed + static_cast<std::uint64_t>(fault) * 0x100000001b3u) + static_cast<std::uint64_t>(operation));
  }
  bool strikes(std::int64_t operation, Fault fault, std::uint32_t per_thousand) const {
    return per_thousand != 0 && roll(operation, fault) % 1000 < per_thousand;
  }
  bool crashed() const { return plan.crash_at >= 0 && next_operation.load() > plan.crash_at; }

  // The number of the next call. Late puts that are due arrive before it is looked at; at the crash their fate is settled.
  std::int64_t next() {
    const std::int64_t operation = next_operation.fetch_add(1);
    if (plan.late_put == 0) return operation;
    if (plan.crash_at >= 0 && operation >= plan.crash_at) {
      settle_late();
    } else {
      for (const LatePut& put : take_late([&](const LatePut& p) { return p.due <= operation; })) (void)inner.put(put.name, put.bytes);
    }
    return operation;
  }

  // What a call that does not write starts with: its number, or the fault that it meets.
  Result<std::int64_t> begin() {
    const std::int64_t operation = next();
    if (plan.crash_at >= 0 && operation >= plan.crash_at) return crashed_error();
    if (strikes(operation, Fault::kUnavailable, plan.unavailable)) return fail(ErrorKind::kUnavailable, "injected: unavailable");
    return operation;
  }

  // A dead process gets no answer, however the call went.
  template <class T>
  Result<T> answer(Result<T> result) const {
    if (crashed()) return crashed_error();
    return result;
  }

  bool done_at_crash(std::int64_t operation) const {
    return plan.crash_outcome == CrashOutcome::kDone ||
           (plan.crash_outcome != CrashOutcome::kNotDone && roll(operation, Fault::kCrashOutcome) % 2 == 1);
  }
  void crash_during_put(std::int64_t operation, std::string_view name, ByteSpan bytes) {
    if (plan.crash_outcome == CrashOutcome::kTorn) {
      if (!bytes.empty()) (void)inner.put(name, bytes.first(roll(operation, Fault::kTornLength) % bytes.size()));
    } else if (done_at_crash(operation)) {
      (void)inner.put(name, bytes);
    }
  }

  void put_late(std::int64_t operation, std::string_view name, ByteSpan bytes) {
    const auto due = operation + 1 + static_cast<std::int64_t>(roll(operation, Fault::kLateArrival) % kLateCallsMax);
    MutexLock lock(mutex);
    late.push_back({operation, due, std::string(name), to_bytes(bytes)});
  }
  std::vector<LatePut> take_late(const std::function<bool(const LatePut&)>& which) {
    std::vector<LatePut> taken;
    MutexLock lock(mutex);
    std::erase_if(late, [&](LatePut& put) {
      if (!which(put)) return false;
      taken.push_back(std::move(put));
      return true;
    });
    return taken;
  }
  void settle_late() {
    for (const LatePut& put : take_late([](const LatePut&) { return true; }))
      if (roll(put.operation, Fault::kLateOutcome) % 2) (void)inner.put(put.name, put.bytes);
  }

  void remember_newest(std::string_view name) {
    MutexLock lock(mutex);
    newest.emplace_back(name);
    if (newest.size() > kNewestKept) newest.pop_front();
  }

  std::set<std::string, std::less<>> left_out(std::int64_t operation) {
    MutexLock lock(mutex);
    if (newest.empty()) return {};
    const std::size_t count = 1 + roll(operation, Fault::kStaleCount) % newest.size();
    return {newest.end() - static_cast<std::ptrdiff_t>(count), newest.end()};
  }
};

FaultStore::FaultStore(ObjectStore& inner, FaultPlan plan) : state_(std::make_shared<State>(inner, plan)) {}

Result<> FaultStore::put(std::string_view name, ByteSpan bytes) {
  State& state = *state_;
  const std::int64_t operation = state.next();
  if (state.plan.crash_at >= 0 && operation >= state.plan.crash_at) {
    if (operation == state.plan.crash_at) state.crash_during_put(operation, name, bytes);
    return crashed_error();
  }
  if (state.strikes(operation, Fault::kUnavailable, state.plan.unavailable))
    return fail(ErrorKind::kUnavailable, "injected: unavailable");
  if (state.strikes(operation, Fault::kNoSpace, state.plan.no_space))
    return fail(ErrorKind::kExhausted, "injected: no space left");
  if (state.strikes(operation, Fault::kLatePut, state.plan.late_put)) {
    TRY(check_object_name(name));
    state.put_late(operation, name, bytes);
    return fail(ErrorKind::kUnavailable, "injected: no answer yet");
  }
  TRY(state.answer(state.inner.put(name, bytes)));
  state.remember_newest(name);
  if (state.strikes(operation, Fault::kLostAcknowledgement, state.plan.lost_acknowledgement))
    return fail(ErrorKind::kUnavailable, "injected: acknowledgement lost");
  return {};
}

Result<Bytes> FaultStore::get(std::string_view name, std::uint64_t bytes_max) {
  const std::int64_t operation = TRY(state_->begin());
  Bytes bytes = TRY(state_->answer(state_->inner.get(name, bytes_max)));
  if (state_->strikes(operation, Fault::kFlippedBit, state_->plan.flipped_bit))
    flip_one_bit(bytes, state_->roll(operation, Fault::kFlippedPlace));
  return bytes;
}

Result<> FaultStore::get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) {
  const std::int64_t operation = TRY(state_->begin());
  TRY(state_->answer(state_->inner.get_range(name, offset, into)));
  if (state_->strikes(operation, Fault::kFlippedBit, state_->plan.flipped_bit))
    flip_one_bit(into, state_->roll(operation, Fault::kFlippedPlace));
  return {};
}

Result<std::uint64_t> FaultStore::size(std::string_view name) {
  TRY(state_->begin());
  return state_->answer(state_->inner.size(name));
}

Result<> FaultStore::list(std::string_view prefix, const std::function<Result<>(const ObjectInfo&)>& each) {
  const std::int64_t operation = TRY(state_->begin());
  if (!state_->strikes(operation, Fault::kStaleList, state_->plan.stale_list))
    return state_->answer(state_->inner.list(prefix, each));
  const auto left_out = state_->left_out(operation);
  return state_->answer(state_->inner.list(prefix, [&](const ObjectInfo& info) -> Result<> {
    if (left_out.contains(info.name)) return {};
    return each(info);
  }));
}

Result<> FaultStore::remove(std::string_view name) {
  State& state = *state_;
  const std::int64_t operation = state.next();
  if (state.plan.crash_at >= 0 && operation >= state.plan.crash_at) {
    if (operation == state.plan.crash_at && state.done_at_crash(operation)) (void)state.inner.remove(name);
    return crashed_error();
  }
  if (state.strikes(operation, Fault::kUnavailable, state.plan.unavailable))
    return fail(ErrorKind::kUnavailable, "injected: unavailable");
  return state.answer(state.inner.remove(name));
}

Result<std::uint64_t> FaultStore::free_bytes() {
  TRY(state_->begin());
  return state_->answer(state_->inner.free_bytes());
}

std::string FaultStore::describe() const { return state_->inner.describe() + " (with faults)"; }

std::int64_t FaultStore::operations() const { return state_->next_operation.load(); }

bool FaultStore::crashed() const { return state_->crashed(); }

}  // namespace coppice::storage
