#include "packs/pack_builder.h"

#include "crypto/hash.h"
#include "foundation/check.h"

namespace coppice::packs {

format::Birth PackBuilder::begin_block(std::uint64_t plain_bytes) {
  CHECK(begun_ < format::kPackBlocksMax);
  ++outstanding_;
  outstanding_plain_ += plain_bytes;
  return {.pack = name_, .ordinal = static_cast<std::uint16_t>(begun_++)};
}

void PackBuilder::add_block(const format::Birth& birth, ByteSpan sealed, const format::Digest& hash, std::uint64_t plain_bytes,
                            const std::vector<format::IndexEntry>& chunks) {
  CHECK(birth.pack == name_ && outstanding_ > 0);
  entries_.push_back({.birth = birth, .offset = buffer_.size(), .bytes = static_cast<std::uint32_t>(sealed.size()), .hash = hash});
  append(buffer_, sealed);
  chunks_.insert(chunks_.end(), chunks.begin(), chunks.end());
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
  return {.name = name_, .bytes = buffer_.size(), .hash = footer.hash};
}

}  // namespace coppice::packs
