// Who goes next. Several actors share one world; each calls step() before every operation on it, and one at a time is let through, chosen
// from a seed. Until the one that was let through comes back (or ends) nobody else moves, so what lies between two operations is
// undisturbed as well. An actor may be made to wait for any length: across whole sessions of the others, or until they have all ended.
//
// An actor may be a program with threads of its own. Its operations then come in the order that its threads bring about; the rest of
// the order is still the seed's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "foundation/mutex.h"

namespace coppice::simulation {

class Turns {
 public:
  Turns(std::uint64_t seed, std::size_t actors) : random_(seed), actors_(actors) {
    static constexpr unsigned kStay[] = {0, 50, 90, 97};   // of a hundred steps, how many are taken by whoever took the last
    stay_ = kStay[random_() % std::size(kStay)];
    pause_ = random_() % 2 ? random_() % 40 : 0;
  }

  // Runs one thread for each actor until all have ended. Later steps are anybody's, one at a time.
  void run(const std::function<void(std::size_t actor)>& life) {
    std::vector<std::jthread> threads;
    for (std::size_t actor = 0; actor < actors_.size(); ++actor)
      threads.emplace_back([this, actor, &life] {
        life(actor);
        MutexLock lock(mutex_);
        actors_[actor].ended = true;
        choose();
      });
    threads.clear();   // joins
    MutexLock lock(mutex_);
    over_ = true;
  }

  // `operation` is called when it is this actor's turn, with nothing else going on.
  template <class Operation>
  auto step(std::size_t actor, const Operation& operation) {
    {
      MutexLock lock(mutex_);
      if (over_) return operation();
      ++actors_[actor].waiting;
      choose();
      while (chosen_ != actor) actors_[actor].moved.wait(mutex_);
      chosen_ = kBusy;
      --actors_[actor].waiting;
      ++steps_;
    }
    auto result = operation();
    MutexLock lock(mutex_);
    chosen_ = kNobody;
    choose();
    return result;
  }

  std::uint64_t steps() {
    MutexLock lock(mutex_);
    return steps_;
  }

 private:
  static constexpr std::size_t kNobody = SIZE_MAX, kBusy = SIZE_MAX - 1;
  struct Actor {
    unsigned waiting = 0;            // threads
    CondVar moved;                   // it was chosen
    bool ended = false;
    std::uint64_t paused_until = 0;  // step
  };

  void choose() REQUIRES(mutex_) {
    if (chosen_ != kNobody) return;
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < actors_.size(); ++i) {
      if (actors_[i].ended) continue;
      if (actors_[i].waiting == 0) return;   // it is on its way
      ready.push_back(i);
    }
    if (ready.empty()) return;
    chosen_ = pick(ready);
    last_ = chosen_;
    actors_[chosen_].moved.notify_one();
  }

  std::size_t pick(std::vector<std::size_t> ready) REQUIRES(mutex_) {
    std::erase_if(ready, [&](std::size_t i) { return actors_[i].paused_until > steps_; });
    if (ready.empty()) {   // time passes until the first wakes
      for (std::size_t i = 0; i < actors_.size(); ++i)
        if (!actors_[i].ended) ready.push_back(i);
      return *std::ranges::min_element(ready, {}, [&](std::size_t i) { return actors_[i].paused_until; });
    }
    if (random_() % 100 < stay_ && std::ranges::find(ready, last_) != ready.end()) return last_;
    const std::size_t picked = ready[random_() % ready.size()];
    if (random_() % 1000 < pause_) {
      static constexpr std::uint64_t kLengths[] = {10, 60, 300, 100000};
      actors_[picked].paused_until = steps_ + 1 + random_() % kLengths[random_() % std::size(kLengths)];
      return pick(std::move(ready));
    }
    return picked;
  }

  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
  std::vector<Actor> actors_ GUARDED_BY(mutex_);
  std::size_t chosen_ GUARDED_BY(mutex_) = kNobody, last_ GUARDED_BY(mutex_) = kNobody;
  std::uint64_t steps_ GUARDED_BY(mutex_) = 0;
  bool over_ GUARDED_BY(mutex_) = false;
  unsigned stay_ = 0;
  std::uint64_t pause_ = 0;   // of a thousand changes of turn
};

}  // namespace coppice::simulation
