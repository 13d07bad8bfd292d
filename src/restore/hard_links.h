// Names of one inode. The first name that the walk meets is restored as a file; every later one is linked to it when it
// is there.
//
// An inode is remembered until as many names were seen as it had links; those of which names lie outside of what is
// restored, to the end. Past their share of the memory they lie in a file without a name in the target. Where that cannot
// be made, a further inode is not remembered (its names become files of their own; that is told).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <unordered_map>

#include "directory.h"
#include "inode_key.h"
#include "spill_memory.h"

namespace coppice::restore {

// The first name. Alive while the table, its plan record or a later name's record refers to it.
struct LinkTarget {
  LinkTarget(std::string_view text, std::pmr::memory_resource* memory) : name(text, memory) {}
  enum class State : std::uint8_t { kPending, kThere, kFailed };
  Directory* directory = nullptr;  // holds a reference
  const std::pmr::string name;
  std::atomic<State> state{State::kPending};
  // Valid when kThere: what the name led to when it was finished. linkat() goes by name, so the result is compared with
  // these.
  dev_t device = 0;
  ino_t inode = 0;
  // Immutable and append-only files take no further links: their flags wait until the last name is there.
  std::uint32_t flags = 0;
  bool existed = false;
  GroupedBytes content;
  std::atomic<std::uint32_t> references{1};
};

class HardLinks {
 public:
  HardLinks(vault::ChunkReader& reader, DirectoryTree& directories, Metadata& metadata, Collector& collector,
            platform::Fd spill_directory, std::uint64_t bytes_max)
      : reader_(reader), directories_(directories), metadata_(metadata), collector_(collector), bytes_max_(bytes_max),
        memory_(std::move(spill_directory), bytes_max) {}

  // The walking thread asks for each entry that may_be_linked(). Either a new target (`first`), for the record that
  // restores it, or the one to link to; null when the bound is reached, or when the content is another than that of the
  // inode with these numbers: then it is a file of its own. The caller owns one reference.
  struct Seen {
    LinkTarget* target = nullptr;
    bool first = false;
  };
  Seen see(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks, Directory* directory);
  // Drops the table's references. Nothing more will be seen.
  void forget_all();
  // From any thread. The last reference puts the flags on, unless the run was stopped and the file is new.
  void release(LinkTarget* target);

 private:
  struct Remembered {
    LinkTarget* target;
    std::uint32_t left;  // names not seen yet
  };
  static std::uint64_t bytes_of(const LinkTarget& t) { return sizeof(LinkTarget) + t.name.size() + 96; }

  vault::ChunkReader& reader_;
  DirectoryTree& directories_;
  Metadata& metadata_;
  Collector& collector_;
  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  SpillMemory memory_;
  std::pmr::synchronized_pool_resource pool_{{.max_blocks_per_chunk = 4096, .largest_required_pool_block = 1024}, &memory_};
  std::pmr::unordered_map<InodeKey, Remembered, InodeKeyHash> table_{&pool_};
};

}  // namespace coppice::restore
