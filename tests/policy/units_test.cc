// What systemd and cron are given: the text, what it depends on, and what systemd itself says of it where it is there.
#include "policy/units.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "policy/due.h"
#include "support/result.h"
#include "support/temp_directory.h"

namespace coppice::policy {
namespace {

Plan a_plan(const std::string& settings, const std::string& sources = "\"/data\"") {
  const auto parsed = parse_configuration(
      fmt::format("[plan.data]\nsources = [{}]\nschedule = \"Mon..Fri 02:30\"\ntimezone = \"Asia/Shanghai\"\n{}\n", sources, settings),
      "coppice.toml");
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message());
  return parsed ? parsed->plans.front() : Plan();
}
UnitFacts facts() {
  return {.program = "/usr/bin/true",
          .config_file = "/etc/coppice/coppice.toml",
          .vault = "/srv/vault",
          .state_directory = "/var/lib/coppice",
          .log_directory = "/var/log/coppice"};
}
bool has_line(const std::string& text, const std::string& line) { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; }
std::string output_of(const std::string& command, int& status) {
  std::string output;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (pipe && std::fgets(buffer, sizeof buffer, pipe)) output += buffer;
  status = pipe ? WEXITSTATUS(pclose(pipe)) : -1;
  return output;
}

TEST(Units, TheServiceMayDoWhatABackupNeeds) {
  const std::string service = render_service(a_plan(""), facts());
  EXPECT_TRUE(is_written_by_install(service));
  for (const char* line :
       {"ExecStart=/usr/bin/true plan run --quiet --config /etc/coppice/coppice.toml data", 
        "Wants=data.mount srv.mount srv-vault.mount", "After=data.mount srv.mount srv-vault.mount",
        "SuccessExitStatus=3", "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SYS_ADMIN", "NoNewPrivileges=yes",
        "ProtectSystem=strict", "ReadWritePaths=-/srv/vault", "StateDirectory=coppice", "LogsDirectory=coppice",
        "PrivateTmp=yes", "ProtectHome=yes", "PrivateDevices=yes", "ProtectKernelModules=yes", "PrivateNetwork=yes",
        "ReadOnlyPaths=-/run", "InaccessiblePaths=-/run/dbus -/run/systemd/private"})
    EXPECT_TRUE(has_line(service, line)) << line << "\n" << service;
  UnitFacts foreign = facts();
  foreign.foreign_owner = true;
  foreign.environment = {{"COPPICE_STATE_DIR", "/s 1"}};
  EXPECT_TRUE(has_line(render_service(a_plan(""), foreign), "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SYS_ADMIN CAP_DAC_OVERRIDE"));
  EXPECT_TRUE(has_line(render_service(a_plan(""), foreign), "Environment=\"COPPICE_STATE_DIR=/s 1\""));
}

TEST(Units, TheTimerHasCalendarAndZone) {
  const std::string timer = render_timer(a_plan(""));
  for (const char* line : {"OnCalendar=Mon..Fri *-*-* 02:30:00 Asia/Shanghai", "Persistent=true", "WantedBy=timers.target"})
    EXPECT_TRUE(has_line(timer, line)) << timer;
}

// A sandbox that hides a part of a source, or mounts something over it, would change the backup without a word.
TEST(Units, NothingHidesASource) {
  const auto of = [](const char* sources, const char* settings = "") { return render_service(a_plan(settings, sources), facts()); };
  for (const char* source : {"\"/\"", "\"/tmp\"", "\"/tmp/x\"", "\"/data\", \"/var\"", "\"/var/tmp/x/\""})
    EXPECT_FALSE(has_line(of(source), "PrivateTmp=yes")) << source;
  for (const char* source : {"\"/\"", "\"/home\"", "\"/home/ann\"", "\"/root\""})
    EXPECT_FALSE(has_line(of(source), "ProtectHome=yes")) << source;
  for (const char* source : {"\"/\"", "\"/usr\"", "\"/lib/modules\""})
    EXPECT_FALSE(has_line(of(source), "ProtectKernelModules=yes")) << source;
  EXPECT_FALSE(has_line(of("\"/dev/shm\""), "PrivateDevices=yes"));
  for (const char* source : {"\"/\"", "\"/run\"", "\"/run/x\""})
    EXPECT_EQ(of(source).find("InaccessiblePaths"), std::string::npos) << source;
  EXPECT_TRUE(has_line(of("\"/tmpfoo\""), "PrivateTmp=yes")) << "no more than needed";
  UnitFacts linked = facts();
  linked.real_sources = {"/tmp/data"};
  EXPECT_FALSE(has_line(render_service(a_plan(""), linked), "PrivateTmp=yes")) << "/data is a symlink";
  UnitFacts elsewhere = facts();
  elsewhere.vault = "/home/backup/vault";
  elsewhere.log_directory = "/data/logs";
  EXPECT_TRUE(has_line(render_service(a_plan(""), elsewhere), "ReadWritePaths=-/data/logs"));
  EXPECT_FALSE(has_line(render_service(a_plan(""), elsewhere), "ProtectHome=yes"));
  // A writable place is a mount of its own.
  EXPECT_TRUE(has_line(of("\"/var\""), "ProtectSystem=strict"));
  EXPECT_FALSE(has_line(of("\"/var\"", "one-file-system = true"), "ProtectSystem=strict"));
  EXPECT_TRUE(has_line(of("\"/data\"", "one-file-system = true"), "ProtectSystem=strict"));
}

TEST(Units, HooksSeeTheHostAsItIs) {
  const std::string service = render_service(a_plan("before = [[\"pg_dump\"]]"), facts());
  for (const char* setting : {"Wants", "ProtectSystem", "PrivateTmp", "PrivateDevices", "PrivateNetwork", "SystemCallFilter", "ProtectHome"})
    EXPECT_EQ(service.find(std::string("\n") + setting), std::string::npos) << setting;
  EXPECT_TRUE(has_line(service, "NoNewPrivileges=yes"));
  EXPECT_TRUE(has_line(service, "After=local-fs.target remote-fs.target"));
}

// Without them the run that is made up for after a boot would find an empty directory where its source is to be mounted.
TEST(Units, FileSystemsOnTheWayToSourcesAreMountedFirst) {
  UnitFacts on_root = facts();
  on_root.vault = "";
  EXPECT_EQ(render_service(a_plan("", "\"/\""), on_root).find("\nWants="), std::string::npos);
  on_root.real_sources = {"/mnt/disk"};
  EXPECT_TRUE(has_line(render_service(a_plan("", "\"/.a b/c-d/\", \"/.a b/ü\""), on_root),
                       "Wants=\\x2ea\\x20b.mount \\x2ea\\x20b-c\\x2dd.mount \\x2ea\\x20b-\\xc3\\xbc.mount mnt.mount mnt-disk.mount"))
      << render_service(a_plan("", "\"/.a b/c-d/\", \"/.a b/ü\""), on_root);
  int status = 0;
  const std::string said = output_of("systemd-escape --path --suffix=mount '/.a b/c-d/' '/.a b/ü'", status);
  if (status == 0) {
    EXPECT_EQ(said, "\\x2ea\\x20b-c\\x2dd.mount \\x2ea\\x20b-\\xc3\\xbc.mount\n");
  }
}

TEST(Units, NamesAndWordsAreEscaped) {
  EXPECT_EQ(unit_name("data"), "coppice-plan-data");
  EXPECT_EQ(unit_name("web-1.a_b"), "coppice-plan-web-1.a_b");
  EXPECT_EQ(unit_name("\u00fc"), "coppice-plan-\\xc3\\xbc");
  UnitFacts odd = facts();
  odd.config_file = "/etc/100% \"$HOME\"\\x.toml";
  odd.vault = "/srv/my vault%";
  const std::string service = render_service(a_plan(""), odd);
  EXPECT_TRUE(has_line(service, "ExecStart=/usr/bin/true plan run --quiet --config \"/etc/100%% \\x22$$HOME\\x22\\x5cx.toml\" data")) << service;
  EXPECT_TRUE(has_line(service, "ReadWritePaths=\"-/srv/my vault%%\"")) << service;
  int status = 0;
  const std::string said = output_of("systemd-escape -- '\u00fc+\u6570\u636e_1.a'", status);
  if (status == 0) {
    EXPECT_EQ(unit_name("\u00fc+\u6570\u636e_1.a") + "\n", "coppice-plan-" + said);
  }
}

TEST(Units, CronAsksWhatIsDueAndKnowsItsPlans) {
  UnitFacts odd = facts();
  odd.config_file = "/etc/it's 100%.toml";
  odd.environment = {{"COPPICE_STATE_DIR", "/s"}};
  const std::string text = render_cron({"data", "web-1"}, odd);
  EXPECT_TRUE(is_written_by_install(text));
  EXPECT_TRUE(has_line(text, "*/5 * * * * root /usr/bin/true plan due --quiet --config '/etc/it'\\''s 100\\%.toml' data web-1 >/dev/null")) << text;
  EXPECT_TRUE(has_line(text, "COPPICE_STATE_DIR='/s'"));
  EXPECT_EQ(plans_of_cron(text), (std::vector<std::string>{"data", "web-1"}));
  EXPECT_TRUE(plans_of_cron("# plans: data\n").empty()) << "somebody else's file";
}

TEST(Units, CronsFileWithOtherPlansIsTheSameOtherwise) {
  UnitFacts odd = facts();
  odd.config_file = "/etc/data web-1.toml";
  const std::string text = render_cron({"data", "web-1", "x"}, odd);
  EXPECT_EQ(cron_with_plans(text, {"web-1"}).value(), render_cron({"web-1"}, odd));
  std::string by_hand = text;
  by_hand.replace(by_hand.find(">/dev/null"), 10, ">>/var/log/x");
  EXPECT_FALSE(cron_with_plans(by_hand, {"web-1"}));
  EXPECT_TRUE(cron_is_of(text, "/etc/data web-1.toml"));
  EXPECT_FALSE(cron_is_of(text, "/etc/data"));
  EXPECT_TRUE(service_is_of(render_service(a_plan(""), odd), "/etc/data web-1.toml"));
  EXPECT_FALSE(service_is_of(render_service(a_plan(""), odd), "/etc/data"));
}

TEST(Units, OnlyOurOwnDirectoriesAreMadeBySystemd) {
  UnitFacts elsewhere = facts();
  elsewhere.log_directory = "/var/log/postgresql";
  elsewhere.state_directory = "/var/lib/coppices";
  const std::string service = render_service(a_plan(""), elsewhere);
  EXPECT_EQ(service.find("LogsDirectory"), std::string::npos) << "it would change the mode of postgresql's";
  EXPECT_EQ(service.find("StateDirectory"), std::string::npos);
  EXPECT_TRUE(has_line(service, "ReadWritePaths=-/var/log/postgresql")) << service;
  EXPECT_TRUE(has_line(service, "ReadWritePaths=-/var/lib/coppices")) << service;
  elsewhere.log_directory = "/var/log/coppice/web";
  EXPECT_TRUE(has_line(render_service(a_plan(""), elsewhere), "LogsDirectory=coppice/web"));
}

TEST(Units, SystemdTakesThemAndFindsThemHardened) {
  int status = 0;
  output_of("systemd-analyze --version", status);
  if (status != 0) GTEST_SKIP() << "systemd-analyze is not here";
  const testing::TempDirectory directory;
  const std::pair<Plan, const char*> cases[] = {{a_plan(""), "1.5"}, {a_plan("", "\"/\""), "2.2"}, {a_plan("before = [[\"/bin/true\"]]"), "8.7"}};
  for (const auto& [each, exposure] : cases) {
    UnitFacts odd = facts();
    odd.vault = "/srv/my vault%";
    const std::string name = directory.path() + "/" + unit_name(each.name);
    std::ofstream(name + ".service") << render_service(each, odd);
    std::ofstream(name + ".timer") << render_timer(each);
    const std::string verified = output_of(fmt::format("systemd-analyze verify --man=no {0}.service {0}.timer", name), status);
    EXPECT_EQ(status, 0) << verified;
    EXPECT_EQ(verified, "");
    const std::string judged =
        output_of(fmt::format("systemd-analyze security --offline=true --no-pager --threshold={:.0f} {}.service", std::stod(exposure) * 10, name), status);
    EXPECT_EQ(status, 0) << judged;
    const std::size_t at = judged.find("Overall exposure");
    if (at != std::string::npos) std::printf("%s", judged.substr(at).c_str());
  }
}

TEST(Due, OneRunAnswersAllThatWasMissed) {
  const Plan data = a_plan("");  // Mon..Fri 02:30 in Shanghai: 18:30 of the day before
  const auto at = [](const char* utc) { return parse_time(std::string(utc) + "Z")->begin; };
  const Timestamp now = at("2026-11-25T12:00");  // a Wednesday
  EXPECT_EQ(due_since(data, std::nullopt, now), now) << "it never ran";
  EXPECT_EQ(due_since(data, at("2026-11-24T18:29"), now), at("2026-11-24T18:30"));
  EXPECT_EQ(due_since(data, at("2025-01-01"), now), at("2026-11-24T18:30"));
  EXPECT_EQ(due_since(data, at("2026-11-24T18:30"), now), std::nullopt) << "it began at that very moment";
  EXPECT_EQ(due_since(data, at("2026-11-24T19:00"), now), std::nullopt);
  EXPECT_EQ(due_since(data, at("2026-11-24T19:00"), at("2026-11-25T18:30")), at("2026-11-25T18:30"));
  EXPECT_EQ(due_since(data, at("2030-01-01"), now), now) << "a clock was wrong";
  Plan by_hand = data;
  by_hand.schedule.reset();
  EXPECT_EQ(due_since(by_hand, std::nullopt, now), std::nullopt);
}

}  // namespace
}  // namespace coppice::policy
