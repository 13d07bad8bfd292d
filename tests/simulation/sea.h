// The store as several processes see it across a bad network: puts that are refused and arrive later, lists that lack what is new, whoever
// put it. What becomes of a call depends on the seed and the step at which it is made, and every change is written down.
#pragma once

#include <fmt/format.h>

#include <deque>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "simulation/turns.h"
#include "storage/memory_store.h"

namespace coppice::simulation {

// A store that breaks its promise, for a simulation that must find it out.
enum class Canary { kNone, kAcknowledgesLatePuts, kOverwrites };

struct Weather {
  unsigned late_put = 0, stale_list = 0;   // of a thousand
  Canary canary = Canary::kNone;
};

class Sea {
 public:
  Sea(storage::MemoryStore& objects, Turns& turns, std::uint64_t seed, Weather weather)
      : objects_(objects), turns_(turns), random_(seed), weather_(weather) {}

  storage::MemoryStore& objects() { return objects_; }

  // Every second of the puts that are still on the way arrives; with kAll, every one.
  enum class Which { kSome, kAll };
  void settle(Which which) {
    std::deque<Late> still;
    for (Late& late : late_) {
      if (which == Which::kAll || random_() % 2)
        arrive(late);
      else
        still.push_back(std::move(late));
    }
    late_ = std::move(still);
  }

  void set_calm() { weather_ = {}; }
  const std::vector<std::string>& log() const { return log_; }
  void note(std::string line) { log_.push_back(std::move(line)); }
  // As the log has it: a page is named by its content, which holds random bytes that the threads of a program take in any order.
  static std::string_view called(std::string_view name) { return name.starts_with("lists/") ? "lists/..." : name; }
  std::uint64_t late_puts() const { return late_puts_; }
  std::uint64_t rosters_arrived() const { return rosters_arrived_; }   // of late puts

 private:
  friend class Shore;
  struct Late {
    std::uint64_t due = 0;
    std::string name;
    Bytes bytes;
  };

  void arrive(const Late& late) {
    const bool stored = store(late.name, late.bytes).has_value();
    if (stored && late.name.starts_with("roster/")) ++rosters_arrived_;
    log_.push_back(fmt::format("      late put {} {}", called(late.name), stored ? "arrives" : "arrives where the name is taken"));
  }
  void begin_step() {
    ++step_;
    for (std::size_t i = 0; i < late_.size();) {
      if (late_[i].due > step_) {
        ++i;
        continue;
      }
      const Late late = std::move(late_[i]);
      late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
      arrive(late);
    }
  }
  Result<> store(const std::string& name, ByteSpan bytes) {
    Result<> put = objects_.put(name, bytes);
    if (!put && put.error().kind() == ErrorKind::kConflict && weather_.canary == Canary::kOverwrites) {
      TRY(objects_.remove(name));
      put = objects_.put(name, bytes);
    }
    if (put) newest_.push_back(name);
    return put;
  }
  Result<> put(std::string_view name, ByteSpan bytes) {
    if (random_() % 1000 >= weather_.late_put) return store(std::string(name), bytes);
    TRY(storage::check_object_name(name));
    ++late_puts_;
    static constexpr std::uint64_t kDelays[] = {5, 40, 400, 100000};
    late_.push_back({step_ + 1 + random_() % kDelays[random_() % std::size(kDelays)], std::string(name), to_bytes(bytes)});
    if (weather_.canary == Canary::kAcknowledgesLatePuts) return {};
    return fail(ErrorKind::kUnavailable, "injected: no answer yet");
  }
  std::set<std::string, std::less<>> left_out() {
    if (newest_.empty() || random_() % 1000 >= weather_.stale_list) return {};
    const std::size_t count = 1 + random_() % std::min<std::size_t>(newest_.size(), random_() % 2 ? 4 : 40);
    return {newest_.end() - static_cast<std::ptrdiff_t>(count), newest_.end()};
  }

  storage::MemoryStore& objects_;
  Turns& turns_;
  std::mt19937_64 random_;   // used by whoever has the turn
  Weather weather_;
  std::uint64_t step_ = 0, late_puts_ = 0, rosters_arrived_ = 0;
  std::deque<Late> late_;
  std::vector<std::string> newest_, log_;
};

// The sea from where one actor stands. Thread-safe, as a store must be.
class Shore : public storage::ObjectStore {
 private:
  template <class Operation>
  auto step(const Operation& operation) {
    return sea_.turns_.step(actor_, [&] {
      sea_.begin_step();
      return operation();
    });
  }

 public:
  // `on_put` sees every put before it is done.
  using OnPut = std::function<void(std::string_view name, ByteSpan bytes)>;
  Shore(Sea& sea, std::size_t actor, OnPut on_put) : sea_(sea), actor_(actor), on_put_(std::move(on_put)) {}

  Result<> put(std::string_view name, ByteSpan bytes) override {
    return step([&] {
      on_put_(name, bytes);
      Result<> put = sea_.put(name, bytes);
      sea_.note(fmt::format("{:3}   put {} {}", actor_, Sea::called(name), put ? "" : error_kind_name(put.error().kind())));
      return put;
    });
  }
  Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override {
    return step([&] { return sea_.objects_.get(name, bytes_max); });
  }
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override {
    return step([&] { return sea_.objects_.get_range(name, offset, into); });
  }
  Result<std::uint64_t> size(std::string_view name) override {
    return step([&] { return sea_.objects_.size(name); });
  }
  // The callback runs outside the turn: it may use the store.
  Result<> list(std::string_view prefix, const std::function<Result<>(const storage::ObjectInfo&)>& each) override {
    std::vector<storage::ObjectInfo> found;
    TRY(step([&]() -> Result<> {
      const auto left_out = sea_.left_out();
      return sea_.objects_.list(prefix, [&](const storage::ObjectInfo& info) -> Result<> {
        if (!left_out.contains(info.name)) found.push_back(info);
        return {};
      });
    }));
    for (const storage::ObjectInfo& info : found) TRY(each(info));
    return {};
  }
  Result<> remove(std::string_view name) override {
    return step([&] {
      sea_.note(fmt::format("{:3}   remove {}", actor_, name));
      return sea_.objects_.remove(name);
    });
  }
  Result<std::uint64_t> free_bytes() override { return sea_.objects_.free_bytes(); }
  std::string describe() const override { return "the sea"; }

 private:
  Sea& sea_;
  const std::size_t actor_;
  const OnPut on_put_;
};

}  // namespace coppice::simulation
