// Goal: the forms a restore can take (parts, patterns, counting only, tar, one content) and the forms of files that
// need care.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <filesystem>

#include "planted.h"
#include "support/temp_directory.h"
#include "support/tree_compare.h"
#include "support/tree_maker.h"

namespace coppice::testing {
namespace {

class Forms : public ::testing::Test {
 protected:
  Node sample() {
    Node home =
        directory_node("home", {directory_node("me", {file_node("notes.txt", "notes"), file_node("photo.jpg", "photo"),
                                                      directory_node("deep", {file_node("more.txt", "more")})}),
                                directory_node("you", {file_node("yours.txt", "yours")})});
    Node etc = directory_node("etc", {file_node("fstab", "fstab"), symlink_node("mtab", "/proc/mounts")});
    return directory_node("", {home, etc, directory_node("empty")});
  }
  std::vector<std::string> files_in(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
      names.push_back(entry.path().lexically_relative(path).string() +
                      (entry.is_directory() && !entry.is_symlink() ? "/" : ""));
    std::ranges::sort(names);
    return names;
  }
  using Names = std::vector<std::string>;
  TempDirectory temp;
  TestVault v;
  const std::string target = temp / "target";
};

TEST_F(Forms, APartOfTheTree) {
  const auto body = plant(v, sample());
  Restoring run(v);
  ASSERT_OK(run(body, {.target = target, .sub_path = "/home/me"}));
  EXPECT_EQ(files_in(target), (Names{"deep/", "deep/more.txt", "notes.txt", "photo.jpg"}));
  EXPECT_EQ(stat_of(target).st_mtim.tv_sec, 1'600'000'000);  // we made it: it is that directory
  ASSERT_OK(run(body, {.target = temp / "one", .sub_path = "etc/fstab/"}));
  EXPECT_EQ(files_in(temp / "one"), Names{"fstab"});
  ASSERT_OK(run(body, {.target = temp / "link", .sub_path = "/etc/mtab"}));
  EXPECT_EQ(files_in(temp / "link"), Names{"mtab"});
  EXPECT_FAILS(run(body, {.target = temp / "none", .sub_path = "/home/nobody"}), kNotFound);
  EXPECT_FAILS(run(body, {.target = ""}), kInvalid);
}

TEST_F(Forms, WhatPatternsChoose) {
  const auto body = plant(v, sample());
  const auto chosen = [&](std::vector<std::string> patterns) {
    std::filesystem::remove_all(target);
    Restoring run(v);
    auto report = run(body, {.target = target, .patterns = patterns});
    EXPECT_OK(report);
    Restoring dry(v);
    auto counted = dry(body, {.target = temp / "never", .patterns = patterns, .dry_run = true});
    EXPECT_OK(counted);
    EXPECT_EQ(report->files, counted->files);
    EXPECT_EQ(report->bytes, counted->bytes);
    EXPECT_EQ(report->others, counted->others);
    EXPECT_FALSE(exists(temp / "never"));
    return files_in(target);
  };
  EXPECT_EQ(chosen({"*.txt"}), (Names{"home/", "home/me/", "home/me/deep/", "home/me/deep/more.txt",
                                      "home/me/notes.txt", "home/you/", "home/you/yours.txt"}));
  EXPECT_EQ(chosen({"/home/me/"}), (Names{"home/", "home/me/", "home/me/deep/", "home/me/deep/more.txt",
                                          "home/me/notes.txt", "home/me/photo.jpg"}));
  EXPECT_EQ(chosen({"/home/", "!*.txt"}),
            (Names{"home/", "home/me/", "home/me/deep/", "home/me/photo.jpg", "home/you/"}));
  EXPECT_EQ(chosen({"/home/", "!/home/me/"}), (Names{"home/", "home/you/", "home/you/yours.txt"}));
  EXPECT_EQ(chosen({"empty"}), Names{"empty/"});
  EXPECT_EQ(chosen({"/nothing"}), Names{});
  Restoring run(v);
  EXPECT_FAILS(run(body, {.target = target, .patterns = {"["}}), kInvalid);
}

TEST_F(Forms, AnEmptySnapshot) {
  auto body = plant(v, directory_node(""));
  Restoring run(v);
  ASSERT_OK(run(body, {.target = target}));
  body.root.reset();
  ASSERT_OK(run(body, {.target = target}));
}

TEST_F(Forms, MarksAreTold) {
  Node unreadable = file_node("unreadable", "");
  unreadable.entry.size = 500;
  unreadable.entry.marks = format::kMarkUnreadable;
  Node kept = unreadable;
  kept.entry.name = "kept";
  Node changed = file_node("changed", "x");
  changed.entry.marks = format::kMarkChangedWhileRead;
  Node closed = directory_node("closed");
  closed.entry.marks = format::kMarkUnreadable;
  const auto body = plant(v, directory_node("", {unreadable, kept, changed, closed}));
  mkdir(target.c_str(), 0755);
  write_text(target + "/kept", "better than nothing");
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 3u) << all_warnings(*report);
  EXPECT_EQ(report->warnings_total, 4u);
  EXPECT_EQ(stat_of(target + "/unreadable").st_size, 0);
  EXPECT_EQ(content_of(target + "/kept"), "better than nothing");
  EXPECT_TRUE(exists(target + "/closed"));
}

// Slices in their hundreds over little memory: the file, and a link to it, outlive many windows.
TEST_F(Forms, AFileLargerThanAWindow) {
  const std::string content = noise(1, 24'000'000);
  Node big = file_node("big", content), name2 = file_node("a-second-name", content);
  for (Node* n : {&big, &name2}) n->entry.links = 2, n->entry.inode = 4;
  Node sparse = file_node("sparse", "");
  sparse.entry.size = 5ull << 30;
  for (std::uint64_t i = 0; i < 3000; ++i) sparse.content.push_back({i * 1'500'000, fmt::format("run {}", i)});
  Node root = directory_node("", {directory_node("d", {big, sparse}), directory_node("e", {name2})});
  for (int i = 0; i < 500; ++i) root.add(file_node(fmt::format("f{}", i), fmt::format("{}", i)));
  const auto body = plant(v, std::move(root), {.chunk_bytes = 2000});
  for (const bool verify : {false, true}) {
    Restoring run(v);
    auto report = run(body, {.target = target, .verify = verify, .workers = 3, .memory_bytes = 1});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
    EXPECT_TRUE(content_of(target + "/d/big") == content);
    EXPECT_EQ(stat_of(target + "/d/big").st_ino, stat_of(target + "/e/a-second-name").st_ino);
    const auto st = stat_of(target + "/d/sparse");
    EXPECT_EQ(st.st_size, 5ll << 30);
    EXPECT_LT(st.st_blocks * 512, 30'000'000);
    const int fd = open((target + "/d/sparse").c_str(), O_RDONLY);
    for (std::uint64_t i : {0u, 1u, 1500u, 2999u}) {
      char text[16] = {};
      EXPECT_GT(pread(fd, text, 15, static_cast<off_t>(i * 1'500'000)), 0);
      EXPECT_EQ(std::string(text), fmt::format("run {}", i));
    }
    close(fd);
    EXPECT_EQ(report->skipped, verify ? 503u : 0u);
  }
}

TEST_F(Forms, ManyHardLinksOverManyWindows) {
  Node root = directory_node("");
  for (int d = 0; d < 30; ++d) {
    Node& sub = root.add(directory_node(fmt::format("d{:02}", d)));
    for (int f = 0; f < 100; ++f) {
      Node& n = sub.add(file_node(fmt::format("f{}", f), noise(static_cast<std::uint64_t>(f), 500)));
      n.entry.links = 30;
      n.entry.inode = static_cast<std::uint64_t>(1000 + f);
    }
    sub.entry.mtime.seconds = 1'600'000'000 + d;
  }
  const auto body = plant(v, std::move(root));
  for (int round = 0; round < 2; ++round) {
    Restoring run(v);
    auto report = run(body, {.target = target, .workers = 3, .memory_bytes = 1u << 20});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
    for (int f = 0; f < 100; ++f) {
      const auto first = stat_of(target + fmt::format("/d00/f{}", f));
      EXPECT_EQ(first.st_nlink, 30u);
      EXPECT_EQ(first.st_ino, stat_of(target + fmt::format("/d29/f{}", f)).st_ino);
    }
    for (int d = 0; d < 30; ++d)
      EXPECT_EQ(stat_of(target + fmt::format("/d{:02}", d)).st_mtim.tv_sec, 1'600'000'000 + d);
    EXPECT_EQ(report->files, round == 0 ? 3000u : 0u);
    unlink((target + "/d05/f7").c_str());  // comes back as a link
    Restoring mend(v);
    auto mended = mend(body, {.target = target});
    ASSERT_OK(mended);
    EXPECT_EQ(mended->files, 1u);
    EXPECT_EQ(stat_of(target + "/d05/f7").st_nlink, 30u);
  }
}

// The table of names that wait for their second goes on in a file of the target.
TEST_F(Forms, MoreHardLinksAtOnceThanTheirShareOfTheMemory) {
  constexpr int kFiles = 6000;
  Node root = directory_node("");
  for (const char* name : {"first", "second"}) {
    Node& sub = root.add(directory_node(name));
    for (int f = 0; f < kFiles; ++f) {
      Node& n = sub.add(file_node(fmt::format("a-file-of-two-names-{:04}", f), fmt::format("{:04}", f)));
      n.entry.links = 2;
      n.entry.inode = static_cast<std::uint64_t>(1000 + f);
    }
  }
  const auto body = plant(v, std::move(root));
  Restoring run(v);
  const auto report = run(body, {.target = target, .workers = 2, .memory_bytes = 1u << 20});
  ASSERT_OK(report);
  EXPECT_EQ(all_warnings(*report), "");
  for (int f = 0; f < kFiles; f += 7) {
    const auto first = stat_of(target + fmt::format("/first/a-file-of-two-names-{:04}", f));
    EXPECT_EQ(first.st_nlink, 2u);
    EXPECT_EQ(first.st_ino, stat_of(target + fmt::format("/second/a-file-of-two-names-{:04}", f)).st_ino);
  }
}

// Deeper than any descriptor cache, with files on the way back up.
TEST_F(Forms, AVeryDeepTree) {
  constexpr int kDepth = 3000;
  Node tree = directory_node("");
  Node* at = &tree;
  for (int i = 0; i < kDepth; ++i) {
    at->add(file_node("z", std::to_string(i)));
    at->children.reserve(3);
    at = &at->add(directory_node("dd"));
    at->entry.mtime.seconds = 1'000'000'000 + i;
  }
  at->add(file_node("bottom", "here"));
  const auto body = plant(v, std::move(tree));
  for (int round = 0; round < 2; ++round) {
    Restoring run(v);
    auto report = run(body, {.target = target, .workers = 2});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report).substr(0, 500);
    EXPECT_EQ(report->directories, static_cast<std::uint64_t>(kDepth));
  }
  int fd = open(target.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < kDepth; ++i) {
    const int next = openat(fd, "dd", O_RDONLY | O_DIRECTORY);
    ASSERT_GE(next, 0);
    close(fd);
    fd = next;
    struct stat st {};
    fstat(fd, &st);
    ASSERT_EQ(st.st_mtim.tv_sec, 1'000'000'000 + i);
  }
  EXPECT_EQ(faccessat(fd, "bottom", F_OK, 0), 0);
  // rm -r of our own: std::filesystem gives up beyond PATH_MAX.
  for (int i = kDepth; i-- >= 0;) {
    for (const char* name : {"bottom", "z"}) unlinkat(fd, name, 0);
    unlinkat(fd, "dd", AT_REMOVEDIR);
    const int up = openat(fd, "..", O_RDONLY | O_DIRECTORY);
    close(fd);
    fd = up;
  }
  close(fd);
}

TEST_F(Forms, AVeryWideDirectory) {
  Node root = directory_node("");
  for (int i = 0; i < 17'000; ++i) root.add(directory_node(fmt::format("d{}", i)));
  for (int i = 0; i < 1'000; ++i) root.add(file_node(fmt::format("f{}", i), "x"));
  const auto body = plant(v, std::move(root), {.leaf_entries_max = 1000});
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_EQ(report->directories, 17'000u);
  EXPECT_EQ(report->files, 1'000u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(target), {}), 18'000);
}

TEST_F(Forms, FewDescriptorsAreEnough) {
  Node root = directory_node("");
  for (int d = 0; d < 100; ++d) {
    Node& sub = root.add(directory_node(fmt::format("d{}", d)));
    for (int f = 0; f < 5; ++f)
      sub.add(file_node(fmt::format("f{}", f), noise(static_cast<std::uint64_t>(d * 10 + f), 30'000)));
  }
  const auto body = plant(v, std::move(root), {.chunk_bytes = 10'000, .group_bytes = 25'000});
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{64, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  Restoring run(v);
  auto report = run(body, {.target = target, .verify = true, .workers = 2});
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u) << all_warnings(*report).substr(0, 500);
  for (int d = 0; d < 100; d += 9)
    EXPECT_TRUE(content_of(target + fmt::format("/d{}/f3", d)) ==
                noise(static_cast<std::uint64_t>(d * 10 + 3), 30'000));
}

// ---- streams ----

TEST_F(Forms, OneContentAsAStream) {
  Node sparse = file_node("sparse", "");
  sparse.entry.size = 1'000'000;
  sparse.content = {{300'000, noise(2, 200'000)}};
  const auto body = plant(v, directory_node("", {file_node("f", noise(1, 3'000'000)), file_node("empty", ""), sparse}),
                          {.inline_slices_max = 5});
  Restoring run(v);
  const auto content = [&](const char* path) {
    auto found = vault::find_entry(*run.reader, body, path);
    EXPECT_OK(found);
    const int fd = memfd_create("content", 0);
    EXPECT_OK(restore::write_content(*run.reader, *found, fd, run.cancel));
    std::string text(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    close(fd);
    return text;
  };
  EXPECT_TRUE(content("/f") == noise(1, 3'000'000));
  EXPECT_EQ(content("/empty"), "");
  EXPECT_TRUE(content("/sparse") == std::string(300'000, '\0') + noise(2, 200'000) + std::string(500'000, '\0'));
  auto root = vault::find_entry(*run.reader, body, "/");
  EXPECT_FAILS(restore::write_content(*run.reader, *root, 1, run.cancel), kInvalid);
  // A reader that has gone ends the stream, and nothing hangs.
  int ends[2];
  CHECK(pipe(ends) == 0);
  close(ends[0]);
  signal(SIGPIPE, SIG_IGN);
  auto found = vault::find_entry(*run.reader, body, "/f");
  EXPECT_FALSE(restore::write_content(*run.reader, *found, ends[1], run.cancel).has_value());
  EXPECT_FALSE(restore::write_tar(*run.reader, body, "", ends[1], run.progress, run.cancel).has_value());
  close(ends[1]);
}

TEST_F(Forms, ATreeAsATarStream) {
  if (geteuid() != 0) GTEST_SKIP() << "tar brings back owners and devices as root only";
  make_tree(20261122, temp / "source", {.large = true});
  // tar has no sockets, and GNU tar cannot go deeper than PATH_MAX by path.
  EXPECT_EQ(
      std::system(fmt::format("find '{0}' -type s -delete; cd '{0}' && rm -rf aaaaaaaa*", temp / "source").c_str()), 0);
  const auto body = plant(v, tree_of(temp.path(), "source"), {.inline_slices_max = 20});
  Restoring run(v);
  const std::string tar = temp / "x.tar";
  const int fd = open(tar.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  auto report = restore::write_tar(*run.reader, body, "", fd, run.progress, run.cancel);
  close(fd);
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
  EXPECT_EQ(report->files, body.files);
  mkdir((temp / "out").c_str(), 0755);
  const std::string command =
      fmt::format("tar --acls --xattrs --xattrs-include='*' --numeric-owner --same-owner -xpf '{}' -C '{}' 2> '{}'", tar,
                  temp / "out", temp / "err");
  EXPECT_EQ(std::system(command.c_str()), 0) << content_of(temp / "err");
  TreeComparer comparer(CompareOptions{.atime = false, .flags = false});
  for (const std::string& difference : comparer.compare(temp / "source", temp / "out/source")) {
    // libarchive cannot tell a fraction of the last second before 1970, and writes odd names of attributes in its own
    // way.
    if (difference.find(": mtime -1.") == std::string::npos && difference.find("/xattr-odd-name: ") != 0)
      ADD_FAILURE() << difference;
  }
}

}  // namespace
}  // namespace coppice::testing
