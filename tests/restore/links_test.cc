// Goal: names of one inode are linked again, and nothing else is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "planted.h"
#include "support/temp_directory.h"

namespace coppice::testing {
namespace {

class Links : public ::testing::Test {
 protected:
  static Node name_of(std::string name, std::string content, std::uint64_t inode = 7, std::uint32_t links = 2) {
    Node node = file_node(std::move(name), std::move(content));
    node.entry.inode = inode;
    node.entry.links = links;
    return node;
  }
  restore::RestoreReport restore(Node root) {
    body = plant(v, std::move(root), {.chunk_bytes = 40'000, .read_inodes_once = false});
    Restoring run(v);
    auto report = run(body, {.target = target});
    EXPECT_OK(report);
    tar();
    return report ? *report : restore::RestoreReport{};
  }
  // The same as a tar archive, unpacked.
  void tar() {
    Restoring run(v);
    const int fd = open((temp / "x.tar").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT_OK(restore::write_tar(*run.reader, body, "", fd, run.progress, run.cancel));
    close(fd);
    mkdir(untarred.c_str(), 0755);
    EXPECT_EQ(std::system(fmt::format("tar -C '{}' -xf '{}' 2> /dev/null", untarred, temp / "x.tar").c_str()), 0);
  }
  bool linked(const std::string& a, const std::string& b) {
    const bool restored = stat_of(target + a).st_ino == stat_of(target + b).st_ino;
    EXPECT_EQ(stat_of(untarred + a).st_ino == stat_of(untarred + b).st_ino, restored) << a << b;
    return restored;
  }
  TempDirectory temp;
  TestVault v;
  format::SnapshotBody body;
  const std::string target = temp / "target", untarred = temp / "untarred";
};

// Device numbers are given out anew at every start, and an entry that did not change keeps the old one.
TEST_F(Links, FilesThatOnlyShareTheirNumbersAreNotLinked) {
  Node root = directory_node("");
  root.add(name_of("small-1", noise(1, 900), 1));
  root.add(name_of("small-2", noise(2, 900), 1));
  root.add(name_of("small-3", noise(1, 900), 1));
  root.add(name_of("large-1", noise(3, 200'000), 2));
  root.add(name_of("large-2", noise(4, 200'000), 2));
  root.add(name_of("large-3", noise(3, 200'000), 2));
  root.add(name_of("time-1", "same", 3));
  root.add(name_of("time-2", "same", 3)).entry.mtime.seconds += 1;
  root.add(name_of("change-1", "same", 4));
  root.add(name_of("change-2", "same", 4)).entry.ctime.nanoseconds += 1;
  root.add(name_of("empty-1", "", 5));
  root.add(name_of("empty-2", "", 5)).entry.mode = 0600;
  Node& link = root.add(symlink_node("symlink-1", "a"));
  Node& link2 = root.add(symlink_node("symlink-2", "b"));
  for (Node* n : {&link, &link2}) n->entry.inode = 6, n->entry.links = 2;
  const auto report = restore(std::move(root));
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  for (const std::string& where : {target, untarred}) {
    EXPECT_TRUE(content_of(where + "/small-2") == noise(2, 900));
    EXPECT_TRUE(content_of(where + "/large-2") == noise(4, 200'000));
    EXPECT_TRUE(content_of(where + "/large-3") == noise(3, 200'000));
    EXPECT_EQ(stat_of(where + "/time-2").st_mtim.tv_sec, 1'500'000'001);
  }
  EXPECT_FALSE(linked("/small-1", "/small-2"));
  EXPECT_TRUE(linked("/small-1", "/small-3"));  // read for each name, into two places: the bytes tell
  EXPECT_FALSE(linked("/large-1", "/large-2"));
  EXPECT_TRUE(linked("/large-1", "/large-3"));
  EXPECT_FALSE(linked("/time-1", "/time-2"));
  EXPECT_FALSE(linked("/change-1", "/change-2"));
  EXPECT_FALSE(linked("/empty-1", "/empty-2"));
  EXPECT_FALSE(linked("/symlink-1", "/symlink-2"));
}

TEST_F(Links, ANameThatCouldNotBeReadTakesNoContentFromTheOthers) {
  Node first = name_of("m1", "", 7, 3);
  first.entry.marks = format::kMarkUnreadable;
  const auto report =
      restore(directory_node("", {first, name_of("m2", noise(1, 500), 7, 3), name_of("m3", noise(1, 500), 7, 3)}));
  EXPECT_EQ(report.failed, 1u) << all_warnings(report);
  for (const std::string& where : {target, untarred})
    for (const char* name : {"/m2", "/m3"}) EXPECT_TRUE(content_of(where + name) == noise(1, 500)) << where << name;
  EXPECT_TRUE(linked("/m2", "/m3"));
  EXPECT_FALSE(linked("/m1", "/m2"));
}

}  // namespace
}  // namespace coppice::testing
