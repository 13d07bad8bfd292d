// Objects under lists/: pages of reference lists and of pack lists (docs/format/lists.md), each named by its SHA-256. Needs no key.
#pragma once

#include <functional>

#include "format/pack_list.h"
#include "format/reference_list.h"
#include "storage/object_store.h"

namespace coppice::packs {

// Durable on return. A page that is there already is compared: kConflict says that what stands there is damaged.
Result<format::Digest> put_list_page(storage::ObjectStore& store, ByteSpan page);
// kCorrupt when the bytes are not those that the name says. Errors name the object.
Result<Bytes> read_list_page(storage::ObjectStore& store, const format::Digest& hash);

Result<std::vector<format::PackRecord>> read_pack_page(storage::ObjectStore& store, const format::Digest& hash);
// Calls `each` with every page's records; then the sums must be those that `list` says.
Result<> read_pack_list(storage::ObjectStore& store, const format::PackList& list,
                        const std::function<Result<>(const std::vector<format::PackRecord>&)>& each);
// Calls `each` for the packs of every leaf below `root`.
Result<> read_reference_list(storage::ObjectStore& store, const format::Digest& root,
                             const std::function<Result<>(const format::ReferenceSet&)>& each);

// Gathers the records of one session in any order and stores a page whenever one is full, so that memory does not grow with the
// session. Pages of a session that never commits are garbage. Not thread-safe; `store` must outlive it.
class PackListWriter {
 public:
  explicit PackListWriter(storage::ObjectStore& store) : store_(store) {}
  // Each pack once.
  Result<> add(const format::PackRecord& record);
  Result<format::PackList> finish();   // stores what is left; once

 private:
  Result<> put_page();
  storage::ObjectStore& store_;
  std::vector<format::PackRecord> records_;
  format::PackList list_;
};

}  // namespace coppice::packs
