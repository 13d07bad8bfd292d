#include "storage/memory_store.h"

#include <fmt/format.h>

namespace coppice::storage {
namespace {

std::unexpected<Error> absent(std::string_view name) {
  return fail(ErrorKind::kNotFound, fmt::format("{}: no such object", name));
}

}  // namespace

Result<> MemoryStore::put(std::string_view name, ByteSpan bytes) {
  TRY(check_object_name(name));
  auto object = std::make_shared<const Bytes>(bytes.begin(), bytes.end());
  MutexLock lock(mutex_);
  if (!objects_.emplace(std::string(name), std::move(object)).second)
    return fail(ErrorKind::kConflict, fmt::format("{}: the name is taken", name));
  return {};
}

// Objects are replaced, never edited in place: what find() handed out stays as it was.
Result<std::shared_ptr<const Bytes>> MemoryStore::find(std::string_view name) {
  TRY(check_object_name(name));
  MutexLock lock(mutex_);
  const auto it = objects_.find(name);
  if (it == objects_.end()) return absent(name);
  return it->second;
}

Result<Bytes> MemoryStore::get(std::string_view name, std::uint64_t bytes_max) {
  const auto object = TRY(find(name));
  if (object->size() > bytes_max)
    return fail(ErrorKind::kInvalid, fmt::format("{}: {} bytes, more than {}", name, object->size(), bytes_max));
  return *object;
}

Result<> MemoryStore::get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) {
  const auto object = TRY(find(name));
  if (offset > object->size() || into.size() > object->size() - offset)
    return fail(ErrorKind::kCorrupt, fmt::format("{}: ends at {}, wanted {} bytes at {}", name, object->size(), into.size(), offset));
  if (!into.empty()) std::memcpy(into.data(), object->data() + offset, into.size());
  return {};
}

Result<std::uint64_t> MemoryStore::size(std::string_view name) { return TRY(find(name))->size(); }

Result<> MemoryStore::list(std::string_view prefix, const std::function<Result<>(const ObjectInfo&)>& each) {
  TRY(check_list_prefix(prefix));
  std::vector<ObjectInfo> found;
  {
    MutexLock lock(mutex_);
    for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it)
      found.push_back({it->first, it->second->size()});
  }
  for (const ObjectInfo& info : found) TRY(each(info));  // unlocked: `each` may use the store
  return {};
}

Result<> MemoryStore::remove(std::string_view name) {
  TRY(check_object_name(name));
  MutexLock lock(mutex_);
  if (const auto it = objects_.find(name); it != objects_.end()) objects_.erase(it);
  return {};
}

Result<std::uint64_t> MemoryStore::free_bytes() {
  return fail(ErrorKind::kUnsupported, "a memory store does not know its free space");
}

void MemoryStore::become(const MemoryStore& other) {
  decltype(objects_) objects;
  {
    MutexLock lock(other.mutex_);
    objects = other.objects_;
  }
  MutexLock lock(mutex_);
  objects_ = std::move(objects);
}

Result<> MemoryStore::tamper(std::string_view name, const std::function<void(Bytes&)>& edit) {
  MutexLock lock(mutex_);
  const auto it = objects_.find(name);
  if (it == objects_.end()) return absent(name);
  Bytes bytes = *it->second;
  edit(bytes);
  it->second = std::make_shared<const Bytes>(std::move(bytes));
  return {};
}

}  // namespace coppice::storage
