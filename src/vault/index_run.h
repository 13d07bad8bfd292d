// Index runs: docs/format/index.md. A run is written whole, from sorted entries; it is read page by page, as lookups need them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/aead.h"
#include "crypto/secret.h"
#include "format/index.h"
#include "format/snapshot.h"
#include "foundation/mutex.h"
#include "storage/object_store.h"

namespace coppice::vault {

// More entries than this go to several runs: a run is one put, so it is built in memory.
inline constexpr std::size_t kRunEntriesMax = 512u << 10;

// The object's bytes. `entries` sorted strictly by prefix, 1..kRunEntriesMax of them. `salt`: 32 fresh bytes.
Bytes build_index_run(const format::VaultId& vault, const crypto::Key& index_key, format::SessionId session, std::uint32_t number,
                      ByteSpan salt, const std::vector<format::IndexEntry>& entries);

// Thread-safe. Keeps its filter in memory (10 bits an entry) and the pages it used last.
class IndexRun {
 public:
  // Reads the header and the filter. The run must be what `record` says: its size and header are compared here, its pages are
  // authenticated as they are opened (a full hash of the object is check's work). `store` and `index_key` must outlive it.
  static Result<std::unique_ptr<IndexRun>> open(storage::ObjectStore& store, const format::VaultId& vault, const crypto::Key& index_key,
                                                const format::RunRecord& record);
  ~IndexRun();
  const format::RunRecord& record() const;
  Result<std::optional<format::IndexEntry>> find(const std::array<std::byte, 16>& prefix);
  // Every entry, in order.
  Result<std::vector<format::IndexEntry>> read_page(std::uint32_t page);
  std::uint32_t pages() const;

 private:
  struct State;
  explicit IndexRun(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coppice::vault
