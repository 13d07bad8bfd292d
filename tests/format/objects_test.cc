// Ids, blocks, packs, index runs and reference lists.
#include "format/random_values.h"

namespace coppice::format {
namespace {

template <class F>
Bytes made(F&& encode) {
  Bytes out;
  Writer w(out);
  encode(w);
  return out;
}

TEST(ObjectNames, RoundTripAndAreUnique) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const PackName pack = random.pack();
    EXPECT_EQ(parse_pack_object(pack_object(pack)), pack);
    const SessionId session = random.session();
    EXPECT_EQ(parse_slot_object(slot_object(session)), session);
    EXPECT_EQ(parse_snapshot_object(snapshot_object(session)), session);
  }
  EXPECT_EQ(pack_object({{0, 3}, PackKind::kTree, 1}), "trees/0/3/1");
  EXPECT_EQ(index_object({0, 3}, 1), "index/0/3/1");
  EXPECT_EQ(plan_object(4), "generations/4/plan");
  EXPECT_EQ(seal_object(4), "generations/4/seal");
  EXPECT_EQ(forget_object({0, 3}), "forgets/0.3");
  EXPECT_EQ(roster_object(0), "roster/0");
  EXPECT_EQ(key_object(MemberId{}), "keys/00000000000000000000000000000000");
  EXPECT_EQ(list_object(Digest{}), "lists/" + std::string(64, '0'));
  for (const std::string_view name : {"", "packs", "packs/0/3", "packs/0/3/", "packs/0/3/01", "packs/0/3/1/", "packs/0/3/-1", "packs/0/3/+1",
                                      "packs/0/3/ 1", "packs/4294967296/3/1", "packs/0/3/2147483647", "lists/0/3/1", "packs//3/1", "Packs/0/3/1"})
    expect_refused(parse_pack_object(name), ErrorKind::kInvalid, "does not name a pack");
  for (const std::string_view name : {"generations/0/slots/3.1", "generations/0/slot/3", "generations/0/slots/", "generations/00/slots/1"})
    expect_refused(parse_slot_object(name), ErrorKind::kInvalid, "does not name a slot");
  for (const std::string_view name : {"snapshots/0", "snapshots/0.", "snapshots/0.3.1", "snapshots/.3", "snapshots/0/3"})
    expect_refused(parse_snapshot_object(name), ErrorKind::kInvalid, "does not name a snapshot");
}

TEST(Birth, RoundTripAndBounds) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const ChunkRef ref = random.chunk();
    const Bytes bytes = made([&](Writer& w) { encode_chunk_ref(w, ref); });
    Reader r(bytes);
    EXPECT_EQ(decode_chunk_ref(r), ref);
    EXPECT_TRUE(r.complete());
  }
  const auto refused = [](std::initializer_list<std::uint64_t> numbers) {
    const Bytes bytes = made([&](Writer& w) { for (const std::uint64_t v : numbers) w.varint(v); });
    Reader r(bytes);
    decode_birth(r);
    return !r.complete();
  };
  EXPECT_FALSE(refused({1, 2, 3, 127}));
  EXPECT_TRUE(refused({1, 2, 3, 128}));
  EXPECT_TRUE(refused({1ull << 32, 2, 3, 0}));
  EXPECT_TRUE(refused({1, 1ull << 32, 3, 0}));
  EXPECT_FALSE(refused({1, 2, 0xfffffffd, 0}));
  EXPECT_TRUE(refused({1, 2, 0xfffffffe, 0}));   // a commit's block: nothing refers to it
  const auto length_refused = [](std::uint64_t index, std::uint64_t length) {
    const Bytes bytes = made([&](Writer& w) {
      w.bytes(Digest{});
      for (const std::uint64_t v : {std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{0}, index, length}) w.varint(v);
    });
    Reader r(bytes);
    decode_chunk_ref(r);
    return !r.complete();
  };
  EXPECT_FALSE(length_refused(0, 1));
  EXPECT_FALSE(length_refused(kBlockChunksMax - 1, kChunkBytesMax));
  EXPECT_TRUE(length_refused(0, 0));
  EXPECT_TRUE(length_refused(0, kChunkBytesMax + 1));
  EXPECT_TRUE(length_refused(kBlockChunksMax, 1));
}

