// Values of every encoding from one seed, for property tests. COPPICE_TEST_SEED sets the seed; a failing test prints it.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "format/block.h"
#include "format/index.h"
#include "format/keyring.h"
#include "format/pack.h"
#include "format/reference_list.h"
#include "format/snapshot.h"
#include "format/tree.h"

namespace coppice::format {

inline std::uint64_t test_seed() {
  const char* given = std::getenv("COPPICE_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 10) : 20260101;
}

// Holds a COPPICE_TEST_SEED line for every failure inside its scope.
#define WITH_SEED(i) SCOPED_TRACE(fmt::format("COPPICE_TEST_SEED={} round {}", test_seed(), i))

class Random {
 public:
  explicit Random(std::uint64_t salt = 0) : engine_(test_seed() ^ salt * 0x9E3779B97F4A7C15) {}
  std::uint64_t bits() { return engine_(); }
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  // Of any magnitude: small values are as likely as huge ones.
  std::uint64_t number(std::uint64_t max = ~0ull) {
    const std::uint64_t v = one_in(20) ? max : engine_() >> below(64);
    return max == ~0ull ? v : v % (max + 1);
  }
  std::uint32_t number32(std::uint64_t max = 0xffffffff) { return static_cast<std::uint32_t>(number(max)); }
  template <std::size_t N>
  std::array<std::byte, N> array() {
    std::array<std::byte, N> a;
    for (std::byte& b : a) b = std::byte(engine_());
    return a;
  }
  Bytes bytes(std::size_t n) {
    Bytes b(n);
    for (std::byte& x : b) x = std::byte(engine_());
    return b;
  }
  std::string text(std::size_t max) {
    std::string s(below(max + 1), ' ');
    for (char& c : s) c = static_cast<char>(one_in(8) ? engine_() : 'a' + below(26));
    return s;
  }
  std::string printable(std::size_t max) {
    std::string s(1 + below(max), ' ');
    for (char& c : s) c = static_cast<char>(' ' + below(95));
    return s;
  }
  Timestamp time() { return {static_cast<std::int64_t>(one_in(4) ? bits() : 1700000000 + below(1000)), one_in(3) ? 0 : number32(999'999'999)}; }
  SessionId session() { return {number32(), number32()}; }
  PackName pack() { return {session(), one_in(2) ? PackKind::kData : PackKind::kTree, number32(kPackSequenceMax)}; }
  Birth birth() { return {pack(), static_cast<std::uint16_t>(below(kPackBlocksMax))}; }
  ChunkRef chunk() {
    return {{array<32>()}, birth(), static_cast<std::uint16_t>(number(kBlockChunksMax - 1)), 1 + number32(kChunkBytesMax - 1)};
  }

 private:
  std::mt19937_64 engine_;
};

inline BlockHeader random_block_header(Random& random) {
  BlockHeader header;
  header.suite = static_cast<std::uint8_t>(random.below(256));
  header.type = static_cast<BlockType>(1 + random.below(3));
  header.birth = random.birth();
  if (header.type == BlockType::kSnapshot) header.birth = {{random.session(), PackKind::kData, kSnapshotSequence}, 0};
  header.epoch = random.number32();
  header.session_key = random.array<32>();
  header.salt = random.array<32>();
  header.sealed_bytes = kBlockTagBytes + 1 + random.number32(kBlockSealedBytesMax - kBlockTagBytes - 1);
  header.checksum = random.array<16>();
  return header;
}

inline ChunkTable random_chunk_table(Random& random) {
  ChunkTable table;
  table.codec = random.one_in(2) ? Codec::kStored : Codec::kZstd;
  std::uint32_t left = 1 + random.number32(65536);
  for (std::uint64_t n = 1 + random.below(20); n > 0 && left > 0; --n) {
    const std::uint32_t length = n == 1 ? left : 1 + static_cast<std::uint32_t>(random.below(left));
    table.chunks.push_back({{random.array<32>()}, length});
    left -= length;
  }
  return table;
}

inline std::uint32_t plain_bytes(const ChunkTable& table) {
  std::uint32_t sum = 0;
  for (const ChunkEntry& chunk : table.chunks) sum += chunk.length;
  return sum;
}

// Lie one after the other from 0.
inline std::vector<PackEntry> random_pack_entries(Random& random) {
  std::vector<PackEntry> entries;
  std::set<Birth> births;
  std::uint64_t offset = 0;
  for (std::uint64_t n = random.one_in(10) ? kPackBlocksMax : random.below(10); n > 0; --n) {
    const Birth birth = random.birth();
    if (!births.insert(birth).second) continue;
    const std::uint32_t bytes = kBlockHeaderBytes + random.number32(1u << 20);
    entries.push_back({birth, offset, bytes, random.array<32>()});
    offset += bytes;
  }
  return entries;
}

inline IndexHeader random_index_header(Random& random) {
  IndexHeader header;
  header.suite = static_cast<std::uint8_t>(random.below(256));
  header.session = random.session();
  header.number = random.number32();
  header.salt = random.array<32>();
  header.entries = random.number(kIndexEntriesMax);
  header.filter_pages = random.one_in(3) ? 0 : index_filter_pages(header.entries);
  return header;
}

inline std::vector<IndexEntry> random_index_page(Random& random, std::uint64_t entries_max = kIndexPageEntries) {
  std::vector<IndexEntry> entries(random.below(entries_max + 1));
  for (IndexEntry& entry : entries) {
    const ChunkRef chunk = random.chunk();
    entry = {random.array<16>(), chunk.birth, chunk.index, chunk.length};
  }
  std::ranges::sort(entries);
  return entries;
}

inline ReferenceSet random_reference_set(Random& random, std::uint64_t births) {
  ReferenceSet set;
  Birth birth;
  for (std::uint64_t i = 0; i < births; ++i) {
    if (random.one_in(50)) birth = random.birth();
    if (random.one_in(10)) birth.pack.sequence = (birth.pack.sequence + 1) % kPackSequenceMax;
    if (random.one_in(30)) birth.pack.session.slot += 1;
    birth.ordinal = static_cast<std::uint16_t>(random.below(kPackBlocksMax));
    set.add(birth);
  }
  return set;
}

inline std::vector<PackRecord> random_pack_records(Random& random, std::uint64_t count_max) {
  std::map<PackName, PackRecord> records;
  for (std::uint64_t n = 1 + random.below(count_max); n > 0; --n) {
    const PackName name = random.pack();
    records[name] = {name, random.number(kPackBytesMax), random.array<32>()};
  }
  std::vector<PackRecord> sorted;
  for (const auto& [name, record] : records) sorted.push_back(record);
  return sorted;
}

inline Claim random_claim(Random& random) {
  return {random.session(), random.one_in(2) ? SessionKind::kWriter : SessionKind::kHold, random.array<32>(), random.time()};
}

inline Commit random_commit(Random& random) {
  Commit commit;
  commit.write_features = random.number32();
  commit.ignorable_features = random.number32();
  commit.session = random.session();
  commit.lineage = random.array<32>();
  commit.sequence = 1 + random.number(1000);
  if (commit.sequence > 1) commit.previous = random.array<32>();
  commit.previous_session = random.session();
  commit.claimed_time = random.time();
  commit.list_root = random.array<32>();
  commit.packs.packs = random.number(3 * kPackPageRecordsMax);
  commit.packs.bytes = random.number(commit.packs.packs * kPackBytesMax);
  commit.packs.pages.resize((commit.packs.packs + kPackPageRecordsMax - 1) / kPackPageRecordsMax);
  for (Digest& page : commit.packs.pages) page = random.array<32>();
  for (auto* runs : {&commit.runs, &commit.superseded})
    for (std::uint64_t n = random.below(4); n > 0; --n)
      runs->push_back({random.session(), random.number32(), random.number(kIndexEntriesMax), random.number(), random.array<32>()});
  commit.sealed_body = random.bytes(random.below(300));
  return commit;
}

inline SnapshotBody random_snapshot_body(Random& random) {
  SnapshotBody body;
  body.host = random.text(20);
  for (auto* texts : {&body.sources, &body.tags, &body.includes, &body.excludes})
    for (std::uint64_t n = random.below(4); n > 0; --n) texts->push_back(random.text(30));
  std::ranges::sort(body.tags);
  body.user = random.text(10);
  body.program = random.text(20);
  body.started = random.time();
  body.finished = random.time();
  if (!random.one_in(4)) body.root = random.chunk();
  if (!random.one_in(4))
    body.root_entry = Entry{.type = EntryType::kDirectory, .mode = static_cast<std::uint32_t>(random.below(010000)),
                            .owner = {random.number32(), random.number32(), random.text(8), ""}, .mtime = random.time(),
                            .atime = random.time(), .ctime = random.time(), .device = random.number(), .inode = random.number()};
  for (std::uint64_t* v : {&body.files, &body.directories, &body.others, &body.bytes, &body.files_new, &body.files_changed,
                           &body.added_plain, &body.added_stored, &body.warnings, &body.duration_ms})
    *v = random.number();
  body.complete = random.one_in(2);
  return body;
}

inline Roster random_roster(Random& random) {
  Roster roster;
  roster.version = random.number32();
  roster.vault_description = random.array<32>();
  if (roster.version > 0) roster.previous = random.array<32>();
  std::set<std::string> names;
  for (std::uint64_t n = random.below(6); n > 0; --n) {
    Member member;
    member.id = random.array<16>();
    member.name = random.one_in(5) ? "Jürgen ☃" : random.printable(kMemberNameBytesMax);
    member.role = static_cast<Role>(1 + random.below(4));
    member.slot = static_cast<SlotKind>(1 + random.below(3));
    member.signing_key = random.array<32>();
    member.slot_key = random.array<32>();
    member.added = random.time();
    if (!names.insert(member.name).second || random.one_in(3)) member.revoked_from = random.session();
    for (std::uint32_t i = 0, n = member.revoked_from ? static_cast<std::uint32_t>(random.below(4)) : 0; i < n; ++i)
      if (const SessionId from = *member.revoked_from; from.slot >= 4 * (i + 1)) member.open_then.push_back({{from.generation, 4 * i}, 1 + i % 3});
    roster.members.push_back(member);
  }
  std::uint32_t number = 0;
  for (std::uint64_t n = random.below(4); n > 0; --n) roster.epochs.push_back({number += 1 + random.number32(100), random.array<32>()});
  return roster;
}

inline KeySlot random_key_slot(Random& random) {
  KeySlot slot;
  slot.kind = static_cast<SlotKind>(1 + random.below(3));
  slot.role = static_cast<Role>(1 + random.below(4));
  slot.member = random.array<16>();
  slot.slot_key = random.array<32>();
  if (slot.kind == SlotKind::kPassphrase) {
    slot.argon2_memory_kib = kSlotArgon2MemoryKibMin + random.number32(kSlotArgon2MemoryKibMax - kSlotArgon2MemoryKibMin);
    slot.argon2_passes = 1 + static_cast<std::uint32_t>(random.below(kSlotArgon2PassesMax));
    slot.argon2_salt = random.array<16>();
    slot.wrapped_private = random.bytes(kSlotWrappedPassphraseBytes);
  } else if (slot.kind == SlotKind::kKeyFile) {
    slot.wrapped_private = random.bytes(1 + random.below(kSlotWrappedBytesMax));
  }
  slot.sealed_bundle = random.bytes(1 + random.below(300));
  return slot;
}

inline VaultDescription random_vault_description(Random& random) {
  VaultDescription description;
  description.id = random.array<16>();
  description.owner = random.array<32>();
  description.created = {1700000000 + static_cast<std::int64_t>(random.below(1u << 30)), 0};
  for (auto* features : {&description.write_features, &description.ignorable_features})
    for (std::uint64_t n = random.below(3); n > 0; --n) features->push_back(fmt::format("feature-{}", random.below(100)));
  return description;
}

// An entry for a page whose chunk table is `chunks`; its name is left to the caller.
inline Entry random_entry(Random& random, const std::vector<ChunkRef>& chunks, const Slice& after) {
  Entry entry;
  entry.type = random.one_in(3) ? static_cast<EntryType>(1 + random.below(7)) : EntryType::kFile;
  entry.mode = random.one_in(2) ? 0644 : static_cast<std::uint32_t>(random.below(010000));
  entry.owner = random.one_in(3) ? Owner{random.number32(), random.number32(), random.text(8), random.text(40)} : Owner{0, 0, "root", "root"};
  entry.mtime = random.time();
  entry.atime = random.one_in(2) ? entry.mtime : random.time();
  entry.ctime = random.one_in(2) ? entry.mtime : random.time();
  switch (random.below(4)) {
    case 0: break;
    case 1: entry.btime = entry.ctime; break;
    case 2: entry.btime = entry.mtime; break;
    default: entry.btime = random.time();
  }
  entry.device = random.one_in(10) ? random.number() : 2049;
  entry.inode = random.number();
  if (entry.type != EntryType::kDirectory && random.one_in(5)) entry.links = 1 + random.number32(0xfffffffe);
  if (random.one_in(10)) entry.flags = random.number32();
  if (random.one_in(10)) entry.project = random.number32();
  if (random.one_in(10)) entry.marks = random.number32();
  if (random.one_in(3))
    entry.xattrs = {{"security.selinux", "unconfined_u:object_r:user_home_t:s0"}};
  else if (random.one_in(5)) {
    std::set<std::string> names;
    for (std::uint64_t n = random.below(4); n > 0; --n) {
      const std::string name = "user." + std::to_string(random.below(1000));
      if (names.insert(name).second) entry.xattrs.push_back({name, random.text(random.one_in(5) ? 2000 : 20)});
    }
    std::ranges::sort(entry.xattrs, {}, &Xattr::name);
  }
  const auto any_slice = [&]() -> Slice {
    if (chunks.empty() || random.one_in(6)) return {Slice::kHole, 0, 1 + random.number(1ull << 40)};
    const auto chunk = static_cast<std::uint32_t>(random.below(chunks.size()));
    const std::uint32_t length = chunks[chunk].length;
    if (random.one_in(2)) return {chunk, 0, length};
    const auto offset = static_cast<std::uint32_t>(random.below(length));
    return {chunk, offset, 1 + random.below(length - offset)};
  };
  switch (entry.type) {
    case EntryType::kFile:
      switch (random.below(6)) {
        case 0: break;
        case 1:
          entry.marks |= kMarkUnreadable;
          entry.size = random.number();
          break;
        case 2:
          if (random.one_in(5)) {
            entry.size = 1 + random.number(1ull << 60);
            for (std::uint64_t n = 1 + random.below(5); n > 0; --n) entry.extents.push_back(random.chunk());
          }
          break;
        case 3:
          for (std::uint64_t n = 2 + random.below(6); n > 0; --n) entry.slices.push_back(any_slice());
          break;
        case 4:   // where the last slice ended, if there is room
          if (after.length > 0 && after.offset + after.length < chunks[after.chunk].length) {
            const auto offset = after.offset + static_cast<std::uint32_t>(after.length);
            entry.slices.push_back({after.chunk, offset, 1 + random.below(chunks[after.chunk].length - offset)});
            break;
          }
          [[fallthrough]];
        default: entry.slices.push_back(any_slice());
      }
      for (const Slice& slice : entry.slices) entry.size += slice.length;
      break;
    case EntryType::kDirectory:
      if (random.one_in(2)) entry.child = random.chunk();
      break;
    case EntryType::kSymlink: entry.target = "to/" + std::to_string(random.number()); break;
    case EntryType::kCharDevice: case EntryType::kBlockDevice: entry.rdev = random.number(); break;
    default: break;
  }
  return entry;
}

struct RandomLeaf {
  std::vector<ChunkRef> chunks;
  std::vector<Entry> entries;
};
inline RandomLeaf random_leaf(Random& random, std::uint64_t entries_max) {
  RandomLeaf leaf;
  std::set<std::string> names;
  for (std::uint64_t n = random.below(entries_max + 1); n > 0; --n) {
    const std::string name = (random.one_in(2) ? "shared-" : "") + random.text(random.one_in(10) ? 248 : 12);
    if (is_valid_name(name)) names.insert(name);
  }
  if (random.one_in(10)) names.insert("");
  for (std::uint64_t n = random.below(8); n > 0; --n) leaf.chunks.push_back(random.chunk());
  Slice after;
  for (const std::string& name : names) {
    Entry& entry = leaf.entries.emplace_back(random_entry(random, leaf.chunks, after));
    entry.name = name;
    for (const Slice& slice : entry.slices)
      if (slice.chunk != Slice::kHole) after = slice;
  }
  return leaf;
}
inline Bytes encode(const RandomLeaf& leaf, LeafBuilder& builder) {
  for (const ChunkRef& chunk : leaf.chunks) builder.add_chunk(chunk);
  for (const Entry& entry : leaf.entries) builder.add_entry(entry);
  return builder.finish();
}

inline std::vector<IndexPageEntry> random_index_entries(Random& random) {
  std::set<std::string> names;
  for (std::uint64_t n = 1 + random.below(8); n > 0; --n)
    if (const std::string name = random.text(20); is_valid_name(name)) names.insert(name);
  if (names.empty()) names.insert("a");
  std::vector<IndexPageEntry> entries;
  for (const std::string& name : names) entries.push_back({name, random.chunk()});
  return entries;
}

inline ExtentPage random_extent_page(Random& random) {
  ExtentPage page;
  for (std::uint64_t n = random.below(8); n > 0; --n) page.chunks.push_back(random.chunk());
  for (std::uint64_t n = 1 + random.below(20); n > 0; --n) {
    if (page.chunks.empty() || random.one_in(5)) {
      page.slices.push_back({Slice::kHole, 0, 1 + random.number(1ull << 50)});
      continue;
    }
    const auto chunk = static_cast<std::uint32_t>(random.below(page.chunks.size()));
    const auto offset = random.one_in(2) ? 0 : static_cast<std::uint32_t>(random.below(page.chunks[chunk].length));
    page.slices.push_back({chunk, offset, page.chunks[chunk].length - offset});
  }
  return page;
}

template <class T>
void expect_refused(const Result<T>& result, ErrorKind kind, std::string_view part) {
  ASSERT_FALSE(result.has_value()) << "was accepted, though: " << part;
  EXPECT_EQ(result.error().kind(), kind) << result.error().message();
  EXPECT_NE(result.error().message().find(part), std::string::npos) << result.error().message() << "\n  does not say: " << part;
}
template <class T>
void expect_corrupt(const Result<T>& result, std::string_view part) {
  expect_refused(result, ErrorKind::kCorrupt, part);
}

}  // namespace coppice::format
