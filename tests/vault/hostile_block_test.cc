// Goal: a block that was sealed with the right keys, and bad intent, opens to what its table says or not at all, within the bounds of the
// format: a payload that swells is not let out.
#include <gtest/gtest.h>
#include <zstd.h>

#include "seal.h"
#include "support/result.h"
#include "support/test_vault.h"

namespace coppice::vault {
namespace {

using format::Role;
using testing::TestVault;

class HostileBlock : public ::testing::Test {
 protected:
  // A block whose table says `lengths`, with `payload` behind it.
  Result<> open(const std::vector<std::uint32_t>& lengths, ByteSpan payload, format::Codec codec = format::Codec::kZstd) {
    const keys::KeyBundle writer = v.bundle(Role::kWriter), reader = v.bundle(Role::kReader);
    crypto::Key ephemeral;
    v.random(ephemeral.writable());
    const auto secret = SessionSecret::for_writer(v.vault.id, *writer.epoch(keys::kFirstEpoch), ephemeral);
    EXPECT_OK(secret);
    format::ChunkTable table{.codec = codec, .chunks = {}};
    for (const std::uint32_t length : lengths) table.chunks.push_back({.id = {}, .length = length});
    Bytes encoded_table;
    format::encode_chunk_table(table, encoded_table);
    Bytes block(sealed_block_bytes(encoded_table.size(), payload.size()));
    crypto::Aead aead;
    std::array<std::byte, 32> random{};
    seal_block(*secret, crypto::Suite::kAes256Gcm, v.vault.id, aead, random, format::BlockType::kData, birth, encoded_table, payload, block);
    const auto header = TRY(read_block_header(block, birth, format::BlockType::kData));
    const auto found = TRY(SessionSecret::for_reader(v.vault.id, *reader.epoch(keys::kFirstEpoch), header.session_key));
    BlockOpener opener(v.vault.id);
    Result<> opened = opener.open(found, block, header, into);
    EXPECT_LE(into.plain.capacity(), 2 * format::kBlockPlainBytesMax);
    return opened;
  }
  static Bytes zstd(std::size_t zeros) {
    const Bytes plain(zeros, std::byte{0});
    Bytes packed(ZSTD_compressBound(zeros));
    packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 1));
    return packed;
  }
  TestVault v;
  const format::Birth birth{.pack = {.session = {0, 7}}, .ordinal = 3};
  DecodedBlock into;
};

TEST_F(HostileBlock, APayloadOpensToExactlyWhatTheTableSays) {
  constexpr std::size_t bomb = 16u << 20;
  EXPECT_OK(open({1000}, zstd(1000)));
  EXPECT_EQ(into.plain, Bytes(1000, std::byte{0}));
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{999}, std::size_t{1001}, bomb})
    EXPECT_FAILS(open({1000}, zstd(bytes)), kCorrupt) << bytes;
  EXPECT_FAILS(open({format::kChunkBytesMax, format::kChunkBytesMax / 2}, zstd(bomb)), kCorrupt);
  EXPECT_FAILS(open({1000}, Bytes(1000)), kCorrupt);   // no zstd at all
  Bytes two = zstd(500);
  append(two, zstd(500));
  append(two, zstd(bomb));
  EXPECT_FAILS(open({1000}, two), kCorrupt);   // further frames swell no better
}

TEST_F(HostileBlock, AStoredPayloadIsAsLongAsTheTableSays) {
  EXPECT_OK(open({1000}, Bytes(1000), format::Codec::kStored));
  EXPECT_FAILS(open({1000}, Bytes(999), format::Codec::kStored), kCorrupt);
  EXPECT_FAILS(open({1000}, Bytes(1001), format::Codec::kStored), kCorrupt);
}

}  // namespace
}  // namespace coppice::vault