Bytes header_bytes(const BlockHeader& header) {
  std::array<std::byte, kBlockHeaderBytes> out;
  encode_block_header(header, out);
  return to_bytes(out);
}

TEST(BlockHeader, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const BlockHeader header = random_block_header(random);
    const auto decoded = decode_block_header(header_bytes(header));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, header);
  }
  BlockHeader header;
  header.sealed_bytes = 1000;
  const Bytes good = header_bytes(header);
  const auto with = [&](std::size_t at, std::uint32_t value, std::size_t bytes = 1) {
    Bytes bad = good;
    for (std::size_t i = 0; i < bytes; ++i) bad[at + i] = std::byte(value >> 8 * i);
    return decode_block_header(bad);
  };
  EXPECT_TRUE(with(0, 'C').has_value());
  for (std::size_t i = 0; i < 8; ++i) expect_corrupt(with(i, '?'), "magic");
  expect_corrupt(with(9, 0), "unknown block type");
  expect_corrupt(with(9, 4), "unknown block type");
  expect_corrupt(with(26, 2), "unknown pack kind");
  for (const std::size_t at : {10, 11, 27, 36, 39, 104, 120, 143}) expect_corrupt(with(at, 1), "reserved");
  expect_corrupt(with(20, kSnapshotSequence, 4), "pack number");
  expect_corrupt(with(24, kPackBlocksMax, 2), "ordinal");
  expect_corrupt(with(9, 3), "snapshot block");
  expect_corrupt(with(32, kBlockTagBytes, 4), "length of the ciphertext");
  expect_corrupt(with(32, kBlockSealedBytesMax + 1, 4), "length of the ciphertext");
  expect_corrupt(decode_block_header(ByteSpan(good).first(159)), "ends early");
  Bytes longer = good;
  longer.push_back(std::byte{0});
  expect_corrupt(decode_block_header(longer), "left over");
}

TEST(ChunkTable, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const ChunkTable table = random_chunk_table(random);
    Bytes opened;
    encode_chunk_table(table, opened);
    const std::size_t table_bytes = opened.size();
    append(opened, random.bytes(table.codec == Codec::kStored ? plain_bytes(table) : 1 + random.below(100)));
    const auto decoded = decode_chunk_table(opened);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(decoded->table, table);
    EXPECT_EQ(decoded->plain_bytes, plain_bytes(table));
    EXPECT_EQ(decoded->table_bytes, table_bytes);
  }
  const auto table = [](std::uint8_t codec, std::uint32_t total, std::initializer_list<std::uint64_t> lengths, std::size_t payload) {
    return decode_chunk_table(made([&](Writer& w) {
      w.u8(codec);
      w.u32(total);
      w.varint(lengths.size());
      for (const std::uint64_t length : lengths) {
        w.bytes(Digest{});
        w.varint(length);
      }
      w.bytes(Bytes(payload, std::byte{7}));
    }));
  };
  EXPECT_TRUE(table(0, 3, {1, 2}, 3).has_value());
  expect_corrupt(table(2, 3, {1, 2}, 3), "unknown codec");
  expect_corrupt(table(0, 3, {1, 2}, 2), "stored payload");
  expect_corrupt(table(0, 3, {1, 2}, 4), "stored payload");
  expect_corrupt(table(1, 3, {1, 2}, 0), "no payload");
  expect_corrupt(table(0, 4, {1, 2}, 4), "do not sum");
  expect_corrupt(table(0, 0, {}, 0), "holds no chunk");
  expect_corrupt(table(0, 1, {1, 0}, 1), "a chunk is empty");
  expect_corrupt(table(1, kChunkBytesMax + 1, {kChunkBytesMax + 1}, 1), "too large");
  expect_corrupt(table(1, 3 * kChunkBytesMax, {kChunkBytesMax, kChunkBytesMax, kChunkBytesMax}, 1), "longer than a block may be");
  expect_corrupt(decode_chunk_table(made([](Writer& w) {
                   w.u8(1);
                   w.u32(1);
                   w.varint(kBlockChunksMax);
                 })), "larger than what follows");
}

