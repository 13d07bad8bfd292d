// A cache of things that are dear to make: least recently used out first, bounded by bytes, and two threads that want
// the same thing at once make it once (the second waits for the first: a "flight").
//
// Failures are not kept: those who waited get the error of the flight they waited for, the next one tries again.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "foundation/mutex.h"
#include "foundation/result.h"

namespace coppice::vault {

// Thread-safe. Values live on in the hands of those who hold them after the cache has let go.
template <class Key, class Value, class Hash>
class FlightCache {
 public:
  using Handle = std::shared_ptr<const Value>;
  struct Made {
    Handle value;
    std::uint64_t bytes = 0;
  };

  FlightCache(std::uint64_t bytes_max, unsigned shards) : shards_(shards ? shards : 1) {
    for (auto& shard : shards_) shard.bytes_max = bytes_max / shards_.size();
  }

  // `make` returns Result<Made>; it is called without a lock held.
  template <class Make>
  Result<Handle> get(const Key& key, const Make& make) {
    const std::size_t hash = Hash{}(key);
    Shard& shard = shards_[(hash >> 7) % shards_.size()];
    std::shared_ptr<Flight> flight;
    bool mine = false;
    {
      MutexLock lock(shard.mutex);
      if (auto it = shard.kept.find(key); it != shard.kept.end()) {
        shard.order.splice(shard.order.begin(), shard.order, it->second);
        return it->second->value;
      }
      auto [it, inserted] = shard.flights.try_emplace(key);
      if (inserted) it->second = std::make_shared<Flight>();
      flight = it->second;
      mine = inserted;
      if (!mine) {
        while (!flight->landed) flight->done.wait(shard.mutex);
        if (flight->error) return std::unexpected(*flight->error);
        return flight->value;
      }
    }
    Result<Made> made = make();
    MutexLock lock(shard.mutex);
    shard.flights.erase(key);
    flight->landed = true;
    flight->done.notify_all();
    if (!made) {
      flight->error = made.error();
      return std::unexpected(std::move(made).error());
    }
    flight->value = made->value;
    shard.order.push_front({key, made->value, made->bytes});
    shard.kept.emplace(key, shard.order.begin());
    shard.bytes += made->bytes;
    while (shard.bytes > shard.bytes_max && !shard.order.empty()) {
      shard.bytes -= shard.order.back().bytes;
      shard.kept.erase(shard.order.back().key);
      shard.order.pop_back();
    }
    return std::move(made->value);
  }

 private:
  struct Flight {
    CondVar done;
    bool landed = false;
    Handle value;
    std::optional<Error> error;
  };
  struct Kept {
    Key key;
    Handle value;
    std::uint64_t bytes;
  };
  struct Shard {
    Mutex mutex;
    std::uint64_t bytes_max = 0;
    std::uint64_t bytes GUARDED_BY(mutex) = 0;
    std::list<Kept> order GUARDED_BY(mutex);  // most recently used first
    std::unordered_map<Key, typename std::list<Kept>::iterator, Hash> kept GUARDED_BY(mutex);
    std::unordered_map<Key, std::shared_ptr<Flight>, Hash> flights GUARDED_BY(mutex);
  };
  std::vector<Shard> shards_;
};

}  // namespace coppice::vault
