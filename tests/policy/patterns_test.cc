// gitignore patterns: the rules one by one, then the whole against git itself over generated patterns and paths.
#include "policy/patterns.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

namespace coppice::policy {
namespace {

using Verdict = PatternList::Verdict;

PatternList patterns(std::initializer_list<const char*> rules) {
  PatternList list;
  for (const char* rule : rules) {
    auto added = list.add(rule);
    EXPECT_TRUE(added) << rule << ": " << (added ? "" : added.error().message());
  }
  return list;
}

TEST(Patterns, NameWithoutSlashMatchesAtAnyDepth) {
  auto list = patterns({"*.o", "core", "tmp?"});
  EXPECT_TRUE(list.matches("/a.o", false));
  EXPECT_TRUE(list.matches("/a/b/c.o", true));
  EXPECT_TRUE(list.matches("core", false));
  EXPECT_TRUE(list.matches("/x/core", false));
  EXPECT_TRUE(list.matches("/x/tmp1", false));
  EXPECT_FALSE(list.matches("/x/tmp", false));
  EXPECT_FALSE(list.matches("/core/x", false));  // the directory is pruned by the caller
  EXPECT_FALSE(list.matches("/a.oo", false));
  EXPECT_FALSE(list.matches("/", true));
}

TEST(Patterns, SlashTiesToTheRoot) {
  auto list = patterns({"/etc/fstab", "home/*/cache", "/srv"});
  EXPECT_TRUE(list.matches("/etc/fstab", false));
  EXPECT_FALSE(list.matches("/x/etc/fstab", false));
  EXPECT_TRUE(list.matches("/home/me/cache", true));
  EXPECT_FALSE(list.matches("/home/me/x/cache", true));
  EXPECT_FALSE(list.matches("/y/home/me/cache", true));
  EXPECT_TRUE(list.matches("/srv", true));
  EXPECT_FALSE(list.matches("/y/srv", true));
}

TEST(Patterns, TrailingSlashMeansDirectories) {
  auto list = patterns({"build/", "/a/b/"});
  EXPECT_TRUE(list.matches("/x/build", true));
  EXPECT_FALSE(list.matches("/x/build", false));
  EXPECT_TRUE(list.matches("/a/b", true));
  EXPECT_FALSE(list.matches("/a/b", false));
}

TEST(Patterns, TwoStarsCrossDirectories) {
  auto list = patterns({"a/**/b", "**/deep/x", "in/**"});
  EXPECT_TRUE(list.matches("/a/b", false));
  EXPECT_TRUE(list.matches("/a/1/b", false));
  EXPECT_TRUE(list.matches("/a/1/2/3/b", false));
  EXPECT_TRUE(list.matches("/a/b/b", false));
  EXPECT_FALSE(list.matches("/a/1/bb", false));
  EXPECT_TRUE(list.matches("/deep/x", false));
  EXPECT_TRUE(list.matches("/1/2/deep/x", false));
  EXPECT_TRUE(list.matches("/in/1", false));
  EXPECT_TRUE(list.matches("/in/1/2", false));
  EXPECT_FALSE(list.matches("/in", true));
  EXPECT_FALSE(patterns({"foo**/bar"}).matches("/foo/x/bar", false));  // not a whole component: an ordinary star
  EXPECT_TRUE(patterns({"foo**/bar"}).matches("/foox/bar", false));
}

TEST(Patterns, LastMatchDecides) {
  auto list = patterns({"*.log", "!keep.log", "/var/keep.log"});
  EXPECT_EQ(list.verdict("/a.log", false), Verdict::kMatch);
  EXPECT_EQ(list.verdict("/x/keep.log", false), Verdict::kNegated);
  EXPECT_EQ(list.verdict("/var/keep.log", false), Verdict::kMatch);
  EXPECT_EQ(list.verdict("/a.txt", false), Verdict::kNone);
}

TEST(Patterns, BracketsAndEscapes) {
  auto list = patterns({"[a-c]1", "[!x]2", "[]]3", "[[:digit:]_]4", "\\!5", "\\*6", "[\\]a]7", "[a-]8", "[^b]9"});
  for (const char* yes : {"a1", "c1", "y2", "]3", "74", "_4", "!5", "*6", "]7", "a7", "-8", "a8", "a9",
                          "\xff"
                          "2"}) {
    EXPECT_TRUE(list.matches(yes, false)) << yes;
  }
  for (const char* no : {"d1", "x2", "a3", "a4", "5", "a6", "b7", "b8", "b9", "2"})
    EXPECT_FALSE(list.matches(no, false)) << no;
}

TEST(Patterns, WhatMatchesNothingIsRefused) {
  PatternList list;
  const std::string too_long(4097, 'a');
  for (const char* bad : {"", "!", "/", "//", "!/", "[a", "a[", "[[:nonsense:]]", "a\\", "a\\/", "a//b", "./a",
                          "a/../b", ".", "a/.", too_long.c_str()}) {
    auto added = list.add(bad);
    ASSERT_FALSE(added) << bad;
    EXPECT_EQ(added.error().kind(), ErrorKind::kInvalid);
  }
  EXPECT_FALSE(list.add(std::string_view("a\0b", 3)));
  EXPECT_TRUE(list.empty());
  EXPECT_TRUE(list.add(std::string(4096, 'a')));
  EXPECT_TRUE(list.add("..."));
}

TEST(Patterns, LinesOfAFile) {
  PatternList list;
  ASSERT_TRUE(list.add_lines("\xef\xbb\xbf# comment\n\n*.o  \r\nname\\ \n   \n\\#literal\n!keep.o\r\nlast\\\\ "));
  EXPECT_TRUE(list.matches("/a.o", false));
  EXPECT_EQ(list.verdict("/keep.o", false), Verdict::kNegated);
  EXPECT_TRUE(list.matches("/name ", false));
  EXPECT_FALSE(list.matches("/name", false));
  EXPECT_TRUE(list.matches("/#literal", false));
  EXPECT_TRUE(list.matches("/last\\", false));
  EXPECT_FALSE(list.matches("/# comment", false));
  auto bad = list.add_lines("good\n# fine\n[bad\n");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message().find("line 3"), std::string::npos) << bad.error().message();
}

TEST(Patterns, MayMatchBelow) {
  auto list = patterns({"/home/*/mail/inbox", "/srv/**/log", "!/never"});
  for (const char* yes : {"/", "/home", "/home/me", "/home/me/mail", "/srv", "/srv/a", "/srv/a/b/c"}) {
    EXPECT_TRUE(list.may_match_below(yes)) << yes;
  }
  for (const char* no : {"/etc", "/home/me/docs", "/home/me/mail/inbox", "/never", "/homes"}) {
    EXPECT_FALSE(list.may_match_below(no)) << no;
  }
  EXPECT_TRUE(patterns({"x"}).may_match_below("/any/where"));
  EXPECT_FALSE(PatternList().may_match_below("/"));
}

// Each of these takes years with a matcher that goes back to every star.
TEST(Patterns, NoCatastrophe) {
  std::string stars, deep, path;
  for (int i = 0; i < 100; ++i) stars += "*a", deep += "**/a*a/";
  for (int i = 0; i < 400; ++i) path += "/aaaaaaaa";
  PatternList list;
  ASSERT_TRUE(list.add(stars + "*b"));
  ASSERT_TRUE(list.add(deep + "b"));
  auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(list.matches("/" + std::string(4000, 'a'), false));
  EXPECT_FALSE(list.matches(path, false));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

// What a walk that prunes leaves out: the path itself or any directory above it.
bool is_left_out(const PatternList& list, const std::string& path, bool is_directory) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (list.matches(std::string_view(path).substr(0, slash), true)) return true;
  }
  return list.matches(path, is_directory);
}