TEST(PackDirectory, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const auto entries = random_pack_entries(random);
    Bytes bytes;
    encode_pack_directory(entries, bytes);
    EXPECT_LE(bytes.size(), kPackDirectoryBytesMax);
    const std::uint64_t end = entries.empty() ? 0 : entries.back().offset + entries.back().bytes;
    const auto decoded = decode_pack_directory(bytes, end);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, entries);
    expect_corrupt(decode_pack_directory(bytes, end + 1), "do not end where the directory begins");
  }
  const auto directory = [](const std::vector<PackEntry>& entries, std::uint64_t end) {
    Bytes bytes;
    encode_pack_directory(entries, bytes);
    return decode_pack_directory(bytes, end);
  };
  const Birth a{{{0, 1}, PackKind::kData, 0}, 0}, b{{{0, 1}, PackKind::kData, 0}, 1};
  EXPECT_TRUE(directory({{a, 0, 200, {}}, {b, 200, 300, {}}}, 500).has_value());
  expect_corrupt(directory({{a, 0, 200, {}}, {b, 201, 299, {}}}, 500), "does not begin where");
  expect_corrupt(directory({{a, 1, 200, {}}}, 201), "does not begin where");
  expect_corrupt(directory({{a, 0, 200, {}}, {a, 200, 300, {}}}, 500), "twice");
  expect_corrupt(directory({}, kPackBytesMax + 1), "longer than a pack may be");
  expect_corrupt(decode_pack_directory(made([&](Writer& w) {
                   w.varint(1);
                   encode_birth(w, a);
                   w.varint(0);
                   w.varint(159);
                   w.bytes(Digest{});
                 }), 159), "shorter than its header");
  expect_corrupt(decode_pack_directory(made([](Writer& w) { w.varint(129); }), 0), "too large");
}

TEST(PackFooter, RoundTripAndBreaches) {
  Bytes bytes;
  PackFooter footer{77, {}};
  footer.hash.fill(std::byte{9});
  encode_pack_footer(footer, bytes);
  ASSERT_EQ(bytes.size(), kPackFooterBytes);
  EXPECT_EQ(*decode_pack_footer(bytes), footer);
  const auto with = [&](std::size_t at, int value) {
    Bytes bad = bytes;
    bad[at] = std::byte(value);
    return decode_pack_footer(bad);
  };
  expect_corrupt(with(3, 'x'), "magic");
  expect_corrupt(with(8, 0), "length of the directory");
  expect_corrupt(with(11, 1), "length of the directory");
  expect_corrupt(with(12, 1), "reserved");
}

TEST(PackHash, CoversTheName) {
  const Bytes directory = to_bytes(as_bytes("directory"));
  const Bytes input = pack_hash_input({{1, 2}, PackKind::kTree, 3}, directory);
  const unsigned char expected[] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1};
  ASSERT_EQ(input.size(), sizeof expected + directory.size());
  EXPECT_EQ(std::memcmp(input.data(), expected, sizeof expected), 0);
}

TEST(IndexHeader, RoundTripAndBreaches) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    const IndexHeader header = random_index_header(random);
    Bytes bytes;
    encode_index_header(header, bytes);
    ASSERT_EQ(bytes.size(), kIndexHeaderBytes);
    const auto decoded = decode_index_header(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, header);
  }
  IndexHeader header;
  header.entries = 1000;
  header.filter_pages = 1;
  Bytes good;
  encode_index_header(header, good);
  const auto with = [&](std::size_t at, int value) {
    Bytes bad = good;
    bad[at] = std::byte(value);
    return decode_index_header(bad);
  };
  expect_corrupt(with(7, '2'), "magic");
  for (const std::size_t at : {9, 11, 68, 95}) expect_corrupt(with(at, 1), "reserved");
  expect_corrupt(with(61, 1), "more entries");
  expect_corrupt(with(64, 2), "filter");
  EXPECT_TRUE(with(64, 0).has_value());
}

