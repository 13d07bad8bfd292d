// Index runs: docs/format/index.md. A run is written whole, from sorted entries; it is read page by page, as lookups need them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "crypto/aead.h"
#include "crypto/secret.h"
#include "flight_cache.h"
#include "format/index.h"
#include "format/snapshot.h"
#include "storage/object_store.h"

namespace coppice::vault {

// More entries than this go to several runs: a run is one put, so it is built in memory.
inline constexpr std::size_t kRunEntriesMax = 512u << 10;

struct BuiltRun {
  Bytes object;
  format::Digest hash{};   // what a commit names: of header and directory
};
// `entries` sorted strictly by prefix, 1..kRunEntriesMax of them. `salt`: 32 fresh bytes.
BuiltRun build_index_run(const format::VaultId& vault, const crypto::Key& index_key, format::SessionId session, std::uint32_t number,
                         ByteSpan salt, std::span<const format::IndexEntry> entries);

// The opened entry pages of all runs of a writer.
struct IndexPageKey {
  format::SessionId session;
  std::uint32_t number = 0, page = 0;
  bool operator==(const IndexPageKey&) const = default;
};
struct IndexPageHash {
  std::size_t operator()(const IndexPageKey& key) const {
    const std::uint64_t run = (std::uint64_t{key.session.generation} << 32 | key.session.slot) * 0x9E3779B97F4A7C15u + key.number;
    return (run ^ key.page) * 0x9E3779B97F4A7C15u;
  }
};
using IndexPages = FlightCache<IndexPageKey, std::vector<format::IndexEntry>, IndexPageHash>;

// Thread-safe. Keeps its filter and its directory in memory; pages come through `pages`.
class IndexRun {
 public:
  // Reads header, directory and filter, which must be what `record`, hence the signed commit, says; every page is compared with the
  // directory before it is opened. `store`, `index_key` and `pages` must outlive it.
  static Result<std::unique_ptr<IndexRun>> open(storage::ObjectStore& store, const format::VaultId& vault, const crypto::Key& index_key,
                                                const format::RunRecord& record, IndexPages& pages);
  ~IndexRun();
  const format::RunRecord& record() const;
  std::uint64_t memory() const;
  static std::uint64_t memory_of(const format::RunRecord& record);   // before it is opened
  Result<std::optional<format::IndexEntry>> find(const std::array<std::byte, 16>& prefix);
  // Every entry, in order; past the cache.
  std::uint32_t entry_pages() const;
  Result<std::vector<format::IndexEntry>> read_page(std::uint32_t entry_page) const;

 private:
  struct State;
  explicit IndexRun(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coppice::vault
