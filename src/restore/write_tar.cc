// A snapshot as a tar stream: one thread walks the tree, others read blocks ahead, the caller's writes.

#include <fmt/format.h>

#include <optional>
#include <thread>

#include "collector.h"
#include "restore/restore.h"
#include "tar_walk.h"
#include "tar_writer.h"

namespace coppice::restore {

Result<RestoreReport> write_tar(vault::ChunkReader& reader, const format::SnapshotBody& body, std::string_view sub_path,
                                int fd, RestoreProgress& progress, const CancelToken& cancel, std::uint64_t memory_bytes) {
  while (sub_path.ends_with('/')) sub_path.remove_suffix(1);
  std::optional<vault::FoundEntry> found;
  if (!sub_path.empty()) {
    found =
        TRY(within(vault::find_entry(reader, body, sub_path), fmt::format("looking for {} in the snapshot", sub_path)));
  } else {
    progress.files_total = body.files;
    progress.bytes_total = body.bytes;
  }
  const bool directory = !found || found->entry.type == format::EntryType::kDirectory;
  std::string prefix(sub_path);
  if (!prefix.empty() && prefix.front() != '/') prefix.insert(0, "/");
  if (!directory) prefix.resize(prefix.rfind('/'));
  Collector collector(progress, cancel);
  TarWriter writer(fd, std::move(prefix), collector);
  TRY(writer.open());
  const StreamLimits limits = StreamLimits::within(memory_bytes);
  Prefetcher prefetcher(reader, limits.threads, limits.blocks);
  StreamQueue queue(kStreamQueueItems);
  Result<> planned;
  std::thread producer([&] {
    TarWalk walk(reader, prefetcher, queue);
    const bool partial = body.root_entry && (body.root_entry->marks & format::kMarkPartial) != 0;
    if (!found)
      planned = walk.directory(partial ? std::nullopt : body.root_entry, body.root);
    else if (directory)
      planned = walk.directory(found->entry, found->entry.child);
    else
      planned = walk.entry(found->entry, found->chunks);
    queue.close();
  });
  Result<> written;
  while (auto item = queue.pop()) {
    written = cancel.cancelled() ? fail(ErrorKind::kCancelled, "cancelled") : writer.item(*item);
    if (!written) break;
  }
  prefetcher.stop();
  queue.close();
  while (queue.pop()) {
  }
  producer.join();
  TRY(std::move(written));
  TRY(std::move(planned));
  TRY(writer.finish());
  return collector.take();
}

}  // namespace coppice::restore
