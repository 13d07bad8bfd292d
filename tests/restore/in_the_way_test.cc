// Goal: what stands in the target is kept, replaced or reported, never destroyed by surprise; and nothing is ever
// written outside of it.
#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <thread>

#include "foundation/encoding.h"
#include "planted.h"
#include "support/temp_directory.h"
#include "temporary.h"

namespace coppice::testing {
namespace {

std::vector<std::string> list(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

std::string temporary(const char* name, unsigned number = 0) { return restore::TemporaryName(name, number).text; }

class InTheWay : public ::testing::Test {
 protected:
  restore::RestoreReport restore(Node root, restore::RestoreOptions options = {}) {
    const auto body = plant(v, std::move(root));
    Restoring run(v);
    options.target = target;
    auto report = run(body, options);
    EXPECT_OK(report);
    return report ? *report : restore::RestoreReport{};
  }
  // Restores it twice in a process of a user who may do nothing but what is his; `good` says of each whether it went as it should.
  void twice_as_nobody(Node root, restore::RestoreOptions options, const std::function<bool(const restore::RestoreReport&)>& good) {
    constexpr uid_t kNobody = 65534;
    const auto body = plant(v, std::move(root));
    options.target = target;
    mkdir(target.c_str(), 0755);
    CHECK(chmod(temp.path().c_str(), 0755) == 0 && chown(target.c_str(), kNobody, kNobody) == 0);
    const pid_t child = fork();
    if (child == 0) {
      if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(10);
      Restoring run(v);
      for (int round = 0; round < 2; ++round) {
        const auto report = run(body, options);
        if (report && good(*report)) continue;
        fprintf(stderr, "%s", report ? all_warnings(*report).c_str() : "failed");
        _exit(12);
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  TempDirectory temp;
  TestVault v;
  const std::string target = temp / "target";
};

TEST_F(InTheWay, AReaderSeesTheOldFileOrTheNew) {
  mkdir(target.c_str(), 0755);
  write_text(target + "/f", "old content");
  const int old = open((target + "/f").c_str(), O_RDONLY);
  const auto report = restore(directory_node("", {file_node("f", "new")}));
  EXPECT_EQ(report.files, 1u);
  char buffer[32] = {};
  EXPECT_EQ(read(old, buffer, sizeof buffer), 11);
  EXPECT_STREQ(buffer, "old content");
  close(old);
  EXPECT_EQ(content_of(target + "/f"), "new");
  EXPECT_EQ(list(target), std::vector<std::string>{"f"});  // no temporary left
}

TEST_F(InTheWay, WhatACrashLeftBehindIsReplaced) {
  mkdir(target.c_str(), 0755);
  restore(directory_node("", {file_node("f", "new")}));
  write_text(target + "/f", "spoilt");
  // The temporary of an earlier, interrupted run.
  std::uint64_t hash = 0xcbf29ce484222325u;
  hash = (hash ^ 'f') * 0x100000001b3u;
  write_text(target + fmt::format("/.coppice-{:016x}", hash), "half");
  const auto report = restore(directory_node("", {file_node("f", "new")}));
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  EXPECT_EQ(content_of(target + "/f"), "new");
  EXPECT_EQ(list(target), std::vector<std::string>{"f"});
}

TEST_F(InTheWay, WrongTypesGiveWay) {
  const std::string outside = temp / "outside";
  mkdir(outside.c_str(), 0755);
  write_text(outside + "/precious", "do not touch");
  mkdir(target.c_str(), 0755);
  CHECK(symlink(outside.c_str(), (target + "/directory").c_str()) == 0);
  CHECK(symlink((outside + "/precious").c_str(), (target + "/file").c_str()) == 0);
  CHECK(mkfifo((target + "/file2").c_str(), 0600) == 0);
  CHECK(mkdir((target + "/file3").c_str(), 0700) == 0);  // empty
  CHECK(mkdir((target + "/link").c_str(), 0700) == 0);
  write_text(target + "/directory2", "a file");
  const auto report = restore(
      directory_node("", {directory_node("directory", {file_node("precious", "from the snapshot")}),
                          file_node("file", "1"), file_node("file2", "2"), file_node("file3", "3"),
                          directory_node("directory2", {file_node("x", "4")}), symlink_node("link", "somewhere")}));
  EXPECT_EQ(report.failed, 0u) << all_warnings(report);
  EXPECT_EQ(content_of(outside + "/precious"), "do not touch");
  EXPECT_EQ(list(outside), std::vector<std::string>{"precious"});
  EXPECT_EQ(content_of(target + "/directory/precious"), "from the snapshot");
  EXPECT_EQ(content_of(target + "/file"), "1");
  EXPECT_EQ(content_of(target + "/file2"), "2");
  EXPECT_EQ(content_of(target + "/file3"), "3");
  EXPECT_EQ(content_of(target + "/directory2/x"), "4");
  EXPECT_TRUE(S_ISLNK(stat_of(target + "/link").st_mode));
}

TEST_F(InTheWay, AFullDirectoryInPlaceOfAFileStays) {
  mkdir(target.c_str(), 0755);
  for (const char* name : {"/file", "/link", "/hard"}) {
    mkdir((target + name).c_str(), 0755);
    write_text(target + name + "/theirs", "kept");
  }
  Node first = file_node("another", "shared"), second = file_node("hard", "shared");
  for (Node* n : {&first, &second}) n->entry.links = 2, n->entry.inode = 77;
  const auto report = restore(directory_node(
      "", {file_node("file", "new"), symlink_node("link", "x"), first, second, file_node("other", "fine")}));
  EXPECT_EQ(report.failed, 3u) << all_warnings(report);
  for (const char* name : {"/file", "/link", "/hard"}) {
    EXPECT_EQ(content_of(target + name + "/theirs"), "kept");
    EXPECT_EQ(list(target + name).size(), 1u);
  }
  EXPECT_EQ(content_of(target + "/other"), "fine");
  EXPECT_EQ(list(target), (std::vector<std::string>{"another", "file", "hard", "link", "other"}));
}

TEST_F(InTheWay, StrangersStayAndDirectoriesMerge) {
  mkdir(target.c_str(), 0711);
  mkdir((target + "/d").c_str(), 0700);
  write_text(target + "/d/stranger", "kept");
  restore(directory_node("", {directory_node("d", {file_node("ours", "new")})}));
  EXPECT_EQ(list(target + "/d"), (std::vector<std::string>{"ours", "stranger"}));
  EXPECT_EQ(content_of(target + "/d/stranger"), "kept");
  EXPECT_EQ(stat_of(target + "/d").st_mode & 07777, 0755u);  // the snapshot's
  EXPECT_EQ(stat_of(target).st_mode & 07777, 0711u);         // its own
}

TEST_F(InTheWay, ADirectoryOnTheWayKeepsItsAttributes) {
  mkdir(target.c_str(), 0755);
  mkdir((target + "/home").c_str(), 0751);
  Node home = directory_node("home", {directory_node("me", {file_node("f", "x")})});
  home.entry.marks = format::kMarkPartial;
  Node fresh = directory_node("fresh", {directory_node("me", {file_node("f", "x")})});
  fresh.entry.marks = format::kMarkPartial;
  fresh.entry.mode = 0705;
  restore(directory_node("", {home, fresh}));
  EXPECT_EQ(stat_of(target + "/home").st_mode & 07777, 0751u);
  EXPECT_EQ(stat_of(target + "/fresh").st_mode & 07777, 0705u);
}

TEST_F(InTheWay, NewerFilesCanBeKept) {
  mkdir(target.c_str(), 0755);
  write_text(target + "/newer", "edited since");
  write_text(target + "/older", "from before");
  set_mtime(target + "/older", {1'000'000'000, 0});
  const auto report =
      restore(directory_node("", {file_node("newer", "old"), file_node("older", "new")}), {.overwrite_newer = false});
  EXPECT_EQ(content_of(target + "/newer"), "edited since");
  EXPECT_EQ(content_of(target + "/older"), "new");
  EXPECT_EQ(report.files, 1u);
  EXPECT_EQ(report.skipped, 1u);
}

// chattr; false where that cannot be done.
bool guard(const std::string& path, unsigned flag, bool on) {
  const int fd = open(path.c_str(), O_RDONLY);
  int flags = 0;
  bool done = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
  flags = on ? flags | static_cast<int>(flag) : flags & ~static_cast<int>(flag);
  done = done && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
  close(fd);
  return done;
}

TEST_F(InTheWay, WhatIsImmutableStaysAndIsTold) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  Node root = directory_node("", {file_node("attributes", "x"), file_node("content", "new"), file_node("linked", "new"),
                                  directory_node("append", {file_node("here", "new"), file_node("missing", "new")}),
                                  directory_node("closed", {file_node("missing", "new")}), file_node("other", "new")});
  mkdir(target.c_str(), 0755);
  write_text(target + "/content", "old");
  write_text(target + "/attributes", "x");
  set_mtime(target + "/attributes", root.children[0].entry.mtime);
  CHECK(chmod((target + "/attributes").c_str(), 0600) == 0);
  for (const char* name : {"/append", "/closed"}) mkdir((target + name).c_str(), 0700);
  write_text(target + "/append/here", "old");
  if (!guard(target + "/content", FS_IMMUTABLE_FL, true)) GTEST_SKIP() << "no such flags here";
  for (const char* name : {"/attributes", "/closed"}) guard(target + name, FS_IMMUTABLE_FL, true);
  guard(target + "/append", FS_APPEND_FL, true);
  std::map<std::string, restore::Outcome> outcomes;
  const auto dry = restore(root, {.dry_run = true, .on_outcome = [&](const std::string& path, restore::Outcome outcome) {
                             outcomes[path.substr(target.size())] = outcome;
                           }});
  EXPECT_EQ(outcomes.at("/content"), restore::Outcome::kLeft);
  EXPECT_EQ(outcomes.at("/linked"), restore::Outcome::kMade);
  EXPECT_EQ(outcomes.at("/append/here"), restore::Outcome::kLeft);
  EXPECT_EQ(dry.immutable, 6u);
  const auto report = restore(root);
  EXPECT_EQ(report.immutable, 6u) << all_warnings(report);   // both directories' attributes too
  EXPECT_EQ(report.failed, report.immutable);
  EXPECT_EQ(content_of(target + "/content"), "old");
  EXPECT_EQ(stat_of(target + "/attributes").st_mode & 07777, 0600u);
  EXPECT_EQ(content_of(target + "/append/here"), "old");
  EXPECT_EQ(content_of(target + "/append/missing"), "new");
  EXPECT_EQ(list(target + "/append"), (std::vector<std::string>{"here", "missing"}));
  EXPECT_FALSE(exists(target + "/closed/missing"));
  EXPECT_EQ(content_of(target + "/other"), "new");
  for (const char* name : {"/content", "/attributes", "/closed"}) guard(target + name, FS_IMMUTABLE_FL, false);
  guard(target + "/append", FS_APPEND_FL, false);
}

TEST_F(InTheWay, ImmutableFilesAndDirectoriesAreReplacedWhenAskedTo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  mkdir(target.c_str(), 0755);
  mkdir((target + "/d").c_str(), 0755);
  write_text(target + "/d/f", "old");
  if (!guard(target + "/d/f", FS_IMMUTABLE_FL, true)) GTEST_SKIP() << "no such flags here";
  guard(target + "/d", FS_APPEND_FL, true);
  Node one = file_node("one", "linked"), two = file_node("two", "linked");
  for (Node* n : {&one, &two}) n->entry.links = 2, n->entry.inode = 5, n->entry.flags = FS_IMMUTABLE_FL;
  Node locked = directory_node("locked", {file_node("in", "x"), one, two});
  locked.entry.flags = FS_IMMUTABLE_FL;
  for (int round = 0; round < 2; ++round) {
    const auto report = restore(directory_node("", {directory_node("d", {file_node("f", "new")}), locked}), {.replace_immutable = true});
    EXPECT_EQ(report.failed, 0u) << round << all_warnings(report);
    EXPECT_EQ(content_of(target + "/d/f"), "new");
    EXPECT_EQ(stat_of(target + "/locked/one").st_ino, stat_of(target + "/locked/two").st_ino);
    EXPECT_LT(open((target + "/locked/one").c_str(), O_WRONLY), 0);
    EXPECT_NE(mkdir((target + "/locked/more").c_str(), 0700), 0);
    EXPECT_EQ(mkdir((target + fmt::format("/d/removable-{}", round)).c_str(), 0700), 0);
    EXPECT_EQ(rmdir((target + fmt::format("/d/removable-{}", round)).c_str()), 0);  // no longer append-only
  }
  guard(target + "/locked", FS_IMMUTABLE_FL, false);
  guard(target + "/locked/one", FS_IMMUTABLE_FL, false);
}

TEST_F(InTheWay, NothingIsInheritedFromTheTarget) {
  mkdir(target.c_str(), 02775);
  // u::rwx u:1234:rwx g::rwx m::rwx o::---, as the default of what is made inside
  std::string acl{2, 0, 0, 0};
  const auto add = [&](std::uint16_t tag, std::uint16_t perm, std::uint32_t id) {
    for (int i = 0; i < 2; ++i) acl.push_back(static_cast<char>(tag >> 8 * i));
    for (int i = 0; i < 2; ++i) acl.push_back(static_cast<char>(perm >> 8 * i));
    for (int i = 0; i < 4; ++i) acl.push_back(static_cast<char>(id >> 8 * i));
  };
  for (auto [tag, perm, id] : {std::tuple(1, 7, 0xffffffffu), std::tuple(2, 7, 1234u), std::tuple(4, 7, 0xffffffffu),
                               std::tuple(16, 7, 0xffffffffu), std::tuple(32, 0, 0xffffffffu)})
    add(static_cast<std::uint16_t>(tag), static_cast<std::uint16_t>(perm), id);
  if (setxattr(target.c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) != 0)
    GTEST_SKIP() << "no ACLs here";
  Node fifo = file_node("fifo", "");
  fifo.entry.type = format::EntryType::kFifo;
  restore(directory_node("", {file_node("f", "x"), fifo,
                              directory_node("d", {file_node("g", "y"), directory_node("e", {file_node("h", "z")})})}));
  for (const char* name : {"/f", "/fifo", "/d", "/d/g", "/d/e", "/d/e/h"}) {
    EXPECT_LT(getxattr((target + name).c_str(), "system.posix_acl_access", nullptr, 0), 0) << name;
    EXPECT_LT(getxattr((target + name).c_str(), "system.posix_acl_default", nullptr, 0), 0) << name;
    const auto st = stat_of(target + name);
    EXPECT_EQ(st.st_mode & 07777, S_ISDIR(st.st_mode) ? 0755u : 0644u) << name;
    EXPECT_EQ(st.st_gid, getegid()) << name;
  }
  EXPECT_GT(getxattr(target.c_str(), "system.posix_acl_default", nullptr, 0), 0);  // its own is its own
}

// A user who knows that root will restore puts a second name of somebody else's file where a file of the snapshot was.
TEST_F(InTheWay, AForeignFileUnderOurNameKeepsItsAttributes) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, for owners";
  write_text(temp / "foreign", "12345");
  mkdir(target.c_str(), 0755);
  Node root = directory_node("");
  for (const char* name : {"owner", "mode", "xattr"}) root.add(file_node(name, "12345"));
  root.children[0].entry.owner.uid = 4242;
  root.children[1].entry.mode = 04777;
  root.children[2].entry.xattrs = {{"user.x", "1"}};
  Node& fifo = root.add(file_node("fifo", ""));
  fifo.entry.type = format::EntryType::kFifo;
  fifo.entry.owner.uid = 4242;
  CHECK(mkfifo((temp / "foreign-fifo").c_str(), 0600) == 0);
  const auto body = plant(v, root);
  for (const bool verify : {false, true}) {
    for (const char* name : {"owner", "mode", "xattr", "fifo"}) {
      unlink((target + "/" + name).c_str());
      const std::string from = temp / (name == std::string("fifo") ? "foreign-fifo" : "foreign");
      CHECK(link(from.c_str(), (target + "/" + name).c_str()) == 0);
    }
    set_mtime(temp / "foreign", root.children[0].entry.mtime);  // "already right"
    const auto before = stat_of(temp / "foreign");
    Restoring run(v);
    auto report = run(body, {.target = target, .verify = verify});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
    const auto after = stat_of(temp / "foreign");
    EXPECT_EQ(after.st_uid, before.st_uid);
    EXPECT_EQ(after.st_mode, before.st_mode);
    EXPECT_EQ(after.st_nlink, 1u);
    EXPECT_LT(getxattr((temp / "foreign").c_str(), "user.x", nullptr, 0), 0);
    EXPECT_EQ(stat_of(temp / "foreign-fifo").st_uid, 0u);
    EXPECT_EQ(stat_of(target + "/owner").st_uid, 4242u);
    EXPECT_EQ(stat_of(target + "/mode").st_mode & 07777, 04777u);
    EXPECT_EQ(stat_of(target + "/fifo").st_uid, 4242u);
  }
}

// ---- hostile trees ----

TEST_F(InTheWay, ForgedNamesLeadNowhere) {
  for (const std::string& forged : {std::string(".."), std::string("/x"), std::string("a/"), std::string("\0x", 2),
                                    std::string("."), std::string("/")}) {
    SCOPED_TRACE(render_hex(as_bytes(forged)));
    TempDirectory here;
    TestVault own;
    mkdir((here / "t").c_str(), 0755);
    for (const bool directory : {false, true}) {
      const std::string name(forged.size(), '~');
      Node bad = directory ? directory_node(name, {file_node("inside", "evil")}) : file_node(name, "evil");
      bad.forged_name = forged;
      const auto body = plant(own, directory_node("", {directory_node("d", {bad}), file_node("good", "fine")}));
      Restoring run(own);
      auto report = run(body, {.target = here / "t/deep/er"});
      ASSERT_OK(report);
      EXPECT_GT(report->failed, 0u);
      EXPECT_EQ(content_of(here / "t/deep/er/good"), "fine");
      EXPECT_EQ(list(here / "t/deep/er"), (std::vector<std::string>{"d", "good"}));
      EXPECT_EQ(list(here / "t/deep/er/d").size(), 0u);
      EXPECT_EQ(list(here / "t/deep"), std::vector<std::string>{"er"});
      EXPECT_FALSE(exists(here / "evil"));
    }
  }
}

TEST_F(InTheWay, ANameTwiceIsRefused) {
  Node bad = symlink_node("b~", "/tmp");
  bad.forged_name = "aa";  // after "aa" and a symlink: would lead the directory's files outside
  const auto report =
      restore(directory_node("", {directory_node("d", {directory_node("aa", {file_node("x", "1")}), bad})}));
  EXPECT_GT(report.failed, 0u);
  EXPECT_FALSE(exists("/tmp/x"));
  EXPECT_TRUE(!exists(target + "/d/aa") || S_ISDIR(stat_of(target + "/d/aa").st_mode));
}

// Somebody who may write in the target swaps directories for links out of it, all the time.
TEST_F(InTheWay, SwappedLinksAreNeverFollowed) {
  const std::string outside = temp / "outside";
  mkdir(outside.c_str(), 0777);
  write_text(outside + "/canary", "alive");
  Node root = directory_node("");
  for (int d = 0; d < 20; ++d) {
    Node& sub = root.add(directory_node(fmt::format("d{:02}", d)));
    for (int e = 0; e < 3; ++e) {
      Node& deeper = sub.add(directory_node(fmt::format("e{}", e)));
      for (int f = 0; f < 40; ++f)
        deeper.add(file_node(fmt::format("f{}", f), noise(static_cast<std::uint64_t>(d * 1000 + f), 3000)));
      deeper.add(symlink_node("s", "x"));
    }
  }
  const auto body = plant(v, std::move(root));
  mkdir(target.c_str(), 0777);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> swaps{0};
  std::thread attacker([&] {
    std::uint64_t n = 0;
    while (!stop) {
      const std::string d = target + fmt::format("/d{:02}", n % 20), e = d + fmt::format("/e{}", n % 3);
      for (const std::string& path : {d, e}) {
        const std::string aside = path + ".aside";
        if (rename(path.c_str(), aside.c_str()) != 0) continue;
        if (symlink(outside.c_str(), path.c_str()) == 0) ++swaps;
        if (n % 2 == 0) {  // and back
          unlink(path.c_str());
          rename(aside.c_str(), path.c_str());
        }
      }
      // Files and links too: a link to the canary in place of what is being made.
      const std::string f = e + fmt::format("/f{}", n % 40);
      // (Not through our own links: what is made outside would be ours.)
      std::error_code ignored;
      if (!std::filesystem::is_symlink(d, ignored) && !std::filesystem::is_symlink(e, ignored) &&
          unlink(f.c_str()) == 0 && symlink((outside + "/canary").c_str(), f.c_str()) == 0)
        ++swaps;
      ++n;
    }
  });
  for (int round = 0; round < 8; ++round) {
    Restoring run(v);
    auto report = run(body, {.target = target, .workers = 2, .memory_bytes = 8u << 20});
    EXPECT_OK(report);
  }
  stop = true;
  attacker.join();
  EXPECT_GT(swaps, 50u);
  EXPECT_EQ(list(outside), std::vector<std::string>{"canary"});
  EXPECT_EQ(content_of(outside + "/canary"), "alive");
  const auto st = stat_of(outside + "/canary");
  EXPECT_NE(st.st_mtim.tv_sec, 1'500'000'000);
  EXPECT_NE(stat_of(outside).st_mtim.tv_sec, 1'600'000'000);
}

// ---- who we are ----

TEST_F(InTheWay, WithoutRootOwnersAreSaidOnce) {
  if (geteuid() != 0) GTEST_SKIP() << "starts as root, to have something that others may not do";
  Node root = directory_node("");
  for (int i = 0; i < 5; ++i) {
    Node& f = root.add(file_node(fmt::format("f{}", i), "x"));
    f.entry.owner = {.uid = 0, .gid = 0};
    f.entry.mode = 06755;
    f.entry.xattrs = {{"trusted.t", "1"}, {"user.u", "2"}};
  }
  Node& closed =
      root.add(directory_node("closed", {file_node("in", "y"), directory_node("below", {file_node("in", "z")})}));
  closed.entry.mode = 0555;
  closed.entry.owner = {.uid = 65534, .gid = 65534};
  Node& mine = root.add(file_node("mine", "m"));
  mine.entry.owner = {.uid = 65534, .gid = 65534};
  mine.entry.mode = 04444;
  mine.entry.xattrs = {{"user.u", "2"}};
  Node& device = root.add(file_node("device", ""));
  device.entry.type = format::EntryType::kCharDevice;
  device.entry.rdev = makedev(1, 3);
  twice_as_nobody(std::move(root), {}, [](const restore::RestoreReport& report) {
    int owners = 0, trusted = 0;
    for (const auto& w : report.warnings) {
      owners += w.what.find("owners") != std::string::npos;
      trusted += w.what.find("trusted") != std::string::npos;
    }
    return owners == 1 && trusted == 1 && report.failed == 1;
  });
  EXPECT_EQ(stat_of(target + "/f1").st_mode & 07777, 0755u);  // another's program is no longer setuid
  EXPECT_EQ(stat_of(target + "/mine").st_mode & 07777, 04444u);
  EXPECT_EQ(stat_of(target + "/closed").st_mode & 07777, 0555u);
  EXPECT_EQ(stat_of(target + "/closed").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(content_of(target + "/closed/below/in"), "z");
  EXPECT_GT(getxattr((target + "/mine").c_str(), "user.u", nullptr, 0), 0);
}

// Verify reads even what its owner may not, and leaves the mode as it was.
TEST_F(InTheWay, WithoutRootFilesWithoutPermissionsAreVerified) {
  if (geteuid() != 0) GTEST_SKIP() << "starts as root, to have something that others may not do";
  Node root = directory_node("");
  for (const char* name : {"small", "large"}) {
    Node& f = root.add(file_node(name, noise(1, name == std::string("small") ? 500 : 400'000)));
    f.entry.owner = {.uid = 65534, .gid = 65534};
    f.entry.mode = 0;
  }
  twice_as_nobody(std::move(root), {.verify = true}, [](const restore::RestoreReport& report) { return report.failed == 0 && report.verified == 2; });
  EXPECT_EQ(stat_of(target + "/small").st_mode & 07777, 0u);
  EXPECT_EQ(stat_of(target + "/large").st_mode & 07777, 0u);
}

// A killed restore left temporaries, and they were backed up: they are the snapshot's now, and nothing that is replaced may take their
// names. What a killed restore of this snapshot left goes all the same.
TEST_F(InTheWay, AnEntryWithTheNameOfATemporaryComesBackToo) {
  const std::vector<std::string> replaced = {"!first", "file", "fifo", "large", "link", "one", "two"};
  const auto tree = [&] {
    Node root = directory_node("");
    root.add(file_node("!first", "new !first"));   // planned before its temporary's name is met
    root.add(file_node("file", "new file"));
    root.add(file_node("large", noise(1, 700'000)));
    root.add(symlink_node("link", "new"));
    root.add(symlink_node("fifo", "")).entry.type = format::EntryType::kFifo;
    for (const char* name : {"one", "two"}) {
      format::Entry& entry = root.add(file_node(name, "new")).entry;
      entry.links = 2;
      entry.inode = 9;
    }
    root.add(directory_node("sub", {file_node("in", "new")}));
    for (const std::string& name : replaced) root.add(file_node(temporary(name.c_str()), "left for " + name));
    root.add(file_node(temporary("sub"), "left for sub"));
    root.add(file_node(temporary("file", 1), "left for it again"));
    root.add(directory_node(temporary("two", 1), {file_node("in", "left too")}));
    return root;
  };
  const auto body = plant(v, tree(), {.chunk_bytes = 100'000});
  for (const unsigned workers : {1u, 2u}) {
    for (const bool there : {false, true}) {   // whether the entries stand in the target before
      for (const bool killed : {false, true}) {
        std::filesystem::remove_all(target);
        mkdir(target.c_str(), 0755);
        if (there) {
          Restoring before(v);
          ASSERT_OK(before(body, {.target = target}));
          std::filesystem::remove_all(target + "/sub");
        }
        for (const std::string& name : replaced) {
          std::filesystem::remove(target + "/" + name);
          write_text(target + "/" + name, "old");
        }
        write_text(target + "/sub", "old");
        if (killed) {
          write_text(target + "/" + temporary("file", 2), "half");
          write_text(target + "/" + temporary("large", 1), "half");
          write_text(target + "/" + temporary("fifo", 1), "half");
          mkdir((target + "/" + temporary("sub", 1)).c_str(), 0700);
        }
        Restoring run(v);
        const auto report = run(body, {.target = target, .workers = workers});
        ASSERT_OK(report);
        EXPECT_EQ(report->warnings_total, 0u) << all_warnings(*report);
        EXPECT_EQ(content_of(target + "/!first"), "new !first");
        EXPECT_EQ(content_of(target + "/file"), "new file");
        EXPECT_TRUE(content_of(target + "/large") == noise(1, 700'000));
        EXPECT_EQ(std::filesystem::read_symlink(target + "/link"), "new");
        EXPECT_TRUE(S_ISFIFO(stat_of(target + "/fifo").st_mode));
        EXPECT_EQ(stat_of(target + "/one").st_ino, stat_of(target + "/two").st_ino);
        EXPECT_EQ(content_of(target + "/sub/in"), "new");
        for (const std::string& name : replaced) EXPECT_EQ(content_of(target + "/" + temporary(name.c_str())), "left for " + name);
        EXPECT_EQ(content_of(target + "/" + temporary("sub")), "left for sub");
        EXPECT_EQ(content_of(target + "/" + temporary("file", 1)), "left for it again");
        EXPECT_EQ(content_of(target + "/" + temporary("two", 1) + "/in"), "left too");
        EXPECT_EQ(list(target).size(), 2 * replaced.size() + 4) << "a temporary of a killed run stays";
      }
    }
  }
}

}  // namespace
}  // namespace coppice::testing
