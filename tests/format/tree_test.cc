#include "format/random_values.h"

namespace coppice::format {
namespace {

ChunkRef chunk_of(std::uint8_t id, std::uint32_t length) {
  ChunkRef ref;
  ref.id.bytes.fill(std::byte{id});
  ref.birth = {{{0, 1}, PackKind::kData, 2}, 3};
  ref.length = length;
  return ref;
}

Entry file(std::string name, std::vector<Slice> slices = {}) {
  Entry entry;
  entry.name = std::move(name);
  entry.mode = 0644;
  entry.slices = std::move(slices);
  for (const Slice& slice : entry.slices) entry.size += slice.length;
  return entry;
}

Result<std::vector<Entry>> read_all(ByteSpan page) {
  auto reader = TRY(LeafReader::open(page));
  std::vector<Entry> entries;
  Entry entry;
  while (TRY(reader.next(entry))) entries.push_back(entry);
  return entries;
}

// A leaf page put together by hand, for pages that LeafBuilder would not make.
struct RawLeaf {
  std::vector<ChunkRef> chunks;
  std::vector<Owner> owners = {{0, 0, "", ""}};
  std::uint64_t count = 0;
  Bytes entries;

  // head, then a name that shares nothing
  RawLeaf& entry(std::uint64_t head, std::string_view name, std::uint8_t shared = 0) {
    ++count;
    Writer w(entries);
    w.varint(head);
    w.u8(shared);
    w.u8(static_cast<std::uint8_t>(name.size()));
    w.bytes(as_bytes(name));
    return *this;
  }
  RawLeaf& numbers(std::initializer_list<std::uint64_t> values) {
    Writer w(entries);
    for (const std::uint64_t v : values) w.varint(v);
    return *this;
  }
  RawLeaf& u32(std::uint32_t v) { return Writer(entries).u32(v), *this; }
  RawLeaf& text(std::string_view s) { return Writer(entries).text(s), *this; }
  RawLeaf& ref(const ChunkRef& chunk) {
    Writer w(entries);
    encode_chunk_ref(w, chunk);
    return *this;
  }
  Bytes page() const {
    Bytes out;
    Writer w(out);
    w.u8(1);
    w.u8(0);
    w.varint(chunks.size());
    for (const ChunkRef& chunk : chunks) encode_chunk_ref(w, chunk);
    w.varint(owners.size());
    for (const Owner& owner : owners) {
      w.varint(owner.uid);
      w.varint(owner.gid);
      w.text(owner.user);
      w.text(owner.group);
    }
    w.varint(count);
    w.bytes(entries);
    return out;
  }
};

constexpr std::uint64_t kFile = 1, kDirectory = 2, kSymlink = 3, kFifo = 6;
constexpr std::uint64_t kMode = 1 << 3, kOwner = 1 << 4, kAtime = 1 << 5, kCtime = 1 << 6, kNext = 1 << 7, kOne = 2 << 7, kList = 3 << 7,
                        kBtimeIsCtime = 1 << 9, kBtimeIsMtime = 2 << 9, kBtime = 3 << 9, kNanoseconds = 1 << 11, kXattrs = 1 << 12,
                        kXattrsRepeated = 2 << 12, kDevice = 1 << 14, kLinks = 1 << 15, kFlags = 1 << 16, kMarks = 1 << 18;

TEST(Leaf, RoundTripOfRandomPages) {
  LeafBuilder builder;   // one for all, as a backup uses it
  for (int i = 0; i < 500; ++i) {
    WITH_SEED(i);
    Random random(i);
    const RandomLeaf leaf = random_leaf(random, random.one_in(20) ? 500 : 20);
    for (const ChunkRef& chunk : leaf.chunks) builder.add_chunk(chunk);
    for (const Entry& entry : leaf.entries) {
      ASSERT_TRUE(check_entry(entry).has_value()) << check_entry(entry).error().message();
      builder.add_entry(entry);
    }
    EXPECT_EQ(builder.chunks(), leaf.chunks);
    EXPECT_EQ(builder.entries(), leaf.entries.size());
    const std::size_t about = builder.encoded_bytes();
    const Bytes page = builder.finish();
    EXPECT_GE(about, page.size());
    EXPECT_LE(about, page.size() + 16);
    EXPECT_EQ(builder.entries(), 0u);
    auto reader = LeafReader::open(page);
    ASSERT_TRUE(reader.has_value()) << reader.error().message();
    EXPECT_EQ(reader->chunks(), leaf.chunks);
    EXPECT_EQ(reader->count(), leaf.entries.size());
    const auto entries = read_all(page);
    ASSERT_TRUE(entries.has_value()) << entries.error().message();
    EXPECT_TRUE(*entries == leaf.entries);
  }
}

TEST(Leaf, EqualDirectoriesGiveEqualBytesWhateverTheBuilderDidBefore) {
  Random random;
  LeafBuilder fresh, used;
  for (int i = 0; i < 20; ++i) encode(random_leaf(random, 300), used);
  const RandomLeaf leaf = random_leaf(random, 50);
  EXPECT_TRUE(equal(encode(leaf, fresh), encode(leaf, used)));
}

TEST(Leaf, AnOrdinaryEntryIsSmall) {
  LeafBuilder builder;
  const auto chunk = builder.add_chunk(chunk_of(1, 1 << 20));
  std::uint32_t offset = 0;
  for (int i = 0; i < 1000; ++i) {
    Entry entry = file(fmt::format("photo-{:05}.jpg", i), {{chunk, offset, 1000}});
    offset += 1000;
    entry.owner = {1000, 1000, "alice", "alice"};
    entry.mtime = entry.atime = entry.ctime = {1700000000 + i, 123456789};
    entry.btime = entry.ctime;
    entry.inode = static_cast<std::uint64_t>(5000 + i);
    builder.add_entry(entry);
  }
  EXPECT_LE(builder.finish().size(), 20'000u);
}

TEST(Leaf, ADistinctChunkStandsInTheTableOnce) {
  Random random;
  LeafBuilder builder;
  std::vector<ChunkRef> chunks;
  for (int i = 0; i < 3000; ++i) {
    chunks.push_back(random.chunk());
    EXPECT_EQ(builder.add_chunk(chunks.back()), static_cast<std::uint32_t>(i));
    EXPECT_EQ(builder.add_chunk(chunks.back()), static_cast<std::uint32_t>(i));
    const std::uint64_t earlier = random.below(chunks.size());
    EXPECT_EQ(builder.add_chunk(chunks[earlier]), earlier);
  }
  ChunkRef moved = chunks[7];
  moved.index ^= 1;   // the same content kept in another place is another reference
  EXPECT_EQ(builder.add_chunk(moved), 3000u);
}

TEST(Leaf, ExtremeTimesSurvive) {
  LeafBuilder builder;
  std::vector<Entry> entries;
  for (const std::int64_t seconds : {INT64_MIN, INT64_MAX, std::int64_t{0}, INT64_MIN, std::int64_t{-1}, INT64_MAX}) {
    Entry entry = file(fmt::format("{}", entries.size()));
    entry.mtime = {seconds, 999'999'999};
    entry.atime = {-1 - seconds, 0};
    entry.ctime = {seconds, 0};
    entry.btime = Timestamp{-1 - seconds, 1};
    entry.inode = entry.device = static_cast<std::uint64_t>(seconds);
    entries.push_back(entry);
    builder.add_entry(entry);
  }
  const auto read = read_all(builder.finish());
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_TRUE(*read == entries);
}

TEST(Leaf, TheLargestEntrySurvivesAndFitsAPage) {
  Random random;
  LeafBuilder builder;
  Entry entry = file(std::string(255, '\xff'));
  for (std::uint32_t i = 0; i < kExtentPagesMax; ++i) {
    ChunkRef ref = random.chunk();
    ref.birth = {{{0xffffffff, 0xffffffff}, PackKind::kTree, kPackSequenceMax}, 127};
    ref.index = kBlockChunksMax - 1;
    ref.length = kChunkBytesMax;
    entry.extents.push_back(ref);
  }
  entry.size = ~0ull;
  for (int i = 0; i < 16; ++i) entry.xattrs.push_back({fmt::format("user.{:02}", i), std::string(65536 - 7, 'x')});
  builder.add_entry(entry);
  const Bytes page = builder.finish();
  EXPECT_LE(page.size() + kLeafHardBytes, kTreeNodeBytesMax);
  const auto read = read_all(page);
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_TRUE(read->at(0) == entry);
}

TEST(Leaf, TheReaderLeavesNothingOfTheEntryBefore) {
  Random random;
  RandomLeaf leaf = random_leaf(random, 20);
  LeafBuilder builder;
  const Bytes page = encode(leaf, builder);
  auto reader = LeafReader::open(page);
  ASSERT_TRUE(reader.has_value());
  for (const Entry& expected : leaf.entries) {
    Entry entry = file("dirty", {{0, 1, 2}});
    entry.extents.resize(2);
    entry.child.emplace();
    entry.xattrs = {{"a", "b"}};
    entry.target = "t";
    entry.rdev = entry.flags = entry.project = entry.marks = 9;
    entry.btime = Timestamp{1, 2};
    ASSERT_TRUE(*reader->next(entry));
    EXPECT_TRUE(entry == expected) << expected.name;
  }
}

TEST(Leaf, EveryBreachIsRefused) {
  const auto one = [](auto&& make) {
    RawLeaf leaf;
    make(leaf);
    return read_all(leaf.page());
  };
  // owner 0, inode 0, mtime 0, size 0
  ASSERT_TRUE(one([](RawLeaf& l) { l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0}); }).has_value());

