// What changed from one snapshot to another. Walks both trees at once and skips what is the same node: reads no tree page of
// an unchanged directory, and data only of small files whose chunks differ though their sizes do not.
#pragma once

#include <functional>
#include <string_view>

#include "foundation/cancel.h"
#include "vault/reader.h"

namespace coppice::maintenance {

enum class ChangeKind { kAdded, kRemoved, kModified };

struct Change {
  std::string_view path;  // "/etc/fstab", raw bytes
  ChangeKind kind = ChangeKind::kModified;
  // Of a modified entry, what differs. A change of type is told once (type), with nothing of what hung below told as
  // modified: it is told as removed and added.
  bool type = false;
  bool content = false;                   // file bytes, link target, device number
  bool metadata = false;                  // mode, owner, extended attributes, flags, project
  bool times = false;                     // mtime
  const format::Entry* before = nullptr;  // null when added
  const format::Entry* after = nullptr;   // null when removed
};

// Changes come in path order, a directory before what is below it. Everything below an added or removed directory is
// told too. Content is compared by chunk ids, of small files (below 64 KiB) by the bytes where those differ and can be read: a file whose
// size, mtime and ctime are the same counts as the same even when its bytes were stored anew in other chunks. `page_bytes`: what the directories on the way down may hold.
using ChangeVisitor = std::function<Result<>(const Change& change)>;
Result<> diff_snapshots(vault::ChunkReader& reader, const format::SnapshotBody& before,
                        const format::SnapshotBody& after, const ChangeVisitor& each, const CancelToken& cancel,
                        std::uint64_t page_bytes = 16u << 20);

}  // namespace coppice::maintenance
