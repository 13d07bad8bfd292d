// Goal: from fixed keys and fixed randomness come the same secrets, ids, cuts, blocks and index pages for ever. The encodings have golden
// files of their own (tests/format); here it is what the keys make of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "crypto/leaf_hash.h"
#include "foundation/encoding.h"
#include "index_run.h"
#include "keys/bundle.h"
#include "keys/key_file.h"
#include "keys/recovery_sheet.h"
#include "seal.h"
#include "storage/memory_store.h"
#include "support/golden.h"
#include "support/result.h"
#include "support/test_vault.h"
#include "vault/cutter.h"

namespace coppice::vault {
namespace {

using testing::expect_golden;

template <std::size_t N>
std::array<std::byte, N> pattern(unsigned first) {
  std::array<std::byte, N> a;
  for (std::size_t i = 0; i < N; ++i) a[i] = std::byte(first + i);
  return a;
}

const format::VaultId kVault = pattern<16>(0x10);
crypto::Key root() { return crypto::Key(std::span<const std::byte, 32>(pattern<32>(0x40))); }
keys::EpochKey epoch(std::uint32_t number) {
  keys::EpochKey key{.number = number};
  key.private_key = keys::derive_epoch_private(root(), kVault, number);
  key.public_key = crypto::x25519_public(*key.private_key);
  return key;
}
Result<SessionSecret> session() { return SessionSecret::for_writer(kVault, epoch(1), crypto::Key(std::span<const std::byte, 32>(pattern<32>(0x80)))); }

TEST(Derivation, KeysIdsAndCuts) {
  std::string text;
  const auto line = [&](std::string_view name, ByteSpan value) { text += fmt::format("{} {}\n", name, render_hex(value)); };
  line("owner-seed", keys::derive_owner_seed(root(), kVault).view());
  const crypto::Key id_key = keys::derive_id_key(root(), kVault);
  line("id-key", id_key.view());
  line("index-key", keys::derive_index_key(root(), kVault).view());
  line("epoch-1-private", keys::derive_epoch_private(root(), kVault, 1).view());
  line("epoch-2-private", keys::derive_epoch_private(root(), kVault, 2).view());
  const auto secret = session();
  ASSERT_OK(secret);
  line("session-public", secret->session_public());
  line("session-secret", secret->key().view());
  const std::string data = testing::noise(1, 5u << 20);
  const crypto::LeafMac ids(id_key.view());
  for (const std::size_t bytes : {1u, 16384u, 16385u, 100'000u})
    line(fmt::format("chunk-id-{}", bytes), ids.mac(as_bytes(data).first(bytes)));
  const crypto::Key cut_key = crypto::hkdf_key(id_key.view(), {}, "coppice 1 cut");
  line("cut-key", cut_key.view());
  const Cutter cutter(cut_key.view());
  text += "cuts";
  for (ByteSpan rest = as_bytes(data); !rest.empty();) {
    const std::size_t n = cutter.first_chunk(rest);
    text += fmt::format(" {}", n);
    rest = rest.subspan(n);
  }
  text += "\ngroup-ends";
  for (std::size_t i = 0; i < 64; ++i)
    if (cutter.group_ends_after(as_bytes(data).subspan(i * 10'000, 10'000), 200'000)) text += fmt::format(" {}", i);
  text += "\n";
  expect_golden("derivation/keys.txt", as_bytes(text));
}

TEST(Derivation, SealedBlocks) {
  const auto secret = session();
  ASSERT_OK(secret);
  const std::string payload = "what is in the block";
  const format::ChunkTable table{format::Codec::kStored, {{{pattern<32>(1)}, 8}, {{pattern<32>(2)}, static_cast<std::uint32_t>(payload.size()) - 8}}};
  const format::Birth birth{{{0, 3}, format::PackKind::kData, 5}, 6};
  Bytes both;
  for (const crypto::Suite suite : {crypto::Suite::kAes256Gcm, crypto::Suite::kChaCha20Poly1305}) {
    crypto::Aead aead;
    Bytes encoded_table;
    format::encode_chunk_table(table, encoded_table);
    Bytes block(sealed_block_bytes(encoded_table.size(), payload.size()));
    seal_block(*secret, suite, kVault, aead, pattern<32>(0xc0), format::BlockType::kData, birth, encoded_table, as_bytes(payload), block);
    // A reader finds the same secret from the other half.
    const auto header = read_block_header(block, birth, format::BlockType::kData);
    ASSERT_OK(header);
    const auto found = SessionSecret::for_reader(kVault, epoch(1), header->session_key);
    ASSERT_OK(found);
    DecodedBlock decoded;
    ASSERT_OK(BlockOpener(kVault).open(*found, block, *header, decoded));
    EXPECT_EQ(as_text(decoded.plain), payload);
    append(both, block);
  }
  expect_golden("derivation/sealed_blocks.bin", both);
}

TEST(Derivation, IndexRun) {
  const crypto::Key index_key = keys::derive_index_key(root(), kVault);
  std::vector<format::IndexEntry> entries;
  for (std::uint32_t i = 0; i < 500; ++i) {
    format::IndexEntry entry{.birth = {{{0, 3}, format::PackKind::kData, i / 128}, static_cast<std::uint16_t>(i % 128)}, .index = 2, .length = 1 + i};
    entry.prefix[0] = std::byte(i >> 1);
    entry.prefix[1] = std::byte(i << 7);
    entries.push_back(entry);
  }
  const BuiltRun built = build_index_run(kVault, index_key, {0, 3}, 7, pattern<32>(0x20), entries);
  if (testing::rewriting_golden() || crypto::preferred_suite() == crypto::Suite::kAes256Gcm)
    expect_golden("derivation/index_run.bin", built.object);   // else this processor seals with the other suite
  if (testing::rewriting_golden()) return;
  const std::string golden = testing::read_golden("derivation/index_run.bin");
  storage::MemoryStore store;
  ASSERT_OK(store.put(format::index_object({0, 3}, 7), as_bytes(golden)));
  const std::size_t head = format::kIndexHeaderBytes + 32 * 3;
  const format::RunRecord record{.session = {0, 3}, .number = 7, .entries = 500, .bytes = golden.size(), .hash = crypto::sha256(as_bytes(golden).first(head))};
  IndexPages pages(1u << 20, 1);
  const auto run = IndexRun::open(store, kVault, index_key, record, pages);
  ASSERT_OK(run);
  for (const format::IndexEntry& entry : entries) {
    const auto found = (*run)->find(entry.prefix);
    ASSERT_OK(found);
    EXPECT_EQ(*found, entry);
  }
}

TEST(Derivation, KeyFile) {
  const keys::KeyFile file{{kVault, pattern<32>(0x60)}, pattern<16>(0x30), format::Role::kWriter, crypto::Key(std::span<const std::byte, 32>(pattern<32>(0x90)))};
  expect_golden("derivation/key_file.txt", keys::render_key_file(file).view());
}

TEST(Derivation, AKeyFileOfLongAgoIsRead) {
  if (testing::rewriting_golden()) GTEST_SKIP() << "the file is being written";
  const auto file = keys::parse_key_file(as_bytes(testing::read_golden("derivation/key_file.txt")));
  ASSERT_OK(file);
  EXPECT_EQ(file->anchor.vault, kVault);
  EXPECT_EQ(file->member, (pattern<16>(0x30)));
  EXPECT_TRUE(equal(file->key.view(), pattern<32>(0x90)));
}

TEST(Derivation, RecoverySheet) {
  expect_golden("derivation/recovery_words.txt", keys::render_recovery_words(kVault, root()).view());
}

TEST(Derivation, ARecoverySheetOfLongAgoIsRead) {
  const std::string name = "derivation/recovery_sheet.txt";
  if (testing::rewriting_golden()) return expect_golden(name, keys::render_recovery_sheet(kVault, root(), "/srv/vault", {1795334400, 0}).view());
  const auto sheet = keys::parse_recovery_words(as_bytes(testing::read_golden(name)), std::nullopt);
  ASSERT_OK(sheet);
  EXPECT_EQ(sheet->vault, kVault);
  EXPECT_TRUE(equal(sheet->root.view(), root().view()));
}

}  // namespace
}  // namespace coppice::vault