class AgainstGit : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("git --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "git is not installed";
    std::string name = std::filesystem::temp_directory_path() / "coppice-patterns-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    ASSERT_EQ(std::system(git("init -q").c_str()), 0);
  }
  void TearDown() override {
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }
  std::string git(const std::string& arguments) const {
    return fmt::format("GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -C '{}' {}", root_.string(), arguments);
  }
  std::filesystem::path root_;
};

TEST_F(AgainstGit, SameVerdicts) {
  const unsigned seed =
      std::getenv("COPPICE_SEED") ? static_cast<unsigned>(std::atoi(std::getenv("COPPICE_SEED"))) : 20240607;
  SCOPED_TRACE(fmt::format("COPPICE_SEED={}", seed));
  std::mt19937 random(seed);
  auto pick = [&](const auto& from) -> const auto& { return from[random() % from.size()]; };

  const std::vector<std::string> names{"a",   "b",  "ab",  "abc", "a.o", "b.c", "foo",
                                       "x y", "a*", "[a]", "-",   "a]",  "!b",  "\xc3\xa9"};
  std::vector<std::pair<std::string, bool>> paths;  // "/a/b", is it a directory
  auto fill = [&](auto& self, const std::string& below, int depth) -> void {
    for (int i = 0; i < (depth == 0 ? 14 : 3); ++i) {
      std::string path = below + "/" + (depth == 0 ? names[static_cast<std::size_t>(i)] : pick(names));
      if (std::filesystem::exists(root_.string() + path)) continue;
      bool directory = depth < 4 && random() % 2 == 0;
      paths.emplace_back(path, directory);
      if (directory) {
        std::filesystem::create_directory(root_.string() + path);
        self(self, path, depth + 1);
      } else {
        std::ofstream(root_.string() + path);
      }
    }
  };
  fill(fill, "", 0);
  {
    std::ofstream list(root_ / ".git" / "paths");
    for (const auto& [path, directory] : paths) list << path.substr(1) << '\0';
  }

  const std::vector<std::string> pieces{"a",    "b",    "c",     "o",           ".",           "*",         "?",
                                        "[ab]", "[!a]", "[a-c]", "[^.]",        "\\*",         "\\a",       "foo",
                                        "x y",  "]",    "[]a]",  "[[:alpha:]]", "[[:punct:]]", "[\\[-\\]]", "-",
                                        "\xc3", "[a",   "\\",    "[b/]",        "[a-]"};
  auto component = [&] {
    std::string text;
    for (unsigned n = 1 + random() % 3; n-- > 0;) {
      const std::string& piece = pick(pieces);
      if (piece != "*" || !text.ends_with('*')) text += piece;  // no accidental "**": see the head of patterns.cc
    }
    return text;
  };
  auto pattern = [&] {
    std::string text = random() % 6 == 0 ? "!" : "";
    unsigned parts = random() % 2 == 0 ? 1 : 1 + random() % 4;
    if (random() % 4 == 0) text += "/";
    for (unsigned i = 0; i < parts; ++i) {
      if (i > 0) text += "/";
      text += parts > 1 && random() % 4 == 0 ? (random() % 8 == 0 ? "***" : "**") : component();
    }
    if (random() % 5 == 0) text += "/";
    if (random() % 10 == 0) text += random() % 2 == 0 ? "  " : "\\ ";
    if (random() % 10 == 0) text += "\r";
    return text;
  };
  std::size_t left_out = 0, refused = 0;
  for (int round = 0; round < 60; ++round) {
    PatternList list;
    std::string text;
    for (unsigned n = 1 + random() % 4; n-- > 0;) {
      std::string line = pattern() + "\n";
      text += line;
      // A refused pattern stays in git's file: it must make no difference there.
      if (!list.add_lines(line)) ++refused;
    }
    std::ofstream(root_ / ".git" / "info" / "exclude") << text;
    int status = std::system(git("check-ignore --no-index -z --stdin < " + (root_ / ".git/paths").string() + " > " +
                                 (root_ / ".git/answer").string())
                                 .c_str());
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    std::set<std::string> ignored;
    std::ifstream answer(root_ / ".git" / "answer");
    for (std::string path; std::getline(answer, path, '\0');) ignored.insert("/" + path);
    left_out += ignored.size();
    for (const auto& [path, directory] : paths) {
      EXPECT_EQ(is_left_out(list, path, directory), ignored.contains(path))
          << path << (directory ? "/" : "") << " with\n"
          << text;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(left_out, paths.size() * 2);
  EXPECT_GT(refused, 5u);
}

}  // namespace
}  // namespace coppice::policy
