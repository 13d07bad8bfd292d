// One pack in the making. Blocks are given their births when they are begun, their places when it is known how long they are, and are
// settled when their bytes stand there: in any order and from any thread, without a copy of what was sealed.
//
// The owner decides when it is closed; it is ready to be stored when every birth given out is settled. Not thread-safe: the owner locks.
#pragma once

#include <vector>

#include "format/index.h"
#include "format/pack.h"
#include "format/pack_list.h"

namespace coppice::packs {

class PackBuilder {
 public:
  // `buffer` is reused memory; its content is dropped. `bytes_max`: what the pack may come to at most.
  PackBuilder(format::PackName name, Bytes buffer, std::size_t bytes_max);

  // A birth for a block of about `plain_bytes`.
  format::Birth begin_block(std::uint64_t plain_bytes);
  // Where a begun block goes: written by the caller, outside of the lock, before it settles the block.
  struct Room {
    std::size_t entry = 0;
    MutableByteSpan bytes;
  };
  Room make_room(const format::Birth& birth, std::size_t bytes);
  // `room` holds the sealed block; `hash` is its leaf hash, and `chunks` what the index shall know of it. `plain_bytes` as it was begun.
  void settle_block(const Room& room, const format::Digest& hash, std::uint64_t plain_bytes, const std::vector<format::IndexEntry>& chunks);

  // Bytes that it would have if every block begun did not compress at all.
  std::uint64_t expected_bytes() const { return settled_bytes_ + outstanding_plain_; }
  std::uint32_t blocks_begun() const { return begun_; }
  bool settled() const { return outstanding_ == 0; }
  const format::PackName& name() const { return name_; }

  // Appends directory and footer. Once, when settled, with at least one block.
  format::PackRecord finish();
  // On a boundary of kAlignment in memory, for writing past the page cache.
  ByteSpan bytes() const { return ByteSpan(buffer_).subspan(lead_); }
  const std::vector<format::IndexEntry>& chunks() const { return chunks_; }
  Bytes take_buffer() { return std::move(buffer_); }

  static constexpr std::size_t kAlignment = 4096;

 private:
  format::PackName name_;
  Bytes buffer_;              // never moves: rooms point into it
  std::size_t lead_;          // bytes before the pack, for its alignment
  std::vector<format::PackEntry> entries_;
  std::vector<format::IndexEntry> chunks_;
  std::uint32_t begun_ = 0, outstanding_ = 0;
  std::uint64_t outstanding_plain_ = 0, settled_bytes_ = 0;
};

}  // namespace coppice::packs
