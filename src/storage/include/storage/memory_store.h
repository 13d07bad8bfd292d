// Objects in memory, for tests and simulation.
#pragma once

#include <map>

#include "foundation/mutex.h"
#include "storage/object_store.h"

namespace coppice::storage {

class MemoryStore : public ObjectStore {
 public:
  Result<> put(std::string_view name, ByteSpan bytes) override;
  Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override;
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override;
  Result<std::uint64_t> size(std::string_view name) override;
  Result<> list(std::string_view prefix, const std::function<Result<>(const ObjectInfo&)>& each) override;
  Result<> remove(std::string_view name) override;
  Result<std::uint64_t> free_bytes() override;
  std::string describe() const override { return "memory"; }
  // For tests: becomes what `other` is now. Objects are shared, so it costs little.
  void become(const MemoryStore& other);
  // For tests: changes an object behind everyone's back; `edit` gets the bytes to alter.
  Result<> tamper(std::string_view name, const std::function<void(Bytes&)>& edit);

 private:
  Result<std::shared_ptr<const Bytes>> find(std::string_view name);

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Bytes>, std::less<>> objects_ GUARDED_BY(mutex_);
};

}  // namespace coppice::storage
