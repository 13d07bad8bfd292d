// One file's content as a stream, and the parts that it has in common with the tar stream.

#include <algorithm>
#include <array>
#include <thread>

#include "ordered_stream.h"
#include "platform/file.h"
#include "restore/restore.h"

namespace coppice::restore {

StreamLimits StreamLimits::within(std::uint64_t memory_bytes) {
  constexpr std::uint64_t kThreadBytes = 2 * format::kBlockPlainBytesMax;   // a block sealed, and unsealed
  constexpr std::uint64_t kThreadsMax = 8, kBlocksMax = 16;
  const std::uint64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::uint64_t threads = std::clamp<std::uint64_t>(memory_bytes / 2 / kThreadBytes, 1, std::min(cores, kThreadsMax));
  const std::uint64_t left = memory_bytes - std::min(memory_bytes, threads * kThreadBytes);
  return {.threads = static_cast<unsigned>(threads), .blocks = std::clamp<std::uint64_t>(left / format::kBlockPlainBytesMax, 2, kBlocksMax)};
}

Result<> stream_content(vault::ChunkReader& reader, Prefetcher& prefetcher, StreamQueue& queue,
                        const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  return vault::read_slices(
      reader, entry, chunks, [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
        StreamPart part{.slot = nullptr, .ref = {}, .offset = slice.offset, .length = slice.length};
        if (ref) {
          part.slot = prefetcher.request(ref->birth);
          if (!part.slot) return fail(ErrorKind::kCancelled, "stopped");
          part.ref = *ref;
        }
        if (!queue.push(std::move(part))) return fail(ErrorKind::kCancelled, "stopped");
        return {};
      });
}

Result<> write_content(vault::ChunkReader& reader, const vault::FoundEntry& file, int fd, const CancelToken& cancel, std::uint64_t memory_bytes) {
  if (file.entry.type != format::EntryType::kFile)
    return fail(ErrorKind::kInvalid, file.entry.name + " is not a regular file");
  if (file.entry.marks & format::kMarkUnreadable)
    return fail(ErrorKind::kNotFound,
                file.entry.name + " could not be read when it was backed up: it has no content here");
  const StreamLimits limits = StreamLimits::within(memory_bytes);
  Prefetcher prefetcher(reader, limits.threads, limits.blocks);
  StreamQueue queue(kStreamQueueItems);
  Result<> planned;
  std::thread producer([&] {
    planned = stream_content(reader, prefetcher, queue, file.entry, file.chunks);
    queue.close();
  });
  const auto consume = [&]() -> Result<> {
    static constexpr std::array<std::byte, 64 << 10> kZeros{};
    while (auto item = queue.pop()) {
      const StreamPart& part = std::get<StreamPart>(*item);
      if (cancel.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
      if (part.slot) TRY(platform::write_full(fd, TRY(part_bytes(part))));
      for (std::uint64_t left = part.slot ? 0 : part.length; left > 0;) {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left, kZeros.size()));
        TRY(platform::write_full(fd, ByteSpan(kZeros).first(n)));
        left -= n;
        if (cancel.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
      }
    }
    return {};
  };
  Result<> consumed = consume();
  prefetcher.stop();
  queue.close();
  while (queue.pop()) {
  }
  producer.join();
  if (!consumed) return consumed;
  return planned;
}

}  // namespace coppice::restore