  expect_corrupt(one([](RawLeaf& l) { l.entry(0 | kOwner, "a").numbers({0, 0, 0, 0}); }), "unknown type");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | 1u << 19, "a").numbers({0, 0, 0, 0}); }), "malformed or too large");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile, "a").numbers({0, 0, 0}); }), "the first entry has no owner");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "a").numbers({1, 0, 0, 0}); }), "an owner that the page does not");
  expect_corrupt(one([](RawLeaf& l) {
                   l.owners.push_back({1, 1, "", ""});
                   l.entry(kFile | kOwner, "a").numbers({1, 0, 0, 0}).entry(kFile | kOwner, "b").numbers({0, 0, 0, 0});
                 }), "order of their first use");
  expect_corrupt(one([](RawLeaf& l) {
                   l.owners.push_back({1, 1, "", ""});
                   l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0});
                 }), "for nothing");
  expect_corrupt(one([](RawLeaf& l) {
                   l.owners.push_back(l.owners[0]);
                   l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0}).entry(kFile | kOwner, "b").numbers({1, 0, 0, 0});
                 }), "an owner stands in the table twice");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0}).entry(kFile | kOwner, "b").numbers({0, 0, 0, 0}); }),
                 "an owner is given that has not changed");
  expect_corrupt(one([](RawLeaf&) {}), "for nothing");
  expect_corrupt(one([](RawLeaf& l) {
                   l.chunks = {chunk_of(1, 10), chunk_of(1, 10)};
                   l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0});
                 }), "a chunk stands in the table twice");
  expect_corrupt(one([](RawLeaf& l) {
                   l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0});
                   l.entries.push_back(std::byte{0});
                 }), "left over");
  expect_corrupt(one([](RawLeaf& l) {
                   l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0});
                   l.count = 2;
                 }), "larger than what follows");

  // Names.
  for (const std::string_view name : {std::string_view("."), std::string_view(".."), std::string_view("a/b"), std::string_view("a\0b", 3)})
    expect_corrupt(one([&](RawLeaf& l) { l.entry(kFile | kOwner, name).numbers({0, 0, 0, 0}); }), "may not stand in a tree");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "b").numbers({0, 0, 0, 0}).entry(kFile, "a").numbers({0, 0, 0}); }), "strict order");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0}).entry(kFile, "a").numbers({0, 0, 0}); }), "strict order");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "ab").numbers({0, 0, 0, 0}).entry(kFile, "ac").numbers({0, 0, 0}); }), "share more");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "a").numbers({0, 0, 0, 0}).entry(kFile, "", 1).numbers({0, 0, 0}); }), "strict order");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner, "a", 1).numbers({0, 0, 0, 0}); }), "shares more");
  expect_corrupt(one([](RawLeaf& l) {
                   l.entry(kFile | kOwner, std::string(200, 'a')).numbers({0, 0, 0, 0}).entry(kFile, std::string(56, 'a'), 200).numbers({0, 0, 0});
                 }), "a name is too long");
  EXPECT_TRUE(one([](RawLeaf& l) { l.entry(kDirectory | kOwner, "").numbers({0, 0, 0}); }).has_value());

  // Fields that say what was known.
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kMode, "a").numbers({0, 0, 0, 0, 0}); }), "a mode is given");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kMode, "a").numbers({010000, 0, 0, 0, 0}); }), "malformed or too large");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kDevice, "a").numbers({0, 0, 0, 0, 0}); }), "a device is given");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kLinks, "a").numbers({0, 0, 0, 1, 0}); }), "a number of links is given");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kLinks, "a").numbers({0, 0, 0, 0, 0}); }), "number of links is out of bounds");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kDirectory | kOwner | kLinks, "a").numbers({0, 0, 0, 2}); }), "number of links is out of bounds");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kFlags, "a").numbers({0, 0, 0, 0, 0}); }), "that are zero");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kNanoseconds, "a").numbers({0, 0, 0}).u32(0).numbers({0}); }), "nanoseconds are given");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kNanoseconds, "a").numbers({0, 0, 0}).u32(1'000'000'000).numbers({0}); }),
                 "nanoseconds are out of bounds");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kAtime, "a").numbers({0, 0, 0, 0}).u32(0).numbers({0}); }), "a time is given");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kCtime, "a").numbers({0, 0, 0, 0}).u32(0).numbers({0}); }), "a time is given");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kBtimeIsMtime, "a").numbers({0, 0, 0, 0}); }), "roundabout");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kOwner | kBtime, "a").numbers({0, 0, 0, 0}).u32(0).numbers({0}); }), "roundabout");
  EXPECT_TRUE(one([](RawLeaf& l) { l.entry(kFile | kOwner | kBtimeIsCtime, "a").numbers({0, 0, 0, 0}); }).has_value());

  // Content. The numbers after owner, inode and mtime: size, then slices.
  const auto content = [&](std::uint64_t head, std::initializer_list<std::uint64_t> numbers) {
    return one([&](RawLeaf& l) {
      l.chunks = {chunk_of(1, 10), chunk_of(2, 20)};
      l.entry(head | kOwner, "a").numbers({0, 0, 0}).numbers(numbers);
    });
  };
  EXPECT_TRUE(content(kFile | kOne, {10, 1}).has_value());           // all of chunk 0
  EXPECT_TRUE(content(kFile | kOne, {5, 2, 5}).has_value());         // 5 bytes at 5 of chunk 0
  EXPECT_TRUE(content(kFile | kOne, {5, 0}).has_value());            // a hole
  EXPECT_TRUE(content(kFile | kList, {30, 4, 1, 1}).has_value());    // both
  EXPECT_TRUE(content(kFile | kMarks, {2, 7}).has_value());          // unreadable: a size alone
  expect_corrupt(content(kFile, {7}), "not marked unreadable");
  expect_corrupt(content(kFile | kOne, {0, 0}), "a slice is empty");
  expect_corrupt(content(kFile | kOne, {0, 2, 5}), "a slice is empty");
  expect_corrupt(content(kFile | kOne, {9, 1}), "not as long as its chunk");
  expect_corrupt(content(kFile | kOne, {10, 2, 0}), "a whole chunk stands there as a part");
  expect_corrupt(content(kFile | kOne, {6, 2, 5}), "ends beyond its chunk");
  expect_corrupt(content(kFile | kOne, {1, 2, 11}), "ends beyond its chunk");
  expect_corrupt(content(kFile | kOne, {1ull << 40, 2, 1}), "ends beyond its chunk");
  expect_corrupt(content(kFile | kOne, {10, 1 + (4 << 1)}), "a chunk that the page does not");
  expect_corrupt(content(kFile | kOne, {10, 1 + (1 << 1)}), "a chunk that the page does not");   // before the first
  expect_corrupt(content(kFile | kNext, {5}), "where no slice has ended");
  expect_corrupt(content(kFile | kList, {10, 2, 1}), "number of slices");
  expect_corrupt(content(kFile | kList, {10, 0}), "number of slices");
  expect_corrupt(content(kFile | kList, {10, (kSlicesInlineMax + 1) << 1}), "number of slices");
  expect_corrupt(content(kFile | kList, {29, 4, 1, 1}), "slices are longer");
  expect_corrupt(content(kFile | kList, {31, 4, 1, 1}), "slices are shorter");
  expect_corrupt(content(kFile | kList, {30, 4, 1, 0, ~0ull}), "slices are longer");
  expect_corrupt(content(kFile | kList, {30, 1}), "number of extent pages");
  expect_corrupt(content(kDirectory | kNext, {}), "has the content of a file");
  expect_corrupt(content(kFifo | kOne, {}), "what is no file has content");
  const auto after = [&](std::uint64_t head, std::initializer_list<std::uint64_t> numbers) {
    return one([&](RawLeaf& l) {
      l.chunks = {chunk_of(1, 10)};
      l.entry(kFile | kOne | kOwner, "a").numbers({0, 0, 0, 4, 2, 0}).entry(head, "b").numbers({0, 0}).numbers(numbers);
    });
  };
  EXPECT_TRUE(after(kFile | kNext, {6}).has_value());
  expect_corrupt(after(kFile | kNext, {7}), "ends beyond its chunk");
  expect_corrupt(after(kFile | kNext, {0}), "a slice is empty");
  expect_corrupt(after(kFile | kOne, {6, 1 + (1 << 1) + 1, 4}), "roundabout");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kFile | kList | kOwner, "a").numbers({0, 0, 0, 0, 3}).ref(chunk_of(9, 5)); }), "an empty file has extent pages");

  // The rest.
  expect_corrupt(one([](RawLeaf& l) { l.entry(kSymlink | kOwner, "a").numbers({0, 0, 0, 0}); }), "target of a symlink");
  expect_corrupt(one([](RawLeaf& l) { l.entry(kSymlink | kOwner, "a").numbers({0, 0, 0}).text(std::string(4097, 'x')); }), "too large");
  const auto xattrs = [&](std::uint64_t kind, auto&& more) {
    return one([&](RawLeaf& l) {
      l.entry(kFifo | kOwner | kind, "a").numbers({0, 0, 0});
      more(l);
    });
  };
  EXPECT_TRUE(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({1}).text("user.a").text(""); }).has_value());
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({0}); }), "number of extended attributes");
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({1}).text("").text("x"); }), "name of an extended attribute");
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({2}).text("b").text("x").text("a").text("x"); }), "not in strict order");
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({2}).text("a").text("x").text("a").text("x"); }), "not in strict order");
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({1}).text("a").text(std::string(65537, 'x')); }), "too large");
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) {
                   l.numbers({17});
                   for (char c = 'a'; c < 'a' + 17; ++c) l.text(std::string(1, c)).text(std::string(65536, 'x'));
                 }), "too long together");
  expect_corrupt(xattrs(kXattrsRepeated, [](RawLeaf&) {}), "repeated that were not given");
  expect_corrupt(xattrs(kXattrs | kXattrsRepeated, [](RawLeaf& l) { l.numbers({1}).text("a").text("x"); }), "unknown form");
  expect_corrupt(xattrs(kXattrs, [](RawLeaf& l) { l.numbers({1}).text("a").text("x").entry(kFifo | kXattrs, "b").numbers({0, 0, 1}).text("a").text("x"); }),
                 "given that were repeated");

  // Headers.
  Bytes page = RawLeaf().entry(kFifo | kOwner, "a").numbers({0, 0, 0}).page();
  page[0] = std::byte{2};
  expect_corrupt(read_all(page), "no leaf page");
  page[0] = std::byte{1};
  page[1] = std::byte{1};
  expect_corrupt(read_all(page), "no leaf page");
  expect_corrupt(read_all(Bytes(kTreeNodeBytesMax + 1, std::byte{1})), "longer than a page may be");
}

