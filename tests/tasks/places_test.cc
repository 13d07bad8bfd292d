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

TEST(Places, TheConfigurationIsTheNamedOneElseTheUsual) {
  const testing::TempDirectory directory;
  const Places places{.config_directory = directory.path(), .state_directory = directory.path()};
  const auto none = read_configuration("", of({}), places);
  ASSERT_OK(none);
  EXPECT_TRUE(none->content.vault.empty()) << "nobody named the one that is missing";
  EXPECT_EQ(none->file, places.config_file());
  const std::string other = directory.path() + "/other.toml";
  EXPECT_FAILS(read_configuration(other, of({}), places), kNotFound);
  EXPECT_FAILS(read_configuration("", of({{"COPPICE_CONFIG", other}}), places), kNotFound);
  std::ofstream(other) << "vault = \"/other\"\n";
  std::ofstream(places.config_file()) << "\nvalt = \"/usual\"\n";
  EXPECT_EQ(read_configuration(other, of({{"COPPICE_CONFIG", "/x"}}), places)->content.vault, "/other");
  EXPECT_EQ(read_configuration("", of({{"COPPICE_CONFIG", other}}), places)->content.vault, "/other");
  const auto wrong = read_configuration("", of({}), places);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind(), ErrorKind::kInvalid);
  EXPECT_TRUE(wrong.error().message().starts_with(places.config_file() + ":2: ")) << wrong.error().message();
}

TEST(Places, TheVaultIsTheOptionsElseTheEnvironmentsElseTheConfigurations) {
  const testing::TempDirectory directory;
  const Places places{.config_directory = directory.path(), .state_directory = directory.path()};
  EXPECT_FAILS(choose_vault("", "", of({}), places), kNotFound);
  std::ofstream(places.config_file()) << "vault = \"/configured\"\n";
  EXPECT_EQ(*choose_vault("", "", of({}), places), "/configured");
  EXPECT_EQ(*choose_vault("", "", of({{"COPPICE_VAULT", "/set"}}), places), "/set");
  EXPECT_EQ(*choose_vault("/said/", "", of({{"COPPICE_VAULT", "/set"}}), places), "/said");
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
