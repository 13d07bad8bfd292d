// Reading chunks back. Needs a reader's key. Every chunk that leaves here was authenticated, decompressed within its stated bounds,
// and its id recomputed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/block.h"
#include "format/pack.h"
#include "format/tree.h"
#include "vault/vault.h"

namespace coppice::vault {

struct DecodedBlock {
  std::vector<format::ChunkEntry> chunks;
  std::vector<std::uint32_t> offsets;    // of each chunk in `plain`
  Bytes plain;
  // The chunk that `ref` names; kCorrupt when this block holds something else there. Valid while the block lives.
  Result<ByteSpan> chunk(const format::ChunkRef& ref) const;
};
using BlockHandle = std::shared_ptr<const DecodedBlock>;

// Thread-safe. Keeps recently used blocks up to `cache_bytes` of plaintext, and pack directories up to a bound of its own.
class ChunkReader {
 public:
  // kDenied with a writer's key. `vault` must outlive the reader.
  static Result<std::unique_ptr<ChunkReader>> create(const Vault& vault, std::uint64_t cache_bytes);
  ~ChunkReader();

  Result<BlockHandle> block(const format::Birth& birth);            // through the cache
  Result<BlockHandle> block_uncached(const format::Birth& birth);   // for those who read each block once
  // A hint to the store that this block will be asked for soon. Does not wait for it.
  void announce(const format::Birth& birth);
  // The same checks for bytes that the caller has fetched itself: `block` is exactly what the pack holds for `birth`. The plaintext
  // is dropped.
  struct Verified {
    std::vector<format::ChunkEntry> chunks;
    std::uint64_t plain_bytes = 0;
  };
  Result<Verified> verify_block(const format::Birth& birth, ByteSpan block);
  // The bytes of one chunk; `holder` keeps them alive.
  struct Chunk {
    BlockHandle holder;
    ByteSpan bytes;
  };
  Result<Chunk> chunk(const format::ChunkRef& ref);
  // Where `birth` lies now: for callers that read in storage order. (pack object offset)
  Result<std::uint64_t> offset_of(const format::Birth& birth);
  const Vault& vault() const;

 private:
  struct State;
  explicit ChunkReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether `block`, which lies in a pack, is what the pack's directory says of it; without a reader, as far as that shows without keys (and
// nothing comes back of its chunks). kDenied: whole as far as can be seen, and sealed for an epoch that the reader's key lacks.
Result<ChunkReader::Verified> verify_block(ChunkReader* reader, const format::PackEntry& entry, ByteSpan block);

// ---- trees ----

// Reads one directory node entry by entry, in name order, across the pages of a huge one. Every rule that spans pages is checked:
// names ascend strictly, a page begins with the name that its index page says, pages lie in tree packs, indexes nest no deeper than
// kIndexPageDepthMax. Holds one page at a time. Not thread-safe.
class DirectoryCursor {
 public:
  // Told of every page as it is opened: its name, and the chunks that it refers to (pages of its own, for an index page).
  using PageWatcher = std::function<void(const format::ChunkRef& page, const std::vector<format::ChunkRef>& refers_to)>;
  DirectoryCursor(ChunkReader& reader, const format::ChunkRef& node, PageWatcher watcher = nullptr);
  DirectoryCursor(DirectoryCursor&&) = default;

  // False at the end. After an error the next call goes on behind the page that failed, which page() names.
  Result<bool> next(format::Entry& entry);
  const std::vector<format::ChunkRef>& chunks() const { return leaf_->chunks(); }   // of the last entry's page
  const format::ChunkRef& page() const { return page_; }

  // Memory of the open pages; and giving it back: until the next call of next(), which opens what it needs again (the watcher is told
  // again) and gives the entry after the last one, or with kSameEntry the last one once more. No chunks() in between.
  std::uint64_t held_bytes() const;
  enum class Resume { kNextEntry, kSameEntry };
  void let_go(Resume resume);

 private:
  struct Level {
    std::vector<format::IndexPageEntry> pages;
    std::size_t next = 0;
  };
  Result<bool> open_next_page();
  Result<> open_page(const std::string* first_name);
  Result<bool> next_in_leaf(format::Entry& entry);

  ChunkReader& reader_;
  PageWatcher watcher_;
  bool begun_ = false;
  const format::ChunkRef node_;
  format::ChunkRef page_;
  std::vector<Level> levels_;
  Bytes leaf_bytes_;
  std::optional<format::LeafReader> leaf_;
  std::optional<std::string> expected_first_;   // what the index says of the open leaf's first name, until it was read
  bool any_name_ = false, any_in_leaf_ = false;
  std::string last_name_;
  std::optional<std::string> resume_at_;        // the last name before pages were let go
  bool skip_resumed_ = false;                   // and whether it was given already
};

// Calls `each` for every entry of the directory node `node`, in name order, index pages followed. `chunks` is the table that the
// entry's slices name. Stops at the first error, `each`'s included. Valid only during the call.
using EntryVisitor = std::function<Result<>(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks)>;
Result<> read_directory(ChunkReader& reader, const format::ChunkRef& node, const EntryVisitor& each);

// Calls `each` for every slice of a file in order, extent pages followed. `ref` is null for a hole.
using SliceVisitor = std::function<Result<>(const format::ChunkRef* ref, const format::Slice& slice)>;
Result<> read_slices(ChunkReader& reader, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks, const SliceVisitor& each);

// The entry at `path` ("/a/b"; "/" or "" is the tree's root, a directory entry with an empty name), with the chunk table its slices need.
// kNotFound names the first component that is missing. Reads only the pages on the way.
struct FoundEntry {
  format::Entry entry;
  std::vector<format::ChunkRef> chunks;
};
Result<FoundEntry> find_entry(ChunkReader& reader, const format::SnapshotBody& body, std::string_view path);

}  // namespace coppice::vault
