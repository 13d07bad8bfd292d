// Files of the scheduler: written once, removed exactly, and nobody else's touched.
#include "tasks/plan_install.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "support/result.h"
#include "support/temp_directory.h"
#include "tasks/environment.h"

namespace coppice::tasks {
namespace {

namespace fs = std::filesystem;

ReadConfiguration configuration(const std::string& text) {
  auto parsed = policy::parse_configuration(text, "/etc/coppice/coppice.toml");
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message());
  return {.file = "/etc/coppice/coppice.toml", .content = parsed ? *parsed : policy::Configuration()};
}
const ReadConfiguration& two_plans() {
  static const ReadConfiguration read = configuration(
      "vault = \"/srv/vault\"\n[plan.data]\nsources = [\"/data\"]\nschedule = \"08:00\"\n[plan.data-2]\nsources = [\"/data\"]\nschedule = \"daily\"\n");
  return read;
}

class PlanInstall : public ::testing::Test {
 protected:
  PlanInstall() : places_{.unit_directory = directory_ / "systemd/system", .cron_file = directory_ / "cron.d/coppice"} {}
  policy::UnitFacts facts(const policy::Plan& plan, const Environment& environment = variables({})) const {
    return unit_facts(plan, two_plans(), {.config_directory = "/etc/coppice", .state_directory = "/var/lib/coppice"}, "/srv/vault",
                      "/var/log/coppice/data.log", "/usr/bin/coppice", environment);
  }
  void install(const std::string& name) const {
    const policy::Plan& plan = *two_plans().content.find(name);
    for (const auto& file : unit_files(plan, facts(plan), places_)) EXPECT_OK(put_file(file));
  }
  std::vector<std::string> present() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(directory_.path()))
      if (!entry.is_directory()) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  testing::TempDirectory directory_;
  SchedulerPlaces places_;
};

TEST_F(PlanInstall, WritesServiceTimerAndLinkOnce) {
  const policy::Plan& plan = *two_plans().content.find("data");
  const auto files = unit_files(plan, facts(plan), places_);
  ASSERT_EQ(files.size(), 3u);
  for (const auto& file : files) EXPECT_TRUE(*put_file(file)) << file.path;
  for (const auto& file : files) EXPECT_FALSE(*put_file(file)) << "it is so already: " << file.path;
  EXPECT_TRUE(fs::exists(places_.unit_directory + "/timers.target.wants/coppice-plan-data.timer")) << "the link leads to the timer";
  EXPECT_EQ(fs::status(files[0].path).permissions(), fs::perms(0644));
  auto changed = files[0];
  changed.text += "# more\n";
  EXPECT_TRUE(*put_file(changed));
}

TEST_F(PlanInstall, RemovesWhatItWroteOfOnePlanOrOfAll) {
  install("data");
  install("data-2");
  const auto of_one = installed_units("data", places_);
  ASSERT_OK(of_one);
  EXPECT_EQ(of_one->size(), 3u) << "data-2 is another plan";
  for (const auto& file : *of_one) EXPECT_TRUE(*remove_file(file));
  EXPECT_EQ(present(), (std::vector<std::string>{"coppice-plan-data-2.service", "coppice-plan-data-2.timer", "coppice-plan-data-2.timer"}));
  for (const auto& file : *of_one) EXPECT_FALSE(*remove_file(file)) << "there is none";
  const auto rest = installed_units("", places_);
  ASSERT_OK(rest);
  for (const auto& file : *rest) EXPECT_OK(remove_file(file));
  EXPECT_TRUE(present().empty());
  EXPECT_TRUE(installed_units("", places_)->empty());
}

TEST_F(PlanInstall, SomebodyElsesFilesStay) {
  fs::create_directories(places_.unit_directory);
  std::ofstream(places_.unit_directory + "/coppice-plan-data.service") << "[Service]\nExecStart=/bin/true\n";
  const policy::Plan& plan = *two_plans().content.find("data");
  const auto files = unit_files(plan, facts(plan), places_);
  EXPECT_FAILS(put_file(files[0]), kConflict);
  EXPECT_FAILS(installed_units("data", places_), kConflict) << "it was asked for by name";
  EXPECT_TRUE(installed_units("", places_)->empty()) << "it is none of install's";
  EXPECT_FAILS(remove_file(files[0]), kConflict);
  fs::create_directories(fs::path(places_.cron_file).parent_path());
  std::ofstream(places_.cron_file) << "* * * * * root true\n";
  EXPECT_FAILS(cron_text(places_), kConflict);
}

TEST_F(PlanInstall, CronRemembersItsPlans) {
  EXPECT_TRUE(cron_text(places_)->empty());
  const policy::Plan& plan = *two_plans().content.find("data");
  ASSERT_OK(put_file({.path = places_.cron_file, .text = policy::render_cron({"data", "web"}, facts(plan)), .link_to = ""}));
  EXPECT_EQ(policy::plans_of_cron(*cron_text(places_)), (std::vector<std::string>{"data", "web"}));
}

TEST_F(PlanInstall, FactsAreThoseOfTheHost) {
  const policy::Plan& plan = *two_plans().content.find("data");
  const auto plain = facts(plan);
  EXPECT_TRUE(plain.environment.empty());
  EXPECT_EQ(plain.log_directory, "/var/log/coppice");
  const auto moved = facts(plan, variables({{"COPPICE_STATE_DIR", "/s"}, {"COPPICE_VAULT", "/elsewhere"}}));
  ASSERT_EQ(moved.environment.size(), 1u) << "the configuration names the vault";
  EXPECT_EQ(moved.environment[0].first, "COPPICE_STATE_DIR");
  fs::create_directory_symlink("/tmp", directory_ / "link");
  policy::Plan linked = plan;
  linked.sources = {directory_ / "link"};
  EXPECT_EQ(facts(linked).real_sources, std::vector<std::string>{"/tmp"});
}

}  // namespace
}  // namespace coppice::tasks
