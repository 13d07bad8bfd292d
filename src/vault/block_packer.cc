#include "block_packer.h"

#include <array>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>
#include <zstd.h>

#include "crypto/leaf_hash.h"

namespace coppice::vault {
namespace {

// Not worth keeping compressed, nor worth decoding later.
bool poor(std::size_t compressed, std::size_t plain) { return compressed >= plain - plain / 32; }

// Whether a block will not shrink, by four samples of it. Random, encrypted and already compressed data do not, and a full pass over them is
// wasted: bytes that are spread evenly are a sign of it, which costs next to nothing to see; then the samples are compressed, for text in a
// wide alphabet looks even too.
bool looks_random(ZSTD_CCtx_s* zstd, ByteSpan plain, Bytes& scratch) {
  constexpr std::size_t kSample = 8u << 10, kSamples = 4;
  if (plain.size() < 2 * kSample * kSamples) return false;
  const auto sample = [&](std::size_t i) { return plain.subspan((plain.size() - kSample) / (kSamples - 1) * i, kSample); };
  std::array<std::uint32_t, 256> counts{};
  for (std::size_t i = 0; i < kSamples; ++i)
    for (const std::byte b : sample(i)) ++counts[static_cast<std::size_t>(b)];
  // The sum of squares is n * n / 256 + n for random bytes, give or take little; most else has several times that.
  std::uint64_t squares = 0;
  for (const std::uint64_t count : counts) squares += count * count;
  constexpr std::uint64_t kBytes = kSample * kSamples;
  if (squares > kBytes * kBytes / 256 * 5 / 4) return false;
  scratch.resize(ZSTD_compressBound(kSample));
  std::size_t total = 0;
  for (std::size_t i = 0; i < kSamples; ++i) {
    const std::size_t n = ZSTD_compress2(zstd, scratch.data(), scratch.size(), sample(i).data(), kSample);
    if (ZSTD_isError(n)) return false;
    total += n;
  }
  return poor(total, kBytes);
}

void set(ZSTD_CCtx_s* zstd, std::initializer_list<std::pair<ZSTD_cParameter, int>> parameters) {
  for (const auto& [parameter, value] : parameters) CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(zstd, parameter, value)));
}

// Where little is new, a block's chunks come from many buffers: then they are copied out.
void add_part(PlainBlock& block, SharedBytes chunk) {
  if (block.parts.empty() || block.parts.back().owner != chunk.owner) {
    if (block.kept_bytes + chunk.owner->capacity() > kBlockKeepsBytesMax) chunk = share(to_bytes(chunk.bytes));
    else block.kept_bytes += chunk.owner->capacity();
  }
  block.parts.push_back(std::move(chunk));
}

}  // namespace

// (Of BlockPacker; a function so that the lock ends before the pack is replaced.)
static bool is_closed(OpenPack& pack) {
  MutexLock lock(pack.mutex);
  return pack.closed;
}

SealContext::SealContext(const format::VaultId& vault, const PackerLimits& limits)
    : zstd(ZSTD_createCCtx()), opener(vault) {
  CHECK(zstd != nullptr);
  set(zstd, {{ZSTD_c_compressionLevel, limits.compression_level}});
  if (limits.compression_level != kDefaultCompressionLevel) return;
  // Level 3's entropy coding with the searcher of level 1, a table that a core's second-level cache holds beside the data, and a window of
  // the whole block. What a later run stores is little, and is searched more thoroughly.
  set(zstd, {{ZSTD_c_strategy, ZSTD_fast}, {ZSTD_c_windowLog, 22}, {ZSTD_c_hashLog, limits.first ? 16 : 17}, {ZSTD_c_minMatch, 6}});
}
SealContext::~SealContext() { ZSTD_freeCCtx(zstd); }

BlockPacker::BlockPacker(const Vault& vault, SessionSecret secret, format::SessionId session, ChunkIndex& index, PackerLimits limits,
                         WriterStats& stats)
    : vault_(vault), secret_(std::move(secret)), suite_(crypto::preferred_suite()), session_(session), index_(index), limits_(limits), stats_(stats) {}

OpenPackPtr BlockPacker::begin_block(Lane& lane, format::PackKind kind) {
  OpenPackPtr complete;
  const std::uint64_t limit = kind == format::PackKind::kTree ? limits_.tree_pack_bytes : limits_.data_pack_bytes;
  if (lane.pack) {
    OpenPack& pack = *lane.pack;
    MutexLock lock(pack.mutex);
    if (pack.builder.blocks_begun() == format::kPackBlocksMax || pack.builder.expected_bytes() + block_target(kind) > limit) {
      pack.closed = true;   // whoever seals its last block hands it on; if that is done already, we do
      if (pack.builder.settled()) complete = lane.pack;
    }
  }
  if (!lane.pack || complete || is_closed(*lane.pack)) {
    Bytes buffer;
    if (!spare_buffers_.empty()) {
      buffer = std::move(spare_buffers_.back());
      spare_buffers_.pop_back();
    }
    lane.pack = std::make_shared<OpenPack>(format::PackName{session_, kind, lane.next_sequence++}, std::move(buffer), pack_bytes_max(kind, limit));
  }
  lane.block = std::make_unique<PlainBlock>();
  lane.block->type = kind == format::PackKind::kTree ? format::BlockType::kTree : format::BlockType::kData;
  lane.block->pack = lane.pack;
  lane.block->reserved_bytes = block_target(kind);
  MutexLock lock(lane.pack->mutex);
  lane.block->birth = lane.pack->builder.begin_block(block_target(kind));
  return complete;
}

