#include "hard_links.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace coppice::restore {

HardLinks::Seen HardLinks::see(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks,
                               Directory* directory) {
  InodeKey key = inode_key(entry, chunks);
  key.mount = directory->mount;
  if (const auto it = table_.find(key); it != table_.end()) {
    LinkTarget* target = it->second.target;
    if (!same_bytes(reader_, target->content, grouped_bytes(entry, chunks))) return {.target = nullptr, .first = true};
    if (--it->second.left == 0) {  // the table's reference becomes the caller's
      bytes_ -= bytes_of(*target);
      table_.erase(it);
    } else {
      target->references.fetch_add(1, std::memory_order_relaxed);
    }
    return {.target = target, .first = false};
  }
  if (bytes_ >= bytes_max_ && memory_.full()) {
    collector_.note_once("links", Where{directory, entry.name}.path(),
                         "too many hard-linked files at once for the memory allowed: from here on some names become "
                         "files of their own (said once)");
    return {.target = nullptr, .first = true};
  }
  auto* target = std::pmr::polymorphic_allocator<>(&pool_).new_object<LinkTarget>(entry.name, &pool_);
  target->directory = directory;
  target->flags = entry.flags;
  target->content = grouped_bytes(entry, chunks);
  target->references.store(2, std::memory_order_relaxed);
  DirectoryTree::hold(directory);
  bytes_ += bytes_of(*target);
  table_.emplace(key, Remembered{target, entry.links - 1});
  return {.target = target, .first = true};
}

void HardLinks::forget_all() {
  for (auto& [key, remembered] : table_) release(remembered.target);
  table_.clear();
}

void HardLinks::release(LinkTarget* target) {
  if (target->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // A run that was stopped makes nothing immutable: the next one could not go on.
  if (target->state.load(std::memory_order_acquire) == LinkTarget::State::kThere && (!collector_.stopped() || target->existed) &&
      (target->flags != 0 || target->existed)) {
    if (auto pin = directories_.pin(target->directory)) {
      auto fd = platform::open_at(pin->fd(), target->name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      struct stat st {};
      if (fd && ::fstat(fd->get(), &st) == 0 && st.st_dev == target->device && st.st_ino == target->inode)
        metadata_.apply_flags(fd->get(), {.flags = target->flags}, target->existed, Where{target->directory, target->name});
    }
  }
  directories_.release(target->directory);
  std::pmr::polymorphic_allocator<>(&pool_).delete_object(target);
}

}  // namespace coppice::restore
