// ChunkReader: from a birth to verified plaintext. Where a block lies stands in its pack's directory, read once and
// kept compactly; the block itself is one ranged get; then nothing is believed until the seal opened and every chunk's
// id was computed again.

#include "vault/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "crypto/hash.h"
#include "crypto/leaf_hash.h"
#include "flight_cache.h"
#include "packs/directory.h"
#include "seal.h"

namespace coppice::vault {
namespace {

using format::Birth;
using format::PackName;

// About 7,000 packs of full size, so 200 GB of vault at hand without asking again.
constexpr std::uint64_t kPlacesCacheBytes = 16u << 20;
// A shard should have room for a good number of blocks of the greatest size.
constexpr std::uint64_t kBlockShardBytesMin = 24u << 20;
constexpr unsigned kBlockShardsMax = 16;

std::uint64_t mix(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
struct PackHash {
  std::size_t operator()(const PackName& name) const {
    return mix((std::uint64_t{name.session.generation} << 32 | name.session.slot) ^
               mix(std::uint64_t{name.sequence} << 1 | static_cast<std::uint64_t>(name.kind)));
  }
};
struct BirthHash {
  std::size_t operator()(const Birth& birth) const { return mix(PackHash{}(birth.pack) + birth.ordinal); }
};

struct Place {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  // 0: no such block
};

// A pack directory without what reading does not need: 2 KiB instead of 10.
struct PackPlaces {
  std::vector<Place> own;                        // by ordinal
  std::vector<std::pair<Birth, Place>> adopted;  // blocks that were born elsewhere, by birth

  explicit PackPlaces(const packs::PackDirectory& directory) {
    for (const format::PackEntry& entry : directory.entries) {
      if (entry.birth.pack != directory.name) {
        adopted.emplace_back(entry.birth, Place{entry.offset, entry.bytes});
        continue;
      }
      if (own.size() <= entry.birth.ordinal) own.resize(entry.birth.ordinal + std::size_t{1});
      own[entry.birth.ordinal] = {entry.offset, entry.bytes};
    }
    own.shrink_to_fit();
    std::ranges::sort(adopted, {}, [](const auto& pair) { return pair.first; });
  }
  std::uint64_t memory() const {
    return 128 + own.capacity() * sizeof(Place) + adopted.capacity() * sizeof(std::pair<Birth, Place>);
  }
  std::optional<Place> find(const PackName& pack, const Birth& birth) const {
    if (birth.pack == pack) {
      if (birth.ordinal >= own.size() || own[birth.ordinal].bytes == 0) return std::nullopt;
      return own[birth.ordinal];
    }
    const auto it = std::ranges::lower_bound(adopted, birth, {}, [](const auto& pair) { return pair.first; });
    if (it == adopted.end() || it->first != birth) return std::nullopt;
    return it->second;
  }
};

std::string name_block(const Birth& birth) {
  return fmt::format("{} block {}", format::pack_object(birth.pack), birth.ordinal);
}

format::BlockType type_of(const Birth& birth) {
  return birth.pack.kind == format::PackKind::kTree ? format::BlockType::kTree : format::BlockType::kData;
}

std::uint64_t memory_of(const DecodedBlock& block) {
  return sizeof block + block.plain.capacity() +
         block.chunks.capacity() * (sizeof(format::ChunkEntry) + sizeof(std::uint32_t));
}

unsigned shards_for(std::uint64_t cache_bytes) {
  return static_cast<unsigned>(std::clamp<std::uint64_t>(cache_bytes / kBlockShardBytesMin, 1, kBlockShardsMax));
}

}  // namespace

Result<ByteSpan> DecodedBlock::chunk(const format::ChunkRef& ref) const {
  if (ref.index >= chunks.size() || chunks[ref.index].id != ref.id || chunks[ref.index].length != ref.length)
    return fail(ErrorKind::kCorrupt,
                fmt::format("{}: chunk {} is not the one that is looked for", name_block(ref.birth), ref.index));
  return ByteSpan(plain).subspan(offsets[ref.index], ref.length);
}

struct ChunkReader::State {
  // What opening one block needs besides the keys; as many of them as threads are at it.
  struct Scratch {
    explicit Scratch(const format::VaultId& vault) : opener(vault) {}
    BlockOpener opener;
    Bytes raw;
    DecodedBlock decoded;  // for verify_block, which keeps nothing
  };

  State(const Vault& v, std::uint64_t cache_bytes)
      : vault(v),
        id_mac(v.keys().id_key->view()),
        secrets(v.id(), v.keys()),
        places(kPlacesCacheBytes, 4),
        blocks(cache_bytes, shards_for(cache_bytes)) {}

  std::unique_ptr<Scratch> take_scratch() {
    {
      MutexLock lock(scratch_mutex);
      if (!scratches.empty()) {
        auto scratch = std::move(scratches.back());
        scratches.pop_back();
        return scratch;
      }
    }
    return std::make_unique<Scratch>(vault.id());
  }
  void return_scratch(std::unique_ptr<Scratch> scratch) {
    MutexLock lock(scratch_mutex);
    scratches.push_back(std::move(scratch));
  }

