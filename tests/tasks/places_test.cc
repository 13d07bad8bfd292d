#include "tasks/places.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/result.h"
#include "support/temp_directory.h"
#include "tasks/environment.h"

namespace coppice::tasks {
namespace {

TEST(Places, RootHasTheSystemsAndAUserTheirOwn) {
  const auto root = find_places(variables({{"HOME", "/root"}, {"XDG_CONFIG_HOME", "/root/x"}}), true);
  ASSERT_OK(root);
  EXPECT_EQ(root->config_file(), "/etc/coppice/coppice.toml");
  EXPECT_EQ(root->key_file("0011"), "/etc/coppice/keys/0011.key");
  EXPECT_EQ(root->state_directory, "/var/lib/coppice");

  const auto home = find_places(variables({{"HOME", "/home/ann"}}), false);
  ASSERT_OK(home);
  EXPECT_EQ(home->config_directory, "/home/ann/.config/coppice");
  EXPECT_EQ(home->state_directory, "/home/ann/.local/state/coppice");

  const auto xdg =
      find_places(variables({{"HOME", "/home/ann"}, {"XDG_CONFIG_HOME", "/c/"}, {"XDG_STATE_HOME", "relative"}}), false);
  ASSERT_OK(xdg);
  EXPECT_EQ(xdg->config_directory, "/c/coppice");
  EXPECT_EQ(xdg->state_directory, "/home/ann/.local/state/coppice") << "a relative XDG path is to be ignored";
}

TEST(Places, OwnVariablesReplaceEither) {
  for (const bool root : {false, true}) {
    const auto places = find_places(variables({{"COPPICE_CONFIG_DIR", "/a"}, {"COPPICE_STATE_DIR", "/b"}}), root);
    ASSERT_OK(places);
    EXPECT_EQ(places->config_directory, "/a");
    EXPECT_EQ(places->state_directory, "/b");
  }
  EXPECT_FALSE(find_places(variables({{"COPPICE_CONFIG_DIR", "a"}, {"HOME", "/h"}}), true));
  EXPECT_FALSE(find_places(variables({}), false)) << "nothing says where a user's things are";
}

TEST(Places, TheConfigurationIsTheNamedOneElseTheUsual) {
  const testing::TempDirectory directory;
  const Places places{.config_directory = directory.path(), .state_directory = directory.path()};
  const auto none = read_configuration("", variables({}), places);
  ASSERT_OK(none);
  EXPECT_TRUE(none->content.vault.empty()) << "nobody named the one that is missing";
  EXPECT_EQ(none->file, places.config_file());
  const std::string other = directory.path() + "/other.toml";
  EXPECT_FAILS(read_configuration(other, variables({}), places), kNotFound);
  EXPECT_FAILS(read_configuration("", variables({{"COPPICE_CONFIG", other}}), places), kNotFound);
  std::ofstream(other) << "vault = \"/other\"\n";
  std::ofstream(places.config_file()) << "\nvalt = \"/usual\"\n";
  EXPECT_EQ(read_configuration(other, variables({{"COPPICE_CONFIG", "/x"}}), places)->content.vault, "/other");
  EXPECT_EQ(read_configuration("", variables({{"COPPICE_CONFIG", other}}), places)->content.vault, "/other");
  const auto wrong = read_configuration("", variables({}), places);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind(), ErrorKind::kInvalid);
  EXPECT_TRUE(wrong.error().message().starts_with(places.config_file() + ":2: ")) << wrong.error().message();
}

TEST(Places, TheVaultIsTheOptionsElseTheEnvironmentsElseTheConfigurations) {
  const testing::TempDirectory directory;
  const Places places{.config_directory = directory.path(), .state_directory = directory.path()};
  EXPECT_FAILS(choose_vault("", "", variables({}), places), kNotFound);
  std::ofstream(places.config_file()) << "vault = \"/configured\"\n";
  EXPECT_EQ(*choose_vault("", "", variables({}), places), "/configured");
  EXPECT_EQ(*choose_vault("", "", variables({{"COPPICE_VAULT", "/set"}}), places), "/set");
  EXPECT_EQ(*choose_vault("/said/", "", variables({{"COPPICE_VAULT", "/set"}}), places), "/said");
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