BlockPacker::Placement BlockPacker::place(format::PackKind kind, const format::ChunkId& id, SharedBytes chunk) {
  Placement placed;
  const auto length = static_cast<std::uint32_t>(chunk.bytes.size());
  MutexLock lock(mutex_);
  if (const auto known = index_.find_recent(prefix_of(id))) {
    placed.ref = {.id = id, .birth = known->birth, .index = known->index, .length = length};
    return placed;
  }
  Lane& lane = lanes_[static_cast<int>(kind)];
  if (lane.block && (lane.block->plain_bytes + length > format::kBlockPlainBytesMax || lane.block->chunks.size() == format::kBlockChunksMax))
    placed.full = std::move(lane.block);
  if (!lane.block) placed.complete = begin_block(lane, kind);
  PlainBlock& block = *lane.block;
  placed.ref = {.id = id, .birth = block.birth, .index = static_cast<std::uint16_t>(block.chunks.size()), .length = length};
  block.chunks.push_back({.id = id, .length = length});
  // What was read one after the other into one buffer is one part: then nothing has to be gathered.
  if (SharedBytes* last = block.parts.empty() ? nullptr : &block.parts.back();
      last && last->owner == chunk.owner && last->bytes.data() + last->bytes.size() == chunk.bytes.data())
    last->bytes = ByteSpan(last->bytes.data(), last->bytes.size() + chunk.bytes.size());
  else
    add_part(block, std::move(chunk));
  block.plain_bytes += length;
  index_.add_recent({.prefix = prefix_of(id), .birth = placed.ref.birth, .index = placed.ref.index, .length = length});
  ++stats_.chunks_new;
  stats_.bytes_new += length;
  if (!placed.full && block.plain_bytes >= block_target(kind)) placed.full = std::move(lane.block);
  return placed;
}

std::vector<PlainBlockPtr> BlockPacker::take_partial() {
  MutexLock lock(mutex_);
  std::vector<PlainBlockPtr> blocks;
  for (Lane& lane : lanes_)
    if (lane.block) blocks.push_back(std::move(lane.block));
  return blocks;
}

Result<OpenPackPtr> BlockPacker::seal(SealContext& c, PlainBlockPtr block) {
  // One contiguous plaintext: compressing it in one call is faster than feeding parts.
  ByteSpan plain;
  if (block->parts.size() == 1) {
    plain = block->parts.front().bytes;
  } else {
    c.plain.clear();
    c.plain.reserve(block->plain_bytes);
    for (const SharedBytes& part : block->parts) append(c.plain, part.bytes);
    block->parts.clear();
    plain = c.plain;
  }
  format::ChunkTable table{.codec = format::Codec::kStored, .chunks = std::move(block->chunks)};
  ByteSpan payload = plain;   // what does not shrink is stored as it is
  if (limits_.compression_level != 0 && !looks_random(c.zstd, plain, c.scratch)) {
    c.compressed.resize(ZSTD_compressBound(plain.size()));
    const std::size_t n = ZSTD_compress2(c.zstd, c.compressed.data(), c.compressed.size(), plain.data(), plain.size());
    CHECK(!ZSTD_isError(n));   // the buffer is as large as it can need
    if (!poor(n, plain.size())) {
      table.codec = format::Codec::kZstd;
      payload = ByteSpan(c.compressed).first(n);
    }
  }
  c.table.clear();
  format::encode_chunk_table(table, c.table);
  packs::PackBuilder::Room room;
  {
    MutexLock lock(block->pack->mutex);
    room = block->pack->builder.make_room(block->birth, sealed_block_bytes(c.table.size(), payload.size()));
  }
  std::array<std::byte, 32> random;
  vault_.entropy().fill(random);
  seal_block(secret_, suite_, vault_.id(), c.aead, random, block->type, block->birth, c.table, payload, room.bytes);

  if (limits_.verify) {
    const std::string what = fmt::format("{} block {}: verifying before it leaves memory", format::pack_object(block->birth.pack), block->birth.ordinal);
    const format::BlockHeader header = TRY(within(read_block_header(room.bytes, block->birth, block->type), what));
    if (Result<> same = c.opener.compare(secret_, room.bytes, header, table.chunks, plain); !same)
      return fail(same.error().kind(), fmt::format("{}: {}. This machine's memory or processor may be failing; nothing wrong was stored", what,
                                                   same.error().message()));
  }

  std::vector<format::IndexEntry> entries;
  entries.reserve(table.chunks.size());
  for (std::size_t i = 0; i < table.chunks.size(); ++i)
    entries.push_back({.prefix = prefix_of(table.chunks[i].id), .birth = block->birth, .index = static_cast<std::uint16_t>(i), .length = table.chunks[i].length});
  const format::Digest hash = crypto::leaf_hash(room.bytes);
  ++stats_.blocks;
  MutexLock lock(block->pack->mutex);
  packs::PackBuilder& builder = block->pack->builder;
  builder.settle_block(room, hash, block->reserved_bytes, entries);
  if (block->pack->closed && builder.settled()) return block->pack;
  return OpenPackPtr();
}

std::vector<OpenPackPtr> BlockPacker::close_packs() {
  MutexLock lock(mutex_);
  std::vector<OpenPackPtr> ready;
  for (Lane& lane : lanes_) {
    if (!lane.pack) continue;
    MutexLock pack_lock(lane.pack->mutex);
    CHECK(lane.pack->builder.settled());
    if (!lane.pack->closed) ready.push_back(lane.pack);
    lane.pack->closed = true;
  }
  for (Lane& lane : lanes_) lane.pack.reset();
  return ready;
}

void BlockPacker::give_back(Bytes buffer) {
  MutexLock lock(mutex_);
  if (spare_buffers_.size() < 2) spare_buffers_.push_back(std::move(buffer));
}

}  // namespace coppice::vault
