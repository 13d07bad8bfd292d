// One fixed value of every encoding, byte for byte as format 1 has it for ever: a vault written once must open always. The files
// are written anew only with COPPICE_REWRITE_GOLDEN=1, and then the tests report that they were skipped.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "format/random_values.h"

namespace coppice::format {
namespace {

template <std::size_t N>
std::array<std::byte, N> pattern(unsigned first) {
  std::array<std::byte, N> a;
  for (std::size_t i = 0; i < N; ++i) a[i] = std::byte(first + i);
  return a;
}

ChunkRef golden_chunk(unsigned n, std::uint32_t length) {
  return {{pattern<32>(n)}, {{{0, 3}, PackKind::kData, n}, static_cast<std::uint16_t>(n % 128)}, static_cast<std::uint16_t>(n * 2), length};
}

void expect_golden(const std::string& name, ByteSpan bytes) {
  const std::filesystem::path path = std::filesystem::path(COPPICE_TEST_SOURCE_DIR) / "golden/format1" / (name + ".bin");
  if (std::getenv("COPPICE_REWRITE_GOLDEN")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good()) << path;
    GTEST_SKIP() << "wrote " << path << " instead of comparing with it";
  }
  std::ifstream in(path, std::ios::binary);
  ASSERT_TRUE(in.good()) << path << " is missing";
  const std::string golden{std::istreambuf_iterator<char>(in), {}};
  EXPECT_TRUE(equal(as_bytes(golden), bytes)) << name << ": the encoding of format 1 has changed";
}

TEST(Golden, BlockHeader) {
  BlockHeader header;
  header.suite = 1;
  header.type = BlockType::kTree;
  header.birth = {{{7, 9}, PackKind::kTree, 11}, 13};
  header.epoch = 2;
  header.session_key = pattern<32>(0x10);
  header.salt = pattern<32>(0x40);
  header.sealed_bytes = 123456;
  header.checksum = pattern<16>(0x70);
  std::array<std::byte, kBlockHeaderBytes> bytes;
  encode_block_header(header, bytes);
  EXPECT_EQ(*decode_block_header(bytes), header);
  expect_golden("block_header", bytes);
}

TEST(Golden, SnapshotBlockHeader) {
  BlockHeader header;
  header.suite = 2;
  header.type = BlockType::kSnapshot;
  header.birth = {{{7, 9}, PackKind::kData, kSnapshotSequence}, 0};
  header.sealed_bytes = 500;
  std::array<std::byte, kBlockHeaderBytes> bytes;
  encode_block_header(header, bytes);
  EXPECT_EQ(*decode_block_header(bytes), header);
  expect_golden("block_header_snapshot", bytes);
}

TEST(Golden, ChunkTable) {
  const ChunkTable table{Codec::kStored, {{{pattern<32>(1)}, 3}, {{pattern<32>(2)}, 200}}};
  Bytes bytes;
  encode_chunk_table(table, bytes);
  bytes.resize(bytes.size() + 203, std::byte{0x5a});
  const auto decoded = decode_chunk_table(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->table, table);
  expect_golden("chunk_table", bytes);
}

TEST(Golden, Pack) {
  const std::vector<PackEntry> entries = {{{{{0, 3}, PackKind::kData, 1}, 0}, 0, 1000, pattern<32>(1)},
                                          {{{{0, 2}, PackKind::kData, 70000}, 127}, 1000, 1u << 20, pattern<32>(2)}};
  Bytes directory;
  encode_pack_directory(entries, directory);
  EXPECT_EQ(*decode_pack_directory(directory, 1000 + (1u << 20)), entries);
  Bytes bytes = pack_hash_input({{0, 3}, PackKind::kData, 1}, directory);
  const PackFooter footer{static_cast<std::uint32_t>(directory.size()), pattern<32>(9)};
  Bytes footer_bytes;
  encode_pack_footer(footer, footer_bytes);
  EXPECT_EQ(*decode_pack_footer(footer_bytes), footer);
  append(bytes, footer_bytes);
  expect_golden("pack_tail", bytes);   // name, directory, footer
}

TEST(Golden, Index) {
  const IndexHeader header{1, {0, 3}, 5, pattern<32>(0x20), 401, 1};
  Bytes bytes;
  encode_index_header(header, bytes);
  EXPECT_EQ(*decode_index_header(bytes), header);
  const std::vector<IndexEntry> entries = {{pattern<16>(1), {{{0, 3}, PackKind::kTree, 1}, 2}, 3, 4},
                                           {pattern<16>(0x81), {{{1, 0}, PackKind::kData, 0x7ffffffe}, 127}, 16383, kChunkBytesMax}};
  Bytes page;
  for (const IndexEntry& entry : entries) encode_index_entry(entry, page);
  EXPECT_EQ(*decode_index_page(page, 2), entries);
  append(bytes, page);
  Bytes filter(kIndexFilterPageBytes, std::byte{0});
  for (const IndexEntry& entry : entries) index_filter_add(filter, entry.prefix);
  for (const IndexEntry& entry : entries) EXPECT_TRUE(index_filter_may_contain(filter, entry.prefix));
  append(bytes, filter);
  expect_golden("index", bytes);   // header, entry page, filter page
}

TEST(Golden, ReferenceList) {
  ReferenceSet set;
  for (std::uint32_t i = 0; i < 40; ++i)
    set.add({{{i / 20, 1 + i / 10}, i % 3 ? PackKind::kData : PackKind::kTree, i * i}, static_cast<std::uint16_t>(i * 3)});
  const auto leaves = encode_reference_leaves(set);
  ASSERT_EQ(leaves.size(), 1u);
  ReferenceSet read;
  ASSERT_TRUE(decode_reference_leaf(leaves[0], read).has_value());
  EXPECT_EQ(read, set);
  Bytes bytes = leaves[0];
  const std::vector<Digest> hashes = {pattern<32>(1), pattern<32>(2)};
  const Bytes root = encode_reference_root(hashes);
  EXPECT_EQ(*decode_reference_root(root), hashes);
  append(bytes, root);
  expect_golden("reference_list", bytes);   // leaf, root
}

TEST(Golden, PackPage) {
  const std::vector<PackRecord> records = {{{{0, 1}, PackKind::kTree, 7}, 900, pattern<32>(3)},
                                           {{{0, 3}, PackKind::kData, 0}, 33554432, pattern<32>(4)},
                                           {{{0, 3}, PackKind::kTree, 1}, 70000, pattern<32>(5)}};
  const Bytes page = encode_pack_page(records);
  EXPECT_EQ(*decode_pack_page(page), records);
  expect_golden("pack_page", page);
}

TEST(Golden, Commit) {
  Commit commit;
  commit.write_features = 1;
  commit.ignorable_features = 0x80000000;
  commit.session = {0, 3};
  commit.lineage = pattern<32>(1);
  commit.sequence = 300;
  commit.previous = pattern<32>(2);
  commit.previous_session = {0, 2};
  commit.claimed_time = {1795334400, 123456789};
  commit.list_root = pattern<32>(3);
  commit.packs = {5000, 140000000000, {pattern<32>(4), pattern<32>(5)}};
  commit.runs = {{{0, 3}, 0, 15000, 620000, pattern<32>(6)}};
  commit.superseded = {{{0, 1}, 0, 100, 20000, pattern<32>(7)}};
  commit.sealed_body = to_bytes(as_bytes("sealed"));
  const Bytes body = encode_commit(commit);
  EXPECT_EQ(*decode_commit(body), commit);
  const Envelope envelope{body, pattern<16>(0x30), pattern<64>(0x80)};
  const Bytes bytes = encode_envelope(kCommitMagic, envelope);
  EXPECT_EQ(*decode_envelope(kCommitMagic, bytes), envelope);
  expect_golden("commit", bytes);
}

TEST(Golden, SignedMessage) {
  expect_golden("signed_message", signed_message(kForgetMagic, pattern<16>(1), as_bytes("body")));
}

TEST(Golden, SnapshotBody) {
  SnapshotBody body;
  body.host = "db1.example";
  body.sources = {"/etc", "/srv"};
  body.tags = {"daily", "manual"};
  body.includes = {"/srv/**"};
  body.excludes = {"*.tmp"};
  body.user = "root";
  body.program = "coppice 0.1.0";
  body.started = {1795334400, 1};
  body.finished = {1795334500, 999999999};
  body.root = golden_chunk(5, 4096);
  body.root_entry = Entry{.type = EntryType::kDirectory, .mode = 0755, .owner = {.uid = 0, .gid = 0, .user = "root", .group = "root"},
                          .mtime = {1795334000, 7}, .atime = {1795334001, 8}, .ctime = {1795334002, 9}, .device = 2049, .inode = 2,
                          .marks = kMarkPartial, .xattrs = {{"user.x", "y"}}};
  body.files = 1000000;
  body.directories = 50000;
  body.others = 12;
  body.bytes = 1ull << 40;
  body.files_new = 3;
  body.files_changed = 4;
  body.added_plain = 5000000;
  body.added_stored = 2000000;
  body.warnings = 1;
  body.duration_ms = 100000;
  body.complete = false;
  const Bytes bytes = encode_snapshot_body(body);
  EXPECT_EQ(*decode_snapshot_body(bytes), body);
  expect_golden("snapshot_body", bytes);
}

TEST(Golden, SmallBodies) {
  const Claim claim{{4, 5}, SessionKind::kHold, pattern<32>(1), {-1, 5}};
  Bytes bytes = encode_claim(claim);
  EXPECT_EQ(*decode_claim(bytes), claim);
  const Forget forget{{0, 3}, pattern<32>(2), {1795334400, 0}};
  const Bytes forget_bytes = encode_forget(forget);
  EXPECT_EQ(*decode_forget(forget_bytes), forget);
  append(bytes, forget_bytes);
  const Bytes generation = encode_empty_generation(0);
  EXPECT_EQ(*decode_empty_generation(generation), 0u);
  append(bytes, generation);
  expect_golden("claim_forget_generation", bytes);
}

TEST(Golden, Roster) {
  Roster roster;
  roster.version = 2;
  roster.vault_description = pattern<32>(1);
  roster.previous = pattern<32>(2);
  Member reader{pattern<16>(3), "restore desk ☃", Role::kReader, SlotKind::kPassphrase, pattern<32>(4), pattern<32>(5), {1795334400, 0}, {}};
  Member writer{pattern<16>(6), "db1", Role::kWriter, SlotKind::kKeyFile, pattern<32>(7), pattern<32>(8), {1795334401, 2}, SessionId{0, 300}, {{{0, 17}, 1}, {{0, 290}, 10}}};
  roster.members = {reader, writer};
  roster.epochs = {{0, pattern<32>(9)}, {1, pattern<32>(10)}};
  const Bytes bytes = encode_roster(roster);
  EXPECT_EQ(*decode_roster(bytes), roster);
  expect_golden("roster", bytes);
}

TEST(Golden, KeySlots) {
  KeySlot slot;
  slot.kind = SlotKind::kPassphrase;
  slot.role = Role::kOwner;
  slot.member = pattern<16>(1);
  slot.slot_key = pattern<32>(2);
  slot.argon2_memory_kib = 131072;
  slot.argon2_passes = 3;
  slot.argon2_salt = pattern<16>(3);
  slot.wrapped_private = to_bytes(pattern<128>(4));
  slot.sealed_bundle = to_bytes(pattern<145>(5));
  const Bytes bytes = encode_key_slot(slot);
  EXPECT_EQ(*decode_key_slot(bytes), slot);
  expect_golden("key_slot_passphrase", bytes);
}

TEST(Golden, RecipientSlot) {
  KeySlot slot;
  slot.kind = SlotKind::kRecipient;
  slot.role = Role::kReader;
  slot.member = pattern<16>(1);
  slot.slot_key = pattern<32>(2);
  slot.sealed_bundle = to_bytes(pattern<145>(5));
  const Bytes bytes = encode_key_slot(slot);
  EXPECT_EQ(*decode_key_slot(bytes), slot);
  expect_golden("key_slot_recipient", bytes);
}

TEST(Golden, VaultDescription) {
  VaultDescription description;
  description.id = pattern<16>(0xa0);
  description.owner = pattern<32>(0xb0);
  description.created = {1795334400, 0};
  description.ignorable_features = {"parity-hints"};
  const Bytes bytes = encode_vault_description(description);
  EXPECT_EQ(*decode_vault_description(bytes), description);
  expect_golden("vault_description", bytes);
}

// Every type, every bit of the head, every form of content.
std::vector<Entry> golden_entries() {
  std::vector<Entry> entries;
  const auto add = [&](const char* name, EntryType type, std::uint32_t mode) -> Entry& {
    Entry& entry = entries.emplace_back();
    entry.name = name;
    entry.type = type;
    entry.mode = mode;
    entry.owner = {1000, 100, "alice", "users"};
    entry.mtime = entry.atime = entry.ctime = {1700000000, 0};
    entry.device = 2049;
    entry.inode = 5000 + entries.size();
    return entry;
  };
  const auto with = [](Entry& entry, std::vector<Slice> slices) {
    entry.slices = std::move(slices);
    for (const Slice& slice : entry.slices) entry.size += slice.length;
  };
  add("block", EntryType::kBlockDevice, 0660).rdev = 0x801;
  add("char", EntryType::kCharDevice, 0666).rdev = 0x103;
  add("dir", EntryType::kDirectory, 0755).child = golden_chunk(60, 777);
  add("dir-empty", EntryType::kDirectory, 0755).marks = kMarkMountPoint | kMarkSubvolume;
  add("fifo", EntryType::kFifo, 0600).owner = {0, 0, "root", ""};
  add("file-1-empty", EntryType::kFile, 04755);
  with(add("file-2-grouped", EntryType::kFile, 0644), {{0, 0, 1000}});
  with(add("file-3-next", EntryType::kFile, 0644), {{0, 1000, 500}});
  with(add("file-4-whole", EntryType::kFile, 0644), {{1, 0, 524288}});
  with(add("file-5-sparse", EntryType::kFile, 0644), {{1, 0, 524288}, {Slice::kHole, 0, 1ull << 33}, {2, 7, 100}, {0, 2, 3}});
  with(add("file-6-hole", EntryType::kFile, 0644), {{Slice::kHole, 0, 4096}});
  Entry& huge = add("file-7-huge", EntryType::kFile, 0644);
  huge.size = 1ull << 42;
  huge.extents = {golden_chunk(61, 30000), golden_chunk(62, 20000)};
  Entry& lost = add("file-8-unreadable", EntryType::kFile, 0);
  lost.size = 12345;
  lost.marks = kMarkUnreadable;
  Entry& odd = add("file-9-odd", EntryType::kFile, 0644);
  odd.mtime = {INT64_MIN, 999'999'999};
  odd.atime = {INT64_MAX, 1};
  odd.ctime = {-1, 2};
  odd.btime = Timestamp{-2, 3};
  odd.links = 3;
  odd.flags = 0x10;
  odd.project = 77;
  odd.xattrs = {{"security.selinux", "system_u:object_r:etc_t:s0"}, {"user.note", std::string("\0\xff", 2)}};
  Entry& same = add("file-a-same-attributes", EntryType::kFile, 0644);
  same.xattrs = odd.xattrs;
  same.btime = same.ctime;
  same.inode = ~0ull;
  same.device = 7;
  Entry& born = add("file-b-changed", EntryType::kFile, 0644);
  born.ctime = {1700000100, 5};
  born.btime = born.mtime;
  add("link", EntryType::kSymlink, 0777).target = "../else/where";
  add("socket", EntryType::kSocket, 0755);
  add("\xff\xfe", EntryType::kFile, 0644);
  return entries;
}

TEST(Golden, TreeLeaf) {
  const auto entries = golden_entries();
  LeafBuilder builder;
  for (unsigned n : {10u, 20u, 30u}) builder.add_chunk(golden_chunk(n, n == 10 ? 1500 : 524288));
  for (const Entry& entry : entries) builder.add_entry(entry);
  const Bytes page = builder.finish();
  auto reader = LeafReader::open(page);
  ASSERT_TRUE(reader.has_value());
  Entry entry;
  for (const Entry& expected : entries) {
    const auto more = reader->next(entry);
    ASSERT_TRUE(more.has_value()) << more.error().message();
    ASSERT_TRUE(*more);
    EXPECT_TRUE(entry == expected) << expected.name;
  }
  EXPECT_FALSE(*reader->next(entry));
  expect_golden("tree_leaf", page);
}

TEST(Golden, TreeIndexPage) {
  const std::vector<IndexPageEntry> entries = {{"a", golden_chunk(1, 65536)}, {"mmm", golden_chunk(2, 70000)}};
  const Bytes bytes = encode_index_page(entries);
  EXPECT_EQ(*decode_index_page_entries(bytes), entries);
  expect_golden("tree_index", bytes);
}

TEST(Golden, ExtentPage) {
  const ExtentPage page{{golden_chunk(1, 1000), golden_chunk(2, 2000)}, {{0, 0, 1000}, {Slice::kHole, 0, 1ull << 40}, {1, 0, 2000}, {0, 1, 2}}};
  const Bytes bytes = encode_extent_page(page);
  EXPECT_EQ(*decode_extent_page(bytes), page);
  expect_golden("extent_page", bytes);
}

// The rule that cuts huge directories is no encoding, but two versions that cut apart would store unchanged directories anew.
TEST(Golden, LeafPageEnds) {
  std::string ends;
  for (int i = 0; i < 20000; ++i)
    if (leaf_page_ends(kLeafSoftBytes, fmt::format("name-{}", i))) ends += fmt::format("name-{}\n", i);
  expect_golden("leaf_page_ends", as_bytes(ends));
}

}  // namespace
}  // namespace coppice::format