TEST(Leaf, CheckEntryNamesTheRule) {
  Entry entry = file("a");
  EXPECT_TRUE(check_entry(entry).has_value());
  entry.mtime.nanoseconds = 1'000'000'000;
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "nanoseconds");
  entry = file("a/b");
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "name");
  entry = file("a");
  entry.xattrs = {{"user.big", std::string(65537, 'x')}};
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "extended attribute");
  entry = file("a");
  entry.type = EntryType::kFifo;
  entry.size = 1;
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "content");
  entry.size = 0;
  entry.rdev = 1;
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "device number");
  entry.rdev = 0;
  entry.target = "x";
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "target");
  entry.target.clear();
  entry.child = chunk_of(1, 1);
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "node");
  entry = file("a");
  entry.size = 5;
  entry.extents = {chunk_of(1, 1)};
  EXPECT_TRUE(check_entry(entry).has_value());
  entry.slices = {{0, 0, 5}};
  expect_refused(check_entry(entry), ErrorKind::kInvalid, "both");
}

TEST(Leaf, ThePageRuleCutsBetweenItsBounds) {
  Random random;
  EXPECT_FALSE(leaf_page_ends(kLeafSoftBytes - 1, "a"));
  EXPECT_TRUE(leaf_page_ends(kLeafHardBytes, "a"));
  int ends = 0;
  for (int i = 0; i < 100'000; ++i) ends += leaf_page_ends(kLeafSoftBytes, fmt::format("name-{}", i));
  EXPECT_GT(ends, 50);
  EXPECT_LT(ends, 200);
}

TEST(TreeIndexPage, RoundTripAndBreaches) {
  for (int i = 0; i < 100; ++i) {
    WITH_SEED(i);
    Random random(i);
    const auto entries = random_index_entries(random);
    const auto decoded = decode_index_page_entries(encode_index_page(entries));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, entries);
  }
  const auto page = [](std::initializer_list<std::string_view> names) {
    Bytes out;
    Writer w(out);
    w.u8(2);
    w.u8(0);
    w.varint(names.size());
    for (const auto name : names) {
      w.text(name);
      encode_chunk_ref(w, chunk_of(1, 1));
    }
    return out;
  };
  EXPECT_TRUE(decode_index_page_entries(page({"a", "b"})).has_value());
  expect_corrupt(decode_index_page_entries(page({})), "names no page");
  expect_corrupt(decode_index_page_entries(page({"b", "a"})), "strict order");
  expect_corrupt(decode_index_page_entries(page({"a", "a"})), "strict order");
  expect_corrupt(decode_index_page_entries(page({"a/b"})), "may not stand in a tree");
  expect_corrupt(decode_index_page_entries(page({std::string(256, 'a')})), "too large");
}