TEST(IndexPage, RoundTripAndBreaches) {
  const auto page = [](const std::vector<IndexEntry>& entries) {
    Bytes bytes;
    for (const IndexEntry& entry : entries) encode_index_entry(entry, bytes);
    return bytes;
  };
  for (int i = 0; i < 50; ++i) {
    WITH_SEED(i);
    Random random(i);
    const auto entries = random_index_page(random);
    const auto decoded = decode_index_page(page(entries), static_cast<std::uint32_t>(entries.size()));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, entries);
    expect_corrupt(decode_index_page(page(entries), static_cast<std::uint32_t>(entries.size()) + 1), "");
  }
  IndexEntry a, b;
  a.length = b.length = 1;
  b.prefix[15] = std::byte{1};
  EXPECT_TRUE(decode_index_page(page({a, b}), 2).has_value());
  expect_corrupt(decode_index_page(page({b, a}), 2), "strict order");
  expect_corrupt(decode_index_page(page({a, a}), 2), "strict order");
  expect_corrupt(decode_index_page({}, kIndexPageEntries + 1), "more entries are expected");
  const auto with = [&](std::size_t at, int value) {
    Bytes bad = page({a});
    bad[at] = std::byte(value);
    return decode_index_page(bad, 1);
  };
  expect_corrupt(with(28, 128), "birth");
  expect_corrupt(with(31, 0x40), "number in its block");
  expect_corrupt(with(32, 0), "length");
  expect_corrupt(with(35, 1), "length");
  expect_corrupt(with(36, 1), "reserved");
}

TEST(IndexFilter, MissesNothingAndSeldomErrs) {
  Random random;
  constexpr std::uint64_t kEntries = 100'000;
  Bytes filter(std::size_t{index_filter_pages(kEntries)} * kIndexFilterPageBytes, std::byte{0});
  EXPECT_GE(filter.size() * 8, kEntries * 10);
  std::vector<std::array<std::byte, 16>> members(kEntries);
  for (auto& member : members) index_filter_add(filter, member = random.array<16>());
  for (const auto& member : members) EXPECT_TRUE(index_filter_may_contain(filter, member));
  int errors = 0;
  for (std::uint64_t i = 0; i < kEntries; ++i) errors += index_filter_may_contain(filter, random.array<16>());
  EXPECT_LT(errors, static_cast<int>(kEntries / 40));   // 2.5 %
  EXPECT_TRUE(index_filter_may_contain({}, members[0]));
  EXPECT_EQ(index_filter_pages(0), 0u);
  EXPECT_EQ(index_filter_pages(kIndexPageEntries), 0u);
  EXPECT_EQ(index_filter_pages(kIndexPageEntries + 1), 1u);
  EXPECT_EQ(index_filter_pages(kIndexEntriesMax), 1280u);
}

TEST(ReferenceList, RoundTripOfManyLeaves) {
  for (int i = 0; i < 20; ++i) {
    WITH_SEED(i);
    Random random(i);
    const ReferenceSet set = random_reference_set(random, i * 1000);
    ReferenceSet read;
    for (const Bytes& leaf : encode_reference_leaves(set)) {
      const auto decoded = decode_reference_leaf(leaf, read);
      ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    }
    EXPECT_EQ(read, set);
  }
}

