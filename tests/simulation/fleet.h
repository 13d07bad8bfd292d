// Several hosts and their owner at work on one vault, all from one seed: backups by a reader and by a writer that cannot read, two runs of
// one host at once, forgets, restores, checks, rotations of the data key. Processes die at any store operation, hosts lose their state or get
// an old copy of it back, their clocks jump.
//
// What is promised, whatever happened: a snapshot that was acknowledged is there; each that is there restores exactly; a forget that was
// acknowledged holds; check finds no damage; a process fails only if the seed did something to it that allows this; and when all is calm
// again, every host's next backup succeeds and restores.
#pragma once

#include <memory>

#include "keys/key_file.h"
#include "keys/slot.h"
#include "restore/restore.h"
#include "simulation/sea.h"
#include "support/temp_directory.h"
#include "vault/create.h"
#include "vault/vault.h"

namespace coppice::simulation {

using Contents = std::map<std::string, std::string>;   // path below a source -> what is there
Contents read_contents(const std::string& directory);

using Wrongs = std::vector<std::string>;

struct Outcome {
  Wrongs wrongs;
  std::vector<std::string> log;     // what happened, in order; the same for the same seed
  std::uint64_t steps = 0;
  unsigned committed = 0, unacknowledged = 0, crashes = 0, late_puts = 0, restores = 0, checks = 0, forgets = 0, rotations = 0;
};

// A vault with its keys, made once; every run works on a copy.
class Fleet {
 public:
  static constexpr std::size_t kHosts = 3;   // two readers, and between them a writer
  Fleet();
  Outcome run(std::uint64_t seed, Canary canary = Canary::kNone);

 private:
  friend class Run;
  platform::SeededEntropy entropy_{1};
  storage::MemoryStore start_;
  vault::NewVault vault_;
  std::vector<Bytes> key_files_;
};

}  // namespace coppice::simulation
