// Goal: the table of snapshots fits the terminal, loses the least important first, and nothing at all in a pipe.
#include "tasks/snapshot_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

namespace coppice::tasks {
namespace {

vault::Snapshot made(std::string host, std::vector<std::string> sources, std::vector<std::string> tags = {}) {
  vault::Snapshot snapshot;
  snapshot.signer_name = host;
  snapshot.commit_hash = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}};
  snapshot.body = format::SnapshotBody{.host = std::move(host), .sources = std::move(sources), .tags = std::move(tags)};
  snapshot.body->bytes = 1'300'000'000;
  snapshot.body->added_stored = 207'000'000;
  snapshot.body->duration_ms = 5000;
  snapshot.body->complete = true;
  return snapshot;
}

std::string render(const std::vector<vault::Snapshot>& snapshots, std::size_t width) {
  std::vector<const vault::Snapshot*> pointers;
  for (const auto& snapshot : snapshots) pointers.push_back(&snapshot);
  return render_snapshots(pointers, width, [](std::string_view name) { return std::string(name); });
}

std::size_t widest(const std::string& table) {
  std::size_t columns = 0;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) columns = std::max(columns, columns_of(line));
  return columns;
}

TEST(SnapshotTable, FitsTheTerminalAndKeepsWhatMattersMost) {
  const std::vector<vault::Snapshot> snapshots{
      made("web1", {"/data", "/etc"}, {"nightly"}),
      made("a-host-with-a-long-name.example.org",
           {"/home/someone/with/a/long/path", "/srv/data", "/srv/more", "/var/lib/something"},
           {"one", "two", "three"})};
  const std::string whole = render(snapshots, 0);
  EXPECT_NE(whole.find("/srv/more /var/lib/something"), std::string::npos) << whole;
  EXPECT_NE(whole.find("123456000000"), std::string::npos) << whole;
  for (std::size_t width = 72; width < 200; ++width) {
    const std::string table = render(snapshots, width);
    EXPECT_LE(widest(table), width) << table;
    for (const char* part : {"12345600", "1.30 GB", "207 MB", "web1", "WHEN", "ADDED"})
      EXPECT_NE(table.find(part), std::string::npos) << width << "\n" << table;
  }
  EXPECT_NE(render(snapshots, 100).find(" +3"), std::string::npos) << render(snapshots, 100);
  EXPECT_EQ(render(snapshots, 1000), whole);
}

TEST(SnapshotTable, SaysWhatIsNotAsUsual) {
  std::vector<vault::Snapshot> snapshots{made("h", {"/"})};
  EXPECT_EQ(render(snapshots, 0).find("TAGS"), std::string::npos);
  snapshots[0].body->complete = false;
  snapshots[0].body->warnings = 1;
  snapshots[0].forgotten = true;
  snapshots[0].signer_name = "another";
  EXPECT_NE(render(snapshots, 200).find("(by another) (forgotten) (partial) (1 warning)"), std::string::npos);
}

TEST(SnapshotTable, AnyTableGivesWayInTheOrderThatItSays) {
  const std::vector<std::vector<std::string>> rows{{"NAME", "AT", "SIZE"}, {"a-name-of-some-length", "2026-11-22 08:00:00", "12 MB"}};
  const std::vector<Squeeze> steps{{0, 10}, {1, 10, true}, {2, 0}, {0, 4}};
  const auto table = [&](std::size_t width) { return render_table(rows, {false, false, true}, width, steps); };
  EXPECT_EQ(table(0), render_table(rows, {false, false, true}));
  EXPECT_EQ(table(40), "NAME          AT                    SIZE\na-name-of...  2026-11-22 08:00:00  12 MB\n");
  EXPECT_EQ(table(32), "NAME           AT           SIZE\na-name-of-...  2026-11-22  12 MB\n");   // what a time gave too much comes back
  EXPECT_EQ(table(20), "NAME      AT\na-nam...  2026-11-22\n");
}

TEST(SnapshotTable, CutsBetweenCharacters) {
  EXPECT_EQ(columns_of("müde"), 4u);
  EXPECT_EQ(shorten_front("/müde/fünf", 7), "...fünf");
  EXPECT_EQ(shorten_back("fünfmüde", 6), "fün...");
  EXPECT_EQ(shorten_back("abcdef", 2), "..");
  EXPECT_EQ(shorten_front("abcdef", 0), "");
  EXPECT_EQ(shorten_list({"/a", "/b"}, 5), "/a /b");
  EXPECT_EQ(shorten_list({"/a", "/b", "/c"}, 6), "/a +2");
  EXPECT_EQ(shorten_list({"/long/path", "/b"}, 9), "...ath +1");
  EXPECT_EQ(shorten_list({"/long/path"}, 7), "...path");
  EXPECT_EQ(shorten_list({}, 7), "");
}

}  // namespace
}  // namespace coppice::tasks
