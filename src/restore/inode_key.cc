#include "inode_key.h"

#include <cstring>
#include <string_view>

#include "vault/cutter.h"

namespace coppice::restore {
namespace {

constexpr std::uint64_t kGroupedBytesMax = vault::kSmallFileBytesMax;

// Not against an adversary: whoever writes the tree can say of any two entries that they are one inode.
class Mixer {
 public:
  void add(std::uint64_t value) {
    state_ = (state_ ^ value) * 0xbf58476d1ce4e5b9u;
    state_ = (state_ ^ state_ >> 31) * 0x94d049bb133111ebu;
    state_ ^= state_ >> 29;
  }
  void add(const Timestamp& t) {
    add(static_cast<std::uint64_t>(t.seconds));
    add(t.nanoseconds);
  }
  void add(std::string_view text) {
    add(text.size());
    for (const char c : text) add(static_cast<unsigned char>(c));
  }
  void add(const format::ChunkId& id) {  // random bytes already
    std::uint64_t words[sizeof id.bytes / sizeof(std::uint64_t)];
    std::memcpy(words, id.bytes.data(), sizeof words);
    for (const std::uint64_t word : words) add(word);
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15u;
};

}  // namespace

InodeKey inode_key(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  Mixer mixer;
  mixer.add(static_cast<std::uint64_t>(entry.type));
  mixer.add(entry.mode);
  mixer.add(entry.owner.uid);
  mixer.add(entry.owner.gid);
  mixer.add(entry.size);
  mixer.add(entry.mtime);
  mixer.add(entry.ctime);
  mixer.add(entry.rdev);
  mixer.add(entry.target);
  if (grouped_bytes(entry, chunks).length > 0)
    return {.device = entry.device, .inode = entry.inode, .likeness = mixer.value()};
  for (const format::Slice& slice : entry.slices) {
    mixer.add(slice.length);
    if (slice.chunk == format::Slice::kHole || slice.chunk >= chunks.size()) {
      mixer.add(std::uint64_t{format::Slice::kHole});
      continue;
    }
    mixer.add(slice.offset);
    mixer.add(chunks[slice.chunk].id);
  }
  for (const format::ChunkRef& page : entry.extents) mixer.add(page.id);
  return {.device = entry.device, .inode = entry.inode, .likeness = mixer.value()};
}

GroupedBytes grouped_bytes(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) {
  if (entry.slices.size() != 1 || entry.size >= kGroupedBytesMax || entry.slices[0].chunk >= chunks.size()) return {};
  const format::Slice& slice = entry.slices[0];
  return {.chunk = chunks[slice.chunk], .offset = slice.offset, .length = static_cast<std::uint32_t>(slice.length)};
}

bool same_bytes(vault::ChunkReader& reader, const GroupedBytes& a, const GroupedBytes& b) {
  if (a.length != b.length) return false;
  if (a.length == 0 || (a.chunk.id == b.chunk.id && a.offset == b.offset)) return true;
  const auto one = reader.chunk(a.chunk), other = reader.chunk(b.chunk);
  const auto holds = [](const vault::ChunkReader::Chunk& chunk, const GroupedBytes& g) {
    return g.offset <= chunk.bytes.size() && g.length <= chunk.bytes.size() - g.offset;
  };
  return one && other && holds(*one, a) && holds(*other, b) &&
         std::memcmp(one->bytes.data() + a.offset, other->bytes.data() + b.offset, a.length) == 0;
}

}  // namespace coppice::restore
