// The source state across runs: damage costs reading, never a backup; nothing is left lying about.
#include <gmock/gmock.h>
#include <sys/file.h>

#include "host.h"
#include "scanner.h"
#include "source_state.h"

namespace coppice {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::vector<std::string> bodies(const Host& host) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(host.vault->state_directory())) {
    const std::string name = entry.path().filename();
    if (name.starts_with("source-") && name.find('.') != std::string::npos) names.push_back(name);
  }
  return names;
}

TEST(BackupState, ADamagedStateIsDroppedAndEverythingIsRead) {
  Host host;
  // A directory of many pages, whose record lies behind them, and small ones.
  for (int f = 0; f < 5000; ++f) write(host.source + "/big/" + std::to_string(f * 7919), "");
  for (int d = 0; d < 10; ++d)
    for (int f = 0; f < 40; ++f) write(host.source + "/d" + std::to_string(d) + "/f" + std::to_string(f), "text " + std::to_string(d * 1000 + f));
  const auto first = host.back_up();
  ASSERT_OK(first);
  const auto untouched = host.back_up();
  ASSERT_OK(untouched);
  EXPECT_EQ(untouched->files_unchanged, 5400u);
  ASSERT_EQ(bodies(host).size(), 1u);
  const std::string body = host.vault->state_directory() + "/" + bodies(host).front();
  const auto bytes = static_cast<long>(fs::file_size(body));
  bool told = false;
  for (const long at : {bytes / 3, bytes - 20}) {
    SCOPED_TRACE(at);
    const std::string now = host.vault->state_directory() + "/" + bodies(host).front();
    const int fd = ::open(now.c_str(), O_RDWR | O_CLOEXEC);
    char byte;
    ASSERT_EQ(::pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    ASSERT_EQ(::pwrite(fd, &byte, 1, at), 1);
    ::close(fd);
    write(host.source + "/d7/f7", "changed " + std::to_string(at));
    const auto report = host.back_up();
    ASSERT_OK(report);
    EXPECT_EQ(report->warnings_total, 0u);
    told = told || !host.notices.empty();
    const auto things = host.look(*report);
    EXPECT_EQ(things.size(), 5411u);
    EXPECT_EQ(things.at("d7/f7").content, "changed " + std::to_string(at));
    EXPECT_EQ(report->files, 5400u);
    const auto next = host.back_up();
    ASSERT_OK(next);
    EXPECT_EQ(next->files_unchanged, 5400u);
  }
  EXPECT_TRUE(told);
  platform::write_file_durably(host.vault->state_directory() + "/local.key", as_bytes("short")).value();
  ASSERT_OK(host.back_up());
  ASSERT_FALSE(host.notices.empty());
  EXPECT_THAT(host.notices.front(), HasSubstr("everything is read"));
}

TEST(BackupState, BodiesThatNoHeadNamesAreSweptUnlessSomebodyWritesThem) {
  Host host;
  write(host.source + "/x", "text");
  ASSERT_OK(host.back_up());
  ASSERT_EQ(bodies(host).size(), 1u);
  const std::string named = bodies(host).front(), stem = named.substr(0, named.find('.'));
  const std::string dead = stem + ".0123456789abcdef", foreign = "source-" + std::string(32, '0') + ".0123456789abcdef", busy = stem + ".fedcba9876543210";
  for (const std::string& name : {dead, foreign, busy}) write(host.vault->state_directory() + "/" + name, "left by a run that was killed");
  const platform::Fd held(::open((host.vault->state_directory() + "/" + busy).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  ASSERT_OK(host.back_up());
  const std::vector<std::string> left = bodies(host);   // and the one that counts now
  EXPECT_EQ(left.size(), 2u);
  EXPECT_THAT(left, ::testing::Contains(busy));
  EXPECT_THAT(left, ::testing::Not(::testing::Contains(dead)));
  EXPECT_THAT(left, ::testing::Not(::testing::Contains(foreign)));
  // Reading everything again replaces the body too.
  host.options.force = true;
  ASSERT_OK(host.back_up());
  EXPECT_EQ(bodies(host).size(), 2u);
  EXPECT_FALSE(fs::exists(host.vault->state_directory() + "/" + named));
}

TEST(BackupState, WhatIsReadAgainForItsAgeOnlyIsUnchanged) {
  Host host;
  host.test.clock.set(platform::system_clock().now());
  host.test.clock.advance_seconds(-3600);   // the backups begin before the files' last change
  write(host.source + "/small", "text");
  write(host.source + "/large", noise(1, 300'000));
  write(host.source + "/other", "text");
  ASSERT_OK(host.back_up());
  write(host.source + "/other", "changed");
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(report->files_changed, 1u);
  EXPECT_EQ(report->files_unchanged, 2u);
  EXPECT_EQ(report->files_read_again, 2u);
  EXPECT_GE(report->bytes_read, 300'000u);
  host.test.clock.advance_seconds(7200);
  ASSERT_OK(host.back_up());
  const auto settled = host.back_up();
  ASSERT_OK(settled);
  EXPECT_EQ(settled->files_unchanged, 3u);
  EXPECT_EQ(settled->files_read_again, 0u);
}

// Their place in the groups of then will do: times, owners and inodes that change cost no bytes, and what changed beside them is all that is new.
TEST(BackupState, SmallFilesWithTheBytesOfBeforeAreStoredNoSecondTime) {
  Host host;
  std::map<std::string, std::string> contents;
  for (unsigned i = 0; i < 300; ++i) contents["d" + std::to_string(i % 7) + "/f" + std::to_string(i)] = noise(i, 2000 + i);
  for (const auto& [name, content] : contents) write(host.source + "/" + name, content);
  fs::create_hard_link(host.source + "/d0/f0", host.source + "/d0/f0-again");
  contents["d0/f0-again"] = contents["d0/f0"];
  ASSERT_OK(host.back_up());

  for (const auto& [name, content] : contents) {
    const struct timespec times[2] = {{.tv_sec = 1'000'000'000, .tv_nsec = 5}, {.tv_sec = 1'000'000'000, .tv_nsec = 7}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (host.source + "/" + name).c_str(), times, 0), 0);
  }
  write(host.source + "/new", contents["d1/f1"]);   // another object of the same bytes
  fs::rename(host.source + "/new", host.source + "/d1/f1");
  contents["d2/f2"] = noise(99, contents["d2/f2"].size());
  contents["d3/f3"] += "more";
  contents["d4/a-new-one"] = "text";
  contents.erase("d5/f5");
  fs::remove(host.source + "/d5/f5");
  for (const char* name : {"d2/f2", "d3/f3", "d4/a-new-one"}) write(host.source + "/" + name, contents[name]);
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_EQ(report->files_unchanged, 0u);
  const auto is_new = [&](const char* name) { return contents[name].size(); };
  EXPECT_GE(report->added_plain, is_new("d2/f2") + is_new("d3/f3"));
  const std::uint64_t trees = 300 * 160;
  EXPECT_LT(report->added_plain, is_new("d2/f2") + is_new("d3/f3") + is_new("d0/f0") + trees);
  const auto look = [&](const capture::BackupReport& of) {
    auto things = host.look(of);
    std::erase_if(things, [](const auto& thing) { return thing.second.entry.type == format::EntryType::kDirectory; });
    ASSERT_EQ(things.size(), contents.size());
    for (const auto& [name, content] : contents) EXPECT_EQ(things.at(name).content, content) << name;
    EXPECT_EQ(things.at("d6/f6").entry.mtime, (Timestamp{1'000'000'000, 7}));
  };
  look(*report);
  // From state to state: the fingerprints of what was not touched, and of what was recognised, go along.
  fs::last_write_time(host.source + "/d6/f6", fs::file_time_type::clock::now());
  contents["d6/f13"] += "more";
  write(host.source + "/d6/f13", contents["d6/f13"]);
  for (int i = 0; i < 2; ++i) {
    for (const auto& [name, content] : contents)
      if (name.ends_with("0")) ::chmod((host.source + "/" + name).c_str(), i ? 0600 : 0640);
    const auto next = host.back_up();
    ASSERT_OK(next);
    EXPECT_LT(next->added_plain, (i ? 0 : is_new("d6/f13")) + is_new("d0/f0") + trees);
    const auto things = host.look(*next);
    for (const auto& [name, content] : contents) EXPECT_EQ(things.at(name).content, content) << name;
  }
}

// Over many pages of its list, taken and encoded part by part.
TEST(BackupState, AHugeDirectoryThatWasTouchedIsStoredNoSecondTime) {
  Host host;
  constexpr unsigned kFiles = 5000;
  const auto name_of = [](unsigned i) { return "big/" + std::to_string(i * 7919); };
  for (unsigned i = 0; i < kFiles; ++i) write(host.source + "/" + name_of(i), noise(i, 300));
  ASSERT_OK(host.back_up());
  for (unsigned i = 0; i < kFiles; ++i) {
    if (i % 3 == 0) continue;   // those are as they were
    ASSERT_EQ(::chmod((host.source + "/" + name_of(i)).c_str(), 0604), 0);
  }
  write(host.source + "/" + name_of(77), noise(1u << 20, 300));
  const auto report = host.back_up();
  ASSERT_OK(report);
  EXPECT_LT(report->added_plain, kFiles * 160u);
  const auto things = host.look(*report);
  for (unsigned i = 0; i < kFiles; ++i) EXPECT_EQ(things.at(name_of(i)).content, noise(i == 77 ? 1u << 20 : i, 300)) << i;
}

TEST(BackupState, AnObjectOfSeveralNamesOnADeviceOfAnotherNumberIsChanged) {
  TempDirectory directory;
  write(directory / "tree/one", "text");
  write(directory / "tree/two", "text");
  fs::create_hard_link(directory / "tree/two", directory / "tree/two-again");
  platform::SeededEntropy entropy(1);
  const auto key = capture::load_local_key(directory.path(), entropy);
  ASSERT_OK(key);
  auto writer = capture::StateWriter::create(directory / "body", *key, entropy);
  ASSERT_OK(writer);
  capture::OwnerNames names;
  format::LeafBuilder leaf;
  for (const char* name : {"one", "two", "two-again"}) {
    struct statx st;
    ASSERT_EQ(::statx(AT_FDCWD, (directory / "tree/").append(name).c_str(), AT_SYMLINK_NOFOLLOW, capture::kStatxMask, &st), 0);
    format::Entry entry{.name = name};
    ASSERT_OK(capture::fill_from_statx(st, names, entry));
    entry.marks = format::kMarkUnreadable;   // no slices are needed then
    entry.marks = 0;
    entry.size = 4;
    entry.slices = {{.chunk = format::Slice::kHole, .offset = 0, .length = 4}};
    entry.device += 7;
    leaf.add_entry(entry);
  }
  const Bytes page = leaf.finish();
  capture::DirectoryRecord record;
  record.leaves.push_back({.offset = writer->append(page), .bytes = static_cast<std::uint32_t>(page.size())});
  const std::uint64_t at = capture::write_directory_record(*writer, record);
  const auto length = writer->finish();
  ASSERT_OK(length);
  auto state = capture::StateReader::open(directory / "body", *key, *length);
  ASSERT_OK(state);
  const auto selection = capture::Selection::create({}, {});
  ASSERT_OK(selection);
  capture::Scanner scanner({.selection = &*selection, .state = state->get(), .base_started = {INT32_MAX, 0}}, 0);
  // The way to the tree, then the tree itself with a record in the state.
  auto root = std::make_shared<capture::ScanNode>();
  capture::SourceTree tree = capture::make_source_tree({fs::canonical(directory.path()).string() + "/tree"});
  root->tree = &tree;
  root->whole = false;
  auto scan = scanner.take(root, nullptr);
  while (scan->items.at(0).name != "tree") scan = scanner.take(scan->items.at(0).child, scan->fd);
  auto child = scan->items.at(0).child;
  child->old_record = at;
  scan = scanner.take(child, scan->fd);
  ASSERT_FALSE(scan->error.has_value());
  ASSERT_EQ(scan->items.size(), 3u);
  EXPECT_TRUE(scan->items[0].unchanged);
  EXPECT_FALSE(scan->items[1].unchanged);
  EXPECT_FALSE(scan->items[2].unchanged);
}

}  // namespace
}  // namespace coppice