TEST(ReferenceList, AnUnchangedPartKeepsItsLeaves) {
  ReferenceSet set;
  for (std::uint32_t slot = 0; slot < 200; ++slot)
    for (std::uint32_t sequence = 0; sequence < 50; ++sequence) set.add({{{0, slot}, PackKind::kData, sequence}, 5});
  const auto before = encode_reference_leaves(set);
  EXPECT_GT(before.size(), 10u);
  set.add({{{0, 100}, PackKind::kTree, 7}, 0});
  const auto after = encode_reference_leaves(set);
  std::size_t same = 0;
  for (const Bytes& leaf : before) same += std::ranges::find(after, leaf) != after.end();
  EXPECT_GE(same + 1, before.size());
}

TEST(ReferenceList, ContainsWhatWasAdded) {
  ReferenceSet set;
  const Birth birth{{{1, 2}, PackKind::kTree, 3}, 127};
  EXPECT_FALSE(set.contains(birth));
  set.add(birth);
  EXPECT_TRUE(set.contains(birth));
  EXPECT_FALSE(set.contains({birth.pack, 126}));
  EXPECT_FALSE(set.contains({birth.pack, 63}));
  set.add(birth.pack, OrdinalSet{1, 0});
  EXPECT_TRUE(set.contains({birth.pack, 0}));
  EXPECT_TRUE(set.contains(birth));
  ReferenceSet empty;
  empty.add(birth.pack, OrdinalSet{});
  EXPECT_TRUE(empty.packs().empty());
  EXPECT_TRUE(encode_reference_leaves(empty).empty());
}

TEST(ReferenceList, Breaches) {
  // (generation, slot, sequence and kind) deltas, each followed by a set
  const auto leaf = [](std::initializer_list<std::array<std::uint64_t, 4>> packs) {
    ReferenceSet into;
    into.add({{{9, 9}, PackKind::kData, 9}, 9});
    const ReferenceSet before = into;
    auto result = decode_reference_leaf(made([&](Writer& w) {
                                          w.bytes(as_bytes("CPLIST01"));
                                          w.u8(0);
                                          w.varint(packs.size());
                                          for (const auto& pack : packs) {
                                            for (int i = 0; i < 3; ++i) w.varint(pack[i]);
                                            w.u64(pack[3]);
                                            w.u64(0);
                                          }
                                        }), into);
    EXPECT_EQ(result.has_value(), !(into == before));
    return result;
  };
  EXPECT_TRUE(leaf({{0, 1, 2, 1}, {0, 0, 0, 1}}).has_value());
  expect_corrupt(leaf({}), "holds no pack");
  expect_corrupt(leaf({{0, 1, 2, 0}}), "without a block");
  expect_corrupt(leaf({{0, 1, 3, 1}, {0, 0, 0, 1}}), "strict order");    // data packs come before tree packs
  expect_corrupt(leaf({{0xffffffff, 1, 2, 1}, {1, 0, 0, 1}}), "out of bounds");
  expect_corrupt(leaf({{0, 0xffffffff, 2, 1}, {0, 1, 0, 1}}), "out of bounds");
  expect_corrupt(leaf({{0, 1, 0xfffffffc, 1}, {0, 0, 0, 1}}), "out of bounds");
  expect_corrupt(leaf({{0, 0, 0, 1}, {0, 0, 0, 1}}), "goes on where a leaf ends");   // (0 * 31 + 0) ends a leaf
  ReferenceSet into;
  expect_corrupt(decode_reference_leaf(encode_reference_root({}), into), "another kind");
  expect_corrupt(decode_reference_leaf(made([](Writer& w) { w.bytes(as_bytes("CPLIST02")); }), into), "magic");
  expect_corrupt(decode_reference_root(made([](Writer& w) {
                   w.bytes(as_bytes("CPLIST01"));
                   w.u8(1);
                   w.varint(kListRootLeavesMax + 1);
                 })), "too large");
  EXPECT_TRUE(decode_reference_root(encode_reference_root({}))->empty());
  EXPECT_EQ(decode_reference_root(encode_reference_root({Digest{}, Digest{}}))->size(), 2u);
}

}  // namespace
}  // namespace coppice::format
