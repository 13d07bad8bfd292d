#include "packs/pack_builder.h"

#include "crypto/hash.h"
#include "foundation/check.h"

namespace coppice::packs {

PackBuilder::PackBuilder(format::PackName name, Bytes buffer, std::size_t bytes_max) : name_(name), buffer_(std::move(buffer)) {
  buffer_.clear();
  buffer_.reserve(kAlignment + bytes_max + format::kPackFooterBytes);
  lead_ = (kAlignment - reinterpret_cast<std::uintptr_t>(buffer_.data()) % kAlignment) % kAlignment;
  buffer_.resize(lead_);
}

format::Birth PackBuilder::begin_block(std::uint64_t plain_bytes) {
  CHECK(begun_ < format::kPackBlocksMax);
  ++outstanding_;
  outstanding_plain_ += plain_bytes;
  return {.pack = name_, .ordinal = static_cast<std::uint16_t>(begun_++)};
}

PackBuilder::Room PackBuilder::make_room(const format::Birth& birth, std::size_t bytes) {
  const std::size_t at = buffer_.size();
  CHECK(birth.pack == name_ && entries_.size() < begun_ && at + bytes <= buffer_.capacity());
  buffer_.resize(at + bytes);
  entries_.push_back({.birth = birth, .offset = at - lead_, .bytes = static_cast<std::uint32_t>(bytes), .hash = {}});
  return {.entry = entries_.size() - 1, .bytes = MutableByteSpan(buffer_).subspan(at, bytes)};
}

void PackBuilder::settle_block(const Room& room, const format::Digest& hash, std::uint64_t plain_bytes,
                               const std::vector<format::IndexEntry>& chunks) {
  CHECK(outstanding_ > 0);
  entries_[room.entry].hash = hash;
  chunks_.insert(chunks_.end(), chunks.begin(), chunks.end());
  settled_bytes_ += room.bytes.size();
  --outstanding_;
  outstanding_plain_ -= plain_bytes;
}

format::PackRecord PackBuilder::finish() {
  CHECK(settled() && !entries_.empty());
  Bytes directory;
  format::encode_pack_directory(entries_, directory);
  format::PackFooter footer{.directory_bytes = static_cast<std::uint32_t>(directory.size()),
                            .hash = crypto::sha256(format::pack_hash_input(name_, directory))};
  append(buffer_, directory);
  format::encode_pack_footer(footer, buffer_);
  return {.name = name_, .bytes = buffer_.size() - lead_, .hash = footer.hash};
}

}  // namespace coppice::packs
