// Goal: damage, a full disk, a wish to stop cost what they must and nothing else; and what was cut short never looks
// right.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <filesystem>
#include <thread>

#include "foundation/encoding.h"
#include "planted.h"
#include "storage/fault_store.h"
#include "support/temp_directory.h"

namespace coppice::testing {
namespace {

using restore::RestoreOptions;

class Damage : public ::testing::Test {
 protected:
  TempDirectory temp;
  TestVault v;
  const std::string target = temp / "target";
};

// Every block of every data pack is spoilt in turn: exactly the files in it fail.
TEST_F(Damage, ASpoiltBlockFailsItsFilesOnly) {
  Node root = directory_node("");
  for (int i = 0; i < 60; ++i)
    root.add(file_node(fmt::format("small{:02}", i), noise(static_cast<std::uint64_t>(i), 20'000)));
  root.add(file_node("large", noise(1000, 6'000'000)));
  std::map<std::string, std::string> wanted;
  for (const Node& n : root.children) wanted[n.entry.name] = n.content.front().bytes;
  const auto body = plant(v, std::move(root), {.chunk_bytes = 500'000});
  const std::string pack = v.objects("packs/").front();
  const Bytes whole = v.bytes_of(pack);
  for (std::size_t at = 1000; at < whole.size(); at += 700'000) {
    Bytes spoilt = whole;
    spoilt[at] ^= std::byte{1};
    v.replace(pack, spoilt);
    std::filesystem::remove_all(target);
    Restoring run(v);
    auto report = run(body, {.target = target});
    ASSERT_OK(report);
    std::size_t missing = 0;
    for (const auto& [name, content] : wanted) {
      const bool there = exists(target + "/" + name);
      missing += !there;
      EXPECT_TRUE(!there || content_of(target + "/" + name) == content) << name;
    }
    EXPECT_EQ(report->failed, missing);
    EXPECT_GE(missing, 1u);
    EXPECT_LT(missing, wanted.size());
    EXPECT_EQ(report->files, wanted.size() - missing);
    for (const auto& w : report->warnings) EXPECT_TRUE(w.what.find("packs/") != std::string::npos) << w.what;
    // The damage mended, the rest is brought in, and only that.
    v.replace(pack, whole);
    Restoring again(v);
    auto second = again(body, {.target = target});
    ASSERT_OK(second);
    EXPECT_EQ(second->failed, 0u);
    EXPECT_EQ(second->files, missing);
    for (const auto& [name, content] : wanted) EXPECT_TRUE(content_of(target + "/" + name) == content) << name;
  }
}

TEST_F(Damage, AnOldFileSurvivesADamagedNewOne) {
  const auto body = plant(v, directory_node("", {file_node("f", noise(1, 300'000))}), {.chunk_bytes = 50'000});
  const std::string pack = v.objects("packs/").front();
  Bytes bytes = v.bytes_of(pack);
  bytes[5000] ^= std::byte{1};
  v.replace(pack, bytes);
  mkdir(target.c_str(), 0755);
  write_text(target + "/f", "old");
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 1u);
  EXPECT_EQ(content_of(target + "/f"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(target), {}), 1);
}

TEST_F(Damage, LinksToWhatFailedAreTold) {
  Node a = file_node("a", noise(1, 40'000)), b = file_node("b", noise(1, 40'000));
  for (Node* n : {&a, &b}) n->entry.links = 2, n->entry.inode = 9;
  const auto body = plant(v, directory_node("", {a, b}));
  const std::string pack = v.objects("packs/").front();
  Bytes bytes = v.bytes_of(pack);
  bytes[400] ^= std::byte{1};
  v.replace(pack, bytes);
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 2u);
  EXPECT_NE(all_warnings(*report).find("/b: a hard link to /a, which could not be restored"), std::string::npos)
      << all_warnings(*report);
}

TEST_F(Damage, ADamagedDirectoryCostsItself) {
  Node root = directory_node("");
  // Trees of their own blocks: enough entries that one damaged block is not all of them.
  for (int d = 0; d < 4; ++d) {
    Node& sub = root.add(directory_node(fmt::format("d{}", d)));
    for (int f = 0; f < 2000; ++f) {
      Node& n = sub.add(file_node(
          fmt::format("{:04}-{}", f, render_hex(as_bytes(noise(static_cast<std::uint64_t>(d * 10000 + f), 60)))), ""));
      n.entry.xattrs = {{"user.noise", noise(static_cast<std::uint64_t>(f), 400)}};
    }
  }
  root.add(file_node("top", "fine"));
  const auto body = plant(v, std::move(root), {.leaf_entries_max = 500});
  const std::string pack = v.objects("trees/").front();
  Bytes bytes = v.bytes_of(pack);
  bytes[bytes.size() / 2] ^= std::byte{1};
  v.replace(pack, bytes);
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_GT(report->failed, 0u);
  EXPECT_GT(report->files, 1000u);
  EXPECT_LT(report->files, 8001u);
  EXPECT_EQ(content_of(target + "/top"), "fine");
  EXPECT_NE(all_warnings(*report).find("the list of this directory cannot be read"), std::string::npos);
}

// A list of many pages lacks one in the middle: what is on the others comes back, also when it is the list of the root.
TEST_F(Damage, ADamagedPageOfAListCostsWhatIsOnIt) {
  Node root = directory_node("");
  for (int i = 0; i < 2400; ++i)
    root.add(symlink_node(fmt::format("l{:04}", i), render_hex(as_bytes(noise(static_cast<std::uint64_t>(i), 500)))));
  const auto body = plant(v, std::move(root), {.leaf_entries_max = 200});
  const std::string pack = v.objects("trees/").front();
  const Bytes whole = v.bytes_of(pack);
  int behind = 0;   // in how many cases something behind a lost page came back
  for (const std::size_t sixth : {1u, 3u, 5u}) {
    Bytes bytes = whole;
    bytes[whole.size() * sixth / 6] ^= std::byte{1};
    v.replace(pack, bytes);
    std::filesystem::remove_all(target);
    Restoring run(v);
    const auto report = run(body, {.target = target});
    if (!report) continue;   // the index of the pages lay there
    EXPECT_EQ(report->failed, 1u) << all_warnings(*report);
    EXPECT_NE(all_warnings(*report).find("a part of the list of this directory cannot be read"), std::string::npos);
    int missing = 0, back = 0;
    for (int i = 0; i < 2400; ++i) {
      const bool there = exists(target + fmt::format("/l{:04}", i));
      missing += !there;
      back += there && missing > 0;
    }
    EXPECT_EQ(report->others, 2400u - static_cast<unsigned>(missing));
    behind += back > 0;
    Restoring again(v);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const auto tar = restore::write_tar(*again.reader, body, "", null, again.progress, again.cancel);
    close(null);
    ASSERT_OK(tar);
    EXPECT_EQ(tar->failed, 1u);
    EXPECT_EQ(tar->others, report->others);
  }
  EXPECT_GT(behind, 0);
}

// A huge directory is read again for each batch of its subdirectories. What cannot be read is told in whichever pass that is, and once.
TEST_F(Damage, APageThatFailsInALaterPassIsToldToo) {
  constexpr std::uint64_t kDirectories = 17'000;
  Node root = directory_node("");
  for (std::uint64_t i = 0; i < kDirectories; ++i) root.add(directory_node(fmt::format("d{:05}", i)));
  root.add(file_node("a", "before them all"));
  const auto body = plant(v, std::move(root), {.leaf_entries_max = 1000});
  const auto run = [&](bool tar, std::int64_t crash_at, std::int64_t& operations) {
    storage::FaultStore store(v.store, {.crash_at = crash_at});
    auto vault = vault::Vault::open(store, v.bundle(format::Role::kReader), "", v.clock, v.entropy);
    EXPECT_OK(vault);
    auto reader = vault::ChunkReader::create(**vault, 1);   // what is read twice is fetched twice
    EXPECT_OK(reader);
    restore::RestoreProgress progress;
    CancelToken cancel;
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    auto report = tar ? restore::write_tar(**reader, body, "", null, progress, cancel)
                      : restore::restore_snapshot(**reader, body, {.target = target, .dry_run = true}, progress, cancel);
    close(null);
    operations = store.operations();
    return report;
  };
  for (const bool tar : {false, true}) {
    std::int64_t all = 0, ignored = 0;
    const auto whole = run(tar, -1, all);
    ASSERT_OK(whole);
    EXPECT_EQ(whole->directories, kDirectories);
    EXPECT_EQ(whole->failed, 0u);
    for (const std::int64_t before_end : {1, 4}) {
      const auto report = run(tar, all - before_end, ignored);
      ASSERT_OK(report);
      EXPECT_LT(report->directories, kDirectories);
      EXPECT_GE(report->failed, 1u) << (tar ? "tar" : "restore") << " lost " << kDirectories - report->directories << " directories without a word";
      EXPECT_NE(all_warnings(*report).find("a part of the list of this directory cannot be read"), std::string::npos) << all_warnings(*report);
    }
  }
}

// What could not be listed when it was backed up is lacking, whether it is met on the walk, or is itself what was asked for.
TEST_F(Damage, ADirectoryThatCouldNotBeListedFailsAlsoWhenItIsAskedFor) {
  Node locked = directory_node("locked");
  locked.entry.marks = format::kMarkUnreadable;
  const auto body = plant(v, directory_node("", {directory_node("s", {locked, file_node("file.txt", "x")})}));
  int n = 0;
  for (const std::string path : {"/s/locked", "/s", ""})
    for (const bool in_place : {false, true})
      for (const bool dry_run : {true, false}) {
        Restoring run(v);
        const auto report = run(body, {.target = target + std::to_string(n++), .sub_path = path, .in_place = in_place, .dry_run = dry_run});
        ASSERT_OK(report);
        EXPECT_EQ(report->failed, 1u) << path << " in place " << in_place << " dry " << dry_run;
        EXPECT_NE(all_warnings(*report).find("locked: its list could not be read when it was backed up"), std::string::npos) << all_warnings(*report);
      }
  // What a pattern asks for may have been in there.
  for (const std::string path : {"/s/locked", "/s"}) {
    Restoring run(v);
    const auto report = run(body, {.target = target + std::to_string(n++), .sub_path = path, .patterns = {"*.txt"}});
    ASSERT_OK(report);
    EXPECT_EQ(report->warnings_total, 1u) << all_warnings(*report);
    EXPECT_EQ(report->failed, 0u);
  }
  Restoring elsewhere(v);
  const auto report = elsewhere(body, {.target = target + std::to_string(n++), .patterns = {"/s/file.txt"}});
  ASSERT_OK(report);
  EXPECT_EQ(report->warnings_total, 0u) << all_warnings(*report);
}

TEST_F(Damage, WithoutItsRootNothingCanBeDone) {
  const auto body = plant(v, directory_node("", {file_node("f", "x")}));
  for (const auto& pack : v.objects("trees/")) EXPECT_OK(v.store.remove(pack));
  Restoring run(v);
  EXPECT_FALSE(run(body, {.target = target}).has_value());
}

TEST_F(Damage, AFullTargetStopsTheRun) {
  mkdir(target.c_str(), 0755);
  if (geteuid() != 0 || mount("none", target.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "cannot mount";
  for (const bool large : {false, true}) {
    Node root = directory_node("");
    if (large)
      root.add(file_node("large", noise(7, 3'000'000)));
    else
      for (int i = 0; i < 200; ++i)
        root.add(file_node(fmt::format("f{}", i), noise(static_cast<std::uint64_t>(i), 20'000)));
    TestVault own;
    const auto body = plant(own, std::move(root));
    Restoring run(own);
    auto report = run(body, {.target = target});
    EXPECT_FAILS(report, kExhausted);
    EXPECT_NE(report.error().message().find("full"), std::string::npos) << report.error().message();
    // What is there by name and time is whole.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(target)) {
      const auto st = stat_of(entry.path().string());
      const bool looks_right = S_ISREG(st.st_mode) && st.st_mtim.tv_sec == 1'500'000'000;
      EXPECT_TRUE(!looks_right || st.st_size == (large ? 3'000'000 : 20'000)) << entry.path();
    }
    std::filesystem::remove_all(target + "/large");
    for (int i = 0; i < 200; ++i) std::filesystem::remove(target + fmt::format("/f{}", i));
  }
  umount(target.c_str());
}

TEST_F(Damage, CancelledInTheMiddleAndTakenUpAgain) {
  Node root = directory_node("");
  for (int d = 0; d < 10; ++d) {
    Node& sub = root.add(directory_node(fmt::format("d{}", d)));
    for (int f = 0; f < 200; ++f)
      sub.add(file_node(fmt::format("f{}", f), noise(static_cast<std::uint64_t>(d * 1000 + f), 5'000)));
    sub.add(file_node("large", noise(static_cast<std::uint64_t>(d), 900'000)));
  }
  const auto body = plant(v, std::move(root));
  std::size_t cancelled = 0;
  for (std::uint64_t after : {0u, 1u, 300u, 900u, 1700u}) {
    Restoring run(v);
    std::atomic<bool> over{false};
    std::thread canceller([&] {
      while (run.progress.files - run.progress.skipped < after && !over) std::this_thread::yield();
      run.cancel.cancel();
    });
    auto report = run(body, {.target = target, .workers = 2, .memory_bytes = 8u << 20});
    over = true;
    canceller.join();
    if (!report) {
      EXPECT_FAILS(report, kCancelled);
      ++cancelled;
    }
    if (exists(target))
      for (const auto& entry : std::filesystem::recursive_directory_iterator(target)) {
        const auto st = stat_of(entry.path().string());
        const bool looks_right = S_ISREG(st.st_mode) && st.st_mtim.tv_sec == 1'500'000'000;
        EXPECT_TRUE(!looks_right || st.st_size == (entry.path().filename() == "large" ? 900'000 : 5'000))
            << entry.path();
      }
  }
  EXPECT_GE(cancelled, 2u);
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u);
  EXPECT_EQ(report->files + report->skipped, 2010u);
  for (int d = 0; d < 10; ++d) {
    EXPECT_TRUE(content_of(target + fmt::format("/d{}/large", d)) == noise(static_cast<std::uint64_t>(d), 900'000));
    for (int f = 0; f < 200; f += 17)
      EXPECT_TRUE(content_of(target + fmt::format("/d{}/f{}", d, f)) ==
                  noise(static_cast<std::uint64_t>(d * 1000 + f), 5'000));
  }
}

// Killed without warning, again and again, over a target that had other contents: whatever looks right is, and readers
// never see a mixture.
TEST_F(Damage, KilledAndTakenUpAgain) {
  std::map<std::string, std::string> wanted;
  Node root = directory_node("");
  for (int f = 0; f < 400; ++f) {
    Node& n =
        root.add(file_node(fmt::format("f{}", f), noise(static_cast<std::uint64_t>(f), f % 20 == 0 ? 700'000 : 3'000)));
    wanted[n.entry.name] = n.content.front().bytes;
  }
  const auto body = plant(v, std::move(root));
  mkdir(target.c_str(), 0755);
  const std::string old = "what was there before";
  for (int f = 0; f < 400; f += 3) write_text(target + fmt::format("/f{}", f), old);
  int killed = 0;
  for (unsigned round = 0; round < 12; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      Restoring run(v);
      auto report = run(body, {.target = target, .workers = 2});
      _exit(report ? 0 : 1);
    }
    usleep(3000 * round);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    killed += WIFSIGNALED(status);
    for (const auto& [name, content] : wanted) {
      const std::string path = target + "/" + name;
      if (!exists(path)) continue;
      const bool looks_right = stat_of(path).st_mtim.tv_sec == 1'500'000'000;
      const bool was_there = std::stoi(name.substr(1)) % 3 == 0;
      if (!looks_right && !was_there) continue;
      const std::string there = content_of(path);
      EXPECT_TRUE(there == content || (was_there && !looks_right && there == old)) << name;
    }
  }
  EXPECT_GT(killed, 2);
  Restoring run(v);
  auto report = run(body, {.target = target});
  ASSERT_OK(report);
  EXPECT_EQ(report->failed, 0u);
  for (const auto& [name, content] : wanted) EXPECT_TRUE(content_of(target + "/" + name) == content) << name;
  EXPECT_EQ(static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(target), {})), wanted.size());
}

// verify: a file that lies about itself is found out, in all its forms.
TEST_F(Damage, VerifyFindsWhatSizeAndTimeHide) {
  Node sparse = file_node("sparse", "");
  sparse.entry.size = 3'000'000;
  sparse.content = {{1'000'000, noise(4, 100'000)}};
  Node huge = file_node("huge", noise(5, 300'000));
  Node one = file_node("one", noise(6, 2000)), two = file_node("two", noise(6, 2000));
  for (Node* n : {&one, &two}) n->entry.links = 2, n->entry.inode = 3;
  const auto body = plant(
      v,
      directory_node("", {directory_node("d", {file_node("small", noise(1, 900)), file_node("large", noise(2, 400'000)),
                                               sparse, huge, file_node("untouched", noise(3, 5000)), one, two})}),
      {.chunk_bytes = 30'000, .inline_slices_max = 8});
  const auto spoil = [&](const char* name, off_t at) {
    const std::string path = target + "/d/" + name;
    const auto st = stat_of(path);
    const int fd = open(path.c_str(), O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, "?", 1, at) == 1);
    close(fd);
    set_mtime(path, {st.st_mtim.tv_sec, static_cast<std::uint32_t>(st.st_mtim.tv_nsec)});
  };
  for (const unsigned workers : {1u, 3u}) {
    Restoring first(v);
    ASSERT_OK(first(body, {.target = target, .workers = workers}));
    spoil("small", 5);
    spoil("large", 399'000);
    spoil("sparse", 2'500'000);  // in what should be a hole
    spoil("huge", 100'000);
    spoil("one", 0);
    Restoring trusting(v);
    auto trusted = trusting(body, {.target = target});
    ASSERT_OK(trusted);
    Restoring run(v);
    auto report = run(body, {.target = target, .verify = true, .workers = workers});
    ASSERT_OK(report);
    EXPECT_EQ(report->failed, 0u) << all_warnings(*report);
    EXPECT_EQ(report->warnings_total, 5u) << all_warnings(*report);
    EXPECT_TRUE(content_of(target + "/d/small") == noise(1, 900));
    EXPECT_TRUE(content_of(target + "/d/large") == noise(2, 400'000));
    EXPECT_TRUE(content_of(target + "/d/sparse") ==
                std::string(1'000'000, '\0') + noise(4, 100'000) + std::string(1'900'000, '\0'));
    EXPECT_TRUE(content_of(target + "/d/huge") == noise(5, 300'000));
    EXPECT_TRUE(content_of(target + "/d/one") == noise(6, 2000));
    EXPECT_EQ(stat_of(target + "/d/one").st_ino, stat_of(target + "/d/two").st_ino);
    EXPECT_EQ(stat_of(target + "/d").st_mtim.tv_sec, 1'600'000'000);
  }
}

}  // namespace
}  // namespace coppice::testing