  Result<Place> find_place(const Birth& birth) {
    using Places = FlightCache<PackName, PackPlaces, PackHash>;
    const auto pack = TRY(places.get(birth.pack, [&]() -> Result<Places::Made> {
      const packs::PackDirectory directory = TRY(packs::read_pack_directory(vault.store(), birth.pack));
      auto made = std::make_shared<const PackPlaces>(directory);
      return Places::Made{made, made->memory()};
    }));
    const std::optional<Place> place = pack->find(birth.pack, birth);
    if (!place)
      return fail(ErrorKind::kCorrupt,
                  fmt::format("{} holds no block {}", format::pack_object(birth.pack), birth.ordinal));
    return *place;
  }

  Result<> open(const Birth& birth, ByteSpan block, BlockOpener& opener, DecodedBlock& into) {
    const format::BlockHeader header = TRY(read_block_header(block, birth, type_of(birth)));
    const auto secret = TRY(secrets.find(header.epoch, header.session_key));
    TRY(opener.open(*secret, block, header, into));
    CHECK(into.offsets.size() == into.chunks.size());
    for (std::size_t i = 0; i < into.chunks.size(); ++i) {
      const format::ChunkEntry& chunk = into.chunks[i];
      if (format::ChunkId{id_mac.mac(ByteSpan(into.plain).subspan(into.offsets[i], chunk.length))} != chunk.id)
        return fail(ErrorKind::kCorrupt, fmt::format("chunk {} is not what its id says", i));
    }
    return {};
  }

  Result<BlockHandle> fetch(const Birth& birth) {
    const Place place = TRY(find_place(birth));
    auto scratch = take_scratch();
    scratch->raw.resize(place.bytes);
    auto decoded = std::make_shared<DecodedBlock>();
    Result<> result = vault.store().get_range(format::pack_object(birth.pack), place.offset, scratch->raw);
    if (result) result = open(birth, scratch->raw, scratch->opener, *decoded);
    return_scratch(std::move(scratch));
    if (!result) return std::unexpected(std::move(result).error().within(name_block(birth)));
    return decoded;
  }

  const Vault& vault;
  const crypto::LeafMac id_mac;
  SecretRing secrets;
  FlightCache<PackName, PackPlaces, PackHash> places;
  FlightCache<Birth, DecodedBlock, BirthHash> blocks;
  Mutex scratch_mutex;
  std::vector<std::unique_ptr<Scratch>> scratches GUARDED_BY(scratch_mutex);
};

ChunkReader::ChunkReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChunkReader::~ChunkReader() = default;

Result<std::unique_ptr<ChunkReader>> ChunkReader::create(const Vault& vault, std::uint64_t cache_bytes) {
  if (!vault.keys().can_read())
    return fail(ErrorKind::kDenied, "this key cannot read backups: a reader's key or the recovery sheet is needed");
  return std::unique_ptr<ChunkReader>(new ChunkReader(std::make_unique<State>(vault, cache_bytes)));
}

Result<BlockHandle> ChunkReader::block(const Birth& birth) {
  using Blocks = FlightCache<Birth, DecodedBlock, BirthHash>;
  return state_->blocks.get(birth, [&]() -> Result<Blocks::Made> {
    BlockHandle block = TRY(state_->fetch(birth));
    const std::uint64_t bytes = memory_of(*block);
    return Blocks::Made{std::move(block), bytes};
  });
}

Result<BlockHandle> ChunkReader::block_uncached(const Birth& birth) { return state_->fetch(birth); }

void ChunkReader::announce(const Birth& birth) {
  if (const Result<Place> place = state_->find_place(birth))
    state_->vault.store().announce(format::pack_object(birth.pack), place->offset, place->bytes);
}

Result<ChunkReader::Verified> ChunkReader::verify_block(const Birth& birth, ByteSpan block) {
  auto scratch = state_->take_scratch();
  const Result<> result = state_->open(birth, block, scratch->opener, scratch->decoded);
  Verified verified{std::move(scratch->decoded.chunks), scratch->decoded.plain.size()};
  state_->return_scratch(std::move(scratch));
  if (!result) return std::unexpected(result.error().within(name_block(birth)));
  return verified;
}

Result<ChunkReader::Verified> verify_block(ChunkReader* reader, const format::PackEntry& entry, ByteSpan block) {
  if (crypto::leaf_hash(block) != entry.hash) return fail(ErrorKind::kCorrupt, "the block's bytes are not those that the pack's directory names");
  if (reader) return reader->verify_block(entry.birth, block);
  TRY(read_block_header(block, entry.birth, type_of(entry.birth)));
  return ChunkReader::Verified{};
}

Result<ChunkReader::Chunk> ChunkReader::chunk(const format::ChunkRef& ref) {
  BlockHandle holder = TRY(block(ref.birth));
  const ByteSpan bytes = TRY(holder->chunk(ref));
  return Chunk{std::move(holder), bytes};
}

Result<std::uint64_t> ChunkReader::offset_of(const Birth& birth) { return TRY(state_->find_place(birth)).offset; }

const Vault& ChunkReader::vault() const { return state_->vault; }

}  // namespace coppice::vault
