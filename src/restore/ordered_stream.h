// The plan of an ordered output: entries and their content, produced by one thread that walks the tree, consumed by the
// one that writes. Blocks are fetched meanwhile (prefetch.h), so that reading the vault, opening blocks and writing
// overlap.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "format/tree.h"
#include "prefetch.h"

namespace coppice::restore {

struct DataRegion {  // of a file with holes
  std::uint64_t at, length;
};
struct StreamEntry {    // the content parts that follow are this entry's
  std::string path;     // below what is streamed, without a leading slash; "." for that directory itself
  std::string link_to;  // a later name of an inode: the path of the first
  format::Entry entry;  // without slices and extents
  bool sparse = false;
  std::vector<DataRegion> regions;  // sparse: all that is no hole
};
struct StreamPart {  // `length` bytes; zeros when there is no slot
  Prefetcher::SlotPtr slot;
  format::ChunkRef ref;
  std::uint32_t offset = 0;
  std::uint64_t length = 0;
};
struct StreamProblem {  // what could not be read of the tree
  std::string path;     // as an entry's
  std::string what;
};
using StreamItem = std::variant<StreamEntry, StreamPart, StreamProblem>;
using StreamQueue = BoundedQueue<StreamItem>;

// The bytes of a part that has a slot; valid while the slot is held.
inline Result<ByteSpan> part_bytes(const StreamPart& part) {
  const auto& block = part.slot->wait();
  if (!block) return std::unexpected<Error>(block.error());
  const ByteSpan chunk = TRY((*block)->chunk(part.ref));
  if (part.offset > chunk.size() || part.length > chunk.size() - part.offset)
    return fail(ErrorKind::kCorrupt, "the snapshot names bytes past the end of a chunk");
  return chunk.subspan(part.offset, static_cast<std::size_t>(part.length));
}

// Pushes the parts of a file's content. kCancelled when the consumer has gone.
Result<> stream_content(vault::ChunkReader& reader, Prefetcher& prefetcher, StreamQueue& queue,
                        const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);

inline constexpr std::size_t kStreamQueueItems = 1024;

// What a stream with `memory_bytes` sets up: threads that read and open blocks, and blocks on the way or waiting to be written.
struct StreamLimits {
  static StreamLimits within(std::uint64_t memory_bytes);
  unsigned threads;
  std::size_t blocks;
};

}  // namespace coppice::restore
