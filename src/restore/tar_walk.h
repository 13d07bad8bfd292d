// The tree of a snapshot as a stream of items in the order of a tar archive: a directory, what is in it (files first,
// then each subdirectory with all that is in it), nothing of it later: extractors set a directory's times when they
// leave it. Later names of an inode are links.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "inode_key.h"
#include "ordered_stream.h"

namespace coppice::restore {

// Runs on the producer's thread. Damage becomes an item of the stream; an error only where the root cannot be read or
// the consumer has gone.
class TarWalk {
 public:
  TarWalk(vault::ChunkReader& reader, Prefetcher& prefetcher, StreamQueue& queue)
      : reader_(reader), prefetcher_(prefetcher), queue_(queue) {}
  // `self`: the directory's own entry, if it is known.
  Result<> directory(const std::optional<format::Entry>& self, const std::optional<format::ChunkRef>& node);
  Result<> entry(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);  // no directory

 private:
  static constexpr std::size_t kLinksBytesMax = 40u << 20;
  struct Frame {
    std::optional<format::ChunkRef> node;
    std::size_t path_bytes = 0;
    std::uint32_t mount = 0;   // as in Directory
    std::vector<format::Entry> children;  // a batch of the subdirectories
    std::size_t next = 0;
    std::string resume_after;
    bool more = false, first_pass = true;
    std::string told;  // of what could not be read: each pass may meet it again
  };
  struct First {
    std::string path;
    std::uint32_t left;
    GroupedBytes content;
  };

  Result<> read(Frame& frame);
  Result<> push(StreamItem item);
  void join(const std::string& name);
  void find_regions(StreamEntry& item, const std::vector<format::ChunkRef>& chunks);
  std::string link_target(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);

  vault::ChunkReader& reader_;
  Prefetcher& prefetcher_;
  StreamQueue& queue_;
  std::string path_;  // of the frame's directory, without a leading slash
  std::vector<Frame> stack_;
  std::uint32_t mounts_ = 0;  // met so far
  std::unordered_map<InodeKey, First, InodeKeyHash> links_;
  std::size_t links_bytes_ = 0;
};

}  // namespace coppice::restore