TEST(ExtentPage, RoundTripAndBreaches) {
  for (int i = 0; i < 100; ++i) {
    WITH_SEED(i);
    Random random(i);
    const ExtentPage page = random_extent_page(random);
    const auto decoded = decode_extent_page(encode_extent_page(page));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(*decoded, page);
  }
  const auto page = [](std::vector<ChunkRef> chunks, std::initializer_list<std::uint64_t> numbers) {
    Bytes out;
    Writer w(out);
    w.u8(3);
    w.u8(0);
    w.varint(chunks.size());
    for (const ChunkRef& chunk : chunks) encode_chunk_ref(w, chunk);
    for (const std::uint64_t v : numbers) w.varint(v);
    return decode_extent_page(out);
  };
  EXPECT_TRUE(page({chunk_of(1, 10)}, {1, 1}).has_value());
  expect_corrupt(page({chunk_of(1, 10)}, {0}), "holds no slice");
  expect_corrupt(page({chunk_of(1, 10)}, {kExtentPageSlicesMax + 1}), "too large");
  expect_corrupt(page({chunk_of(1, 10)}, {1, 1 + (2 << 1)}), "a chunk that the page does not");
  expect_corrupt(page({chunk_of(1, 10)}, {1, 2, 0, 10}), "a whole chunk");
  expect_corrupt(page({chunk_of(1, 10)}, {1, 2, 1, 10}), "beyond its chunk");
  expect_corrupt(page({chunk_of(1, 10)}, {1, 0, 0}), "a slice is empty");
  expect_corrupt(page({chunk_of(1, 10), chunk_of(1, 10)}, {1, 1}), "twice");
}

TEST(PageKind, IsTheFirstByte) {
  const auto kind = [](int a, int b) { return page_kind(Bytes{std::byte(a), std::byte(b)}); };
  EXPECT_EQ(*kind(1, 0), PageKind::kLeaf);
  EXPECT_EQ(*kind(2, 0), PageKind::kIndex);
  EXPECT_EQ(*kind(3, 0), PageKind::kExtent);
  expect_corrupt(kind(4, 0), "no known kind");
  expect_corrupt(kind(1, 1), "no known kind");
  expect_corrupt(page_kind({}), "no known kind");
}

}  // namespace
}  // namespace coppice::format
