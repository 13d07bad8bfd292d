#include "tasks/places.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::tasks {
namespace {

Environment of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

TEST(Places, RootHasTheSystemsAndAUserTheirOwn) {
  const auto root = find_places(of({{"HOME", "/root"}, {"XDG_CONFIG_HOME", "/root/x"}}), true);
  ASSERT_OK(root);
  EXPECT_EQ(root->config_file(), "/etc/coppice/coppice.toml");
  EXPECT_EQ(root->key_file("0011"), "/etc/coppice/keys/0011.key");
  EXPECT_EQ(root->state_directory, "/var/lib/coppice");

  const auto home = find_places(of({{"HOME", "/home/ann"}}), false);
  ASSERT_OK(home);
  EXPECT_EQ(home->config_directory, "/home/ann/.config/coppice");
  EXPECT_EQ(home->state_directory, "/home/ann/.local/state/coppice");

  const auto xdg =
      find_places(of({{"HOME", "/home/ann"}, {"XDG_CONFIG_HOME", "/c/"}, {"XDG_STATE_HOME", "relative"}}), false);
  ASSERT_OK(xdg);
  EXPECT_EQ(xdg->config_directory, "/c/coppice");
  EXPECT_EQ(xdg->state_directory, "/home/ann/.local/state/coppice") << "a relative XDG path is to be ignored";
}

TEST(Places, OwnVariablesReplaceEither) {
  for (const bool root : {false, true}) {
    const auto places = find_places(of({{"COPPICE_CONFIG_DIR", "/a"}, {"COPPICE_STATE_DIR", "/b"}}), root);
    ASSERT_OK(places);
    EXPECT_EQ(places->config_directory, "/a");
    EXPECT_EQ(places->state_directory, "/b");
  }
  EXPECT_FALSE(find_places(of({{"COPPICE_CONFIG_DIR", "a"}, {"HOME", "/h"}}), true));
  EXPECT_FALSE(find_places(of({}), false)) << "nothing says where a user's things are";
}

TEST(Places, TheConfigurationIsStrict) {
  const auto good = parse_configuration("# comment\nvault = \"/srv/vault\"\n");
  ASSERT_OK(good);
  EXPECT_EQ(good->vault, "/srv/vault");
  ASSERT_OK(parse_configuration(""));
  for (const char* bad : {"valt = \"/srv/vault\"", "vault = 3", "vault = \"relative\"", "vault = \"\"",
                          "vault = ", "vault = \"/a\"\nvault = \"/b\""}) {
    const auto parsed = parse_configuration(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(parsed.error().message().find("line "), std::string::npos) << parsed.error().message();
  }
}

TEST(Places, TheVaultIsTheOptionsElseTheEnvironmentsElseTheConfigurations) {
  const testing::TempDirectory directory;
  Places places{.config_directory = directory.path(), .state_directory = directory.path()};
  const auto none = choose_vault("", of({}), places);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind(), ErrorKind::kNotFound);
  std::ofstream(places.config_file()) << "vault = \"/configured\"\n";
  EXPECT_EQ(*choose_vault("", of({}), places), "/configured");
  EXPECT_EQ(*choose_vault("", of({{"COPPICE_VAULT", "/set"}}), places), "/set");
  EXPECT_EQ(*choose_vault("/said/", of({{"COPPICE_VAULT", "/set"}}), places), "/said");
}

TEST(Places, PathsBecomeAbsoluteAndSymlinksStay) {
  EXPECT_EQ(*absolute_path("/"), "/");
  EXPECT_EQ(*absolute_path("//a/./b//"), "/a/b");
  EXPECT_EQ(*absolute_path("/a/../b"), "/a/../b") << "with a symlink, /a/.. is not /";
  EXPECT_TRUE(absolute_path("x")->ends_with("/x"));
  EXPECT_FALSE(absolute_path(""));
}

}  // namespace
}  // namespace coppice::tasks
