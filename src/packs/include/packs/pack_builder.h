// One pack in the making. Blocks are given their births when they are begun and their bytes when they are sealed, in any order and
// from any thread; the directory says where each came to lie.
//
// The owner decides when it is closed; it is ready to be stored when every birth given out has its bytes. Not thread-safe: the owner locks.
#pragma once

#include <vector>

#include "format/index.h"
#include "format/pack.h"
#include "format/pack_list.h"

namespace coppice::packs {

class PackBuilder {
 public:
  // `buffer` is reused memory; its content is dropped.
  PackBuilder(format::PackName name, Bytes buffer) : name_(name), buffer_(std::move(buffer)) { buffer_.clear(); }

  // A birth for a block of about `plain_bytes`.
  format::Birth begin_block(std::uint64_t plain_bytes);
  // Its sealed bytes, with their leaf hash, and what the index shall know of its chunks.
  void add_block(const format::Birth& birth, ByteSpan sealed, const format::Digest& hash, std::uint64_t plain_bytes,
                 const std::vector<format::IndexEntry>& chunks);

  // Bytes that it would have if every block begun did not compress at all.
  std::uint64_t expected_bytes() const { return buffer_.size() + outstanding_plain_; }
  std::uint32_t blocks_begun() const { return begun_; }
  bool settled() const { return outstanding_ == 0; }
  const format::PackName& name() const { return name_; }

  // Appends directory and footer. Once, when settled, with at least one block.
  format::PackRecord finish();
  ByteSpan bytes() const { return buffer_; }
  const std::vector<format::IndexEntry>& chunks() const { return chunks_; }
  Bytes take_buffer() { return std::move(buffer_); }

 private:
  format::PackName name_;
  Bytes buffer_;
  std::vector<format::PackEntry> entries_;
  std::vector<format::IndexEntry> chunks_;
  std::uint32_t begun_ = 0, outstanding_ = 0;
  std::uint64_t outstanding_plain_ = 0;
};

}  // namespace coppice::packs
