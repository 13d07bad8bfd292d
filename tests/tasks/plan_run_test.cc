// Runs of a plan on a real vault, with real hooks: what is made, recorded, logged and reported, whatever goes wrong.
#include "tasks/plan_run.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <thread>
#include <utility>

#include "foundation/encoding.h"
#include "support/result.h"
#include "support/temp_directory.h"
#include "tasks/keep.h"
#include "tasks/key_admin.h"

namespace coppice::tasks {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempDirectory;

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class PlanRun : public ::testing::Test {
 protected:
  void SetUp() override {
    crypto::initialise();
    fs::create_directories(directory_ / "data");
    std::ofstream(directory_ / "data/file") << "content";
    plan_.name = "data";
    plan_.sources = {directory_ / "data"};
    plan_.host = "host1";
    plan_.log = directory_ / "log/coppice/data.log";
  }
  void make_vault(format::Role host_role = format::Role::kReader) {
    InitRequest request;
    request.location = directory_ / "vault";
    request.passphrase = crypto::SecretBytes::copy_of(as_bytes("correct horse battery"));
    request.cost = {.memory_kib = 8192, .passes = 1};
    request.host_role = host_role;
    request.host_name = "host1";
    request.keys_directory = directory_ / "config/keys";
    request.recovery_file = directory_ / "sheet";
    ASSERT_OK(init_vault(request, platform::system_clock(), platform::system_entropy()));
  }
  Environment environment() {
    std::map<std::string, std::string> variables = {{"COPPICE_CONFIG_DIR", directory_ / "config"},
                                                    {"COPPICE_STATE_DIR", state()},
                                                    {"COPPICE_PASSPHRASE_FILE", "/secret/passphrase"},
                                                    {"PATH", "/usr/bin:/bin"}};
    return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
  }
  PlanRunRequest request() {
    PlanRunRequest request{.plan = plan_, .access = {.vault = directory_ / "vault"}};
    request.environment = environment();
    request.places = *find_places(request.environment, false);
    request.memory_bytes = kMemoryBytesMin;
    request.program = "coppice test";
    return request;
  }
  PlanRunReport run() {
    auto report = run_plan(request(), platform::system_clock(), cancel_);
    EXPECT_OK(report);
    return report ? std::move(*report) : PlanRunReport{};
  }
  policy::Hook shell(const std::string& script) { return {.argv = {"/bin/sh", "-c", script}, .shell = true}; }
  // Writes what a hook is told into a file of that name.
  policy::Hook telling(const std::string& file) { return shell("env | sort > " + directory_ / file); }
  std::string state() { return directory_ / "state"; }
  std::string log() { return slurp(plan_.log); }
  std::vector<vault::Snapshot> snapshots() {
    auto opened = open_vault({.vault = directory_ / "vault"}, environment(), false);
    EXPECT_OK(opened);
    return opened->vault->snapshots()->snapshots;
  }
  PlanState recorded() {
    const auto read = read_plan_state(state(), "data");
    EXPECT_OK(read);
    return read ? *read : PlanState{};
  }

  TempDirectory directory_;
  policy::Plan plan_;
  CancelToken cancel_;
};

TEST_F(PlanRun, AGoodRunIsMadeRecordedLoggedAndReported) {
  make_vault();
  plan_.tags = {"nightly"};
  plan_.timezone = *policy::TimeZone::find("Asia/Shanghai");
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kGood) << report.message;
  EXPECT_THAT(report.message, HasSubstr("1 file, 7 B; 1 new"));
  const auto made = snapshots();
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].id(), report.backup->snapshot.id());
  EXPECT_THAT(made[0].body->tags, ::testing::ElementsAre("nightly", "plan:data"));

  const PlanState known = recorded();
  ASSERT_TRUE(known.last && known.last_good);
  EXPECT_EQ(known.last, known.last_good);
  EXPECT_EQ(known.last->snapshot, made[0].id());
  EXPECT_EQ(known.last->message, report.message);

  const std::regex line(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00 data\[\d+\] [^\n]*\n)");
  const std::string logged = log();
  EXPECT_EQ(std::regex_replace(logged, line, ""), "") << logged;
  EXPECT_THAT(logged, HasSubstr("] start: coppice test, sources " + directory_ / "data"));
  EXPECT_THAT(logged, HasSubstr("] end: good: " + report.message));
  struct stat st {};
  ASSERT_EQ(stat(plan_.log.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);

  const Json kept = Json::parse(slurp(report.report_file));
  EXPECT_EQ(kept, describe_run(report));
  EXPECT_EQ(kept["snapshot"], made[0].id());
}

TEST_F(PlanRun, HooksRunInOrderAndAreToldWhatHappens) {
  make_vault();
  plan_.before = {telling("before"), shell("echo frozen; rm -r " + directory_ / "data/gone" + "; echo new > " + directory_ / "data/dump")};
  plan_.after = {telling("after")};
  fs::create_directories(directory_ / "data/gone");
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kGood) << report.message;
  EXPECT_EQ(report.backup->files, 2u);
  ASSERT_EQ(report.hooks.size(), 3u);
  EXPECT_EQ(report.hooks[1].outcome.output, "frozen\n");
  const std::string before = slurp(directory_ / "before"), after = slurp(directory_ / "after");
  EXPECT_THAT(before, HasSubstr("COPPICE_HOOK=before\nCOPPICE_PLAN=data\n"));
  EXPECT_THAT(before, HasSubstr("COPPICE_VAULT=" + directory_ / "vault" + "\n"));
  EXPECT_THAT(after, HasSubstr("COPPICE_HOOK=after\n"));
  EXPECT_THAT(after, HasSubstr("COPPICE_RESULT=good\n"));
  EXPECT_THAT(after, HasSubstr("COPPICE_SNAPSHOT=" + report.backup->snapshot.id()));
  EXPECT_THAT(before + after, Not(HasSubstr("PASSPHRASE")));
}

TEST_F(PlanRun, AFailingBeforeHookStopsTheRunAndAfterHooksStillRun) {
  make_vault();
  const PlanRunReport good = run();
  plan_.before = {shell("echo first"), shell("echo it broke; exit 4"), shell("touch " + directory_ / "third")};
  plan_.after = {telling("after"), shell("exit 1"), telling("after2")};
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kFailed);
  EXPECT_THAT(report.message, HasSubstr("ended with status 4; no snapshot was made"));
  EXPECT_FALSE(fs::exists(directory_ / "third"));
  EXPECT_EQ(snapshots().size(), 1u);
  EXPECT_THAT(slurp(directory_ / "after2"), HasSubstr("COPPICE_RESULT=failed\n"));
  EXPECT_THAT(log(), HasSubstr("  | it broke\n"));
  EXPECT_THAT(slurp(report.report_file), HasSubstr("it broke\\n"));
  const PlanState known = recorded();
  EXPECT_EQ(known.last->result, RunResult::kFailed);
  EXPECT_EQ(known.last_good->snapshot, good.backup->snapshot.id()) << "the last good run is not forgotten";
}

TEST_F(PlanRun, WhatFailsAfterTheSnapshotIsAWarning) {
  make_vault();
  plan_.after = {{.argv = {directory_ / "no-such-program"}}};
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kWarnings);
  EXPECT_EQ(report.warnings_total, 1u);
  EXPECT_THAT(report.message, HasSubstr("; 1 warning"));
  EXPECT_THAT(log(), HasSubstr("could not be started"));
  EXPECT_TRUE(recorded().last_good);
}

TEST_F(PlanRun, ALogThatCannotBeWrittenIsToldAndStopsNothing) {
  make_vault();
  plan_.log = directory_ / "data/file/below/a/file.log";
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kWarnings);
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_THAT(report.warnings[0].what, HasSubstr("not logged"));
  EXPECT_EQ(snapshots().size(), 1u);

  plan_.log = "/dev/full";
  EXPECT_EQ(run().result, RunResult::kWarnings);
}

TEST_F(PlanRun, WhatConcernsTheRunItselfIsToldHoweverManyFilesHaveAWarning) {
  make_vault();
  for (std::size_t i = 0; i < kLoggedWarningsMax + 10; ++i) plan_.sources.push_back(directory_ / fmt::format("missing{}", i));
  plan_.after = {{.argv = {directory_ / "no-such-program"}}};
  const PlanRunReport report = run();
  EXPECT_EQ(report.warnings_total, kLoggedWarningsMax + 11);
  EXPECT_THAT(report.warnings.front().what, HasSubstr("no-such-program could not be started"));
  EXPECT_THAT(log(), HasSubstr("warning: after-hook " + directory_ / "no-such-program" + " could not be started"));
}

TEST_F(PlanRun, ALineThatWasCutShortIsEndedByTheNextRun) {
  make_vault();
  fs::create_directories(directory_ / "log/coppice");
  std::ofstream(plan_.log) << "2026-11-22T08:0";
  run();
  EXPECT_THAT(log(), ::testing::StartsWith("2026-11-22T08:0\n2"));
}

TEST_F(PlanRun, ARecordThatCannotBeWrittenIsToldInTheLog) {
  make_vault();
  fs::create_directories(plan_directory(state(), "data") + "/state.json/in the way");
  const auto report = run_plan(request(), platform::system_clock(), cancel_);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message(), HasSubstr("plan data was not run, since no record of its runs can be written"));
  EXPECT_THAT(log(), HasSubstr("plan data was not run"));
}

TEST_F(PlanRun, AReportThatCannotBeKeptIsInTheRecord) {
  make_vault();
  fs::create_directories(plan_directory(state(), "data"));
  std::ofstream(plan_directory(state(), "data") + "/reports") << "in the way";
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kWarnings);
  EXPECT_EQ(recorded().last->result, RunResult::kWarnings);
  EXPECT_EQ(recorded().last->warnings, 1u);
  EXPECT_THAT(recorded().last->message, HasSubstr("; 1 warning"));
}

TEST_F(PlanRun, AVaultThatIsNotThereIsAFailedRun) {
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kFailed);
  EXPECT_THAT(report.message, HasSubstr("there is no vault at"));
  EXPECT_EQ(recorded().last->result, RunResult::kFailed);
  EXPECT_THAT(log(), HasSubstr("end: failed: FAILED: no snapshot was made"));
}

TEST_F(PlanRun, TheVaultIsOpenedAfterTheBeforeHooksAndClosedBeforeTheAfterHooks) {
  make_vault();
  fs::rename(directory_ / "vault", directory_ / "elsewhere");
  plan_.before = {shell("mv " + directory_ / "elsewhere" + " " + directory_ / "vault")};
  plan_.after = {shell("for f in /proc/$PPID/fd/*; do readlink $f; done | grep " + directory_ / "vault" + " && exit 1; mv " +
                       directory_ / "vault" + " " + directory_ / "elsewhere")};
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kGood) << report.message;
  EXPECT_FALSE(fs::exists(directory_ / "vault"));
}

TEST_F(PlanRun, KeepRulesForgetOnlyThisPlansSnapshots) {
  make_vault();
  plan_.name = "other";
  run();
  plan_.name = "data";
  plan_.keep.last = 2;
  for (int i = 0; i < 3; ++i) run();
  const PlanRunReport report = run();
  EXPECT_EQ(report.keep->considered, 3u);
  EXPECT_EQ(report.keep->forgotten.size(), 1u);
  EXPECT_THAT(report.message, HasSubstr("; 2 kept, 1 forgotten"));
  const auto left = snapshots();
  ASSERT_EQ(left.size(), 3u);
  EXPECT_THAT(left[0].body->tags, ::testing::Contains("plan:other"));
  EXPECT_EQ(left[2].id(), report.backup->snapshot.id());
}

TEST_F(PlanRun, KeepRulesReadSnapshotsOfKeysThatAreNewerThanTheRun) {
  make_vault();
  run();
  run();
  plan_.keep.last = 1;
  plan_.sources.push_back(directory_ / "missing");   // its warning comes while the backup runs
  PlanRunRequest meanwhile = request();
  bool rotated = false;
  meanwhile.on_warning = [&](const capture::BackupWarning&) {
    if (std::exchange(rotated, true)) return;
    std::ofstream(directory_ / "passphrase") << "correct horse battery\n";
    const auto owner = open_vault({.vault = directory_ / "vault", .passphrase_file = directory_ / "passphrase", .owner = true}, environment(), false);
    ASSERT_OK(owner);
    ASSERT_OK(rotate_epoch(*owner->vault));
    policy::Plan other = plan_;
    other.name = "other";
    other.sources = {directory_ / "data"};
    other.keep = {};
    PlanRunRequest beside{.plan = other, .access = meanwhile.access};
    beside.environment = environment();
    beside.places = meanwhile.places;
    beside.memory_bytes = kMemoryBytesMin;
    ASSERT_OK(run_plan(beside, platform::system_clock(), cancel_));
  };
  const auto report = run_plan(meanwhile, platform::system_clock(), cancel_);
  ASSERT_OK(report);
  EXPECT_TRUE(rotated);
  EXPECT_EQ(report->warnings_total, 1u) << report->message;
  ASSERT_TRUE(report->keep);
  EXPECT_EQ(report->keep->considered, 3u);
  EXPECT_EQ(report->keep->forgotten.size(), 1u) << "the last whole one and the partial one stay";
}

TEST_F(PlanRun, AWritersKeyCannotForgetAndThatIsNoFailure) {
  make_vault(format::Role::kWriter);
  plan_.keep.last = 1;
  plan_.keep.within = std::chrono::days(90);
  run();
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kGood) << report.message;
  ASSERT_EQ(report.notices.size(), 1u);
  EXPECT_THAT(report.notices[0], HasSubstr("coppice forget --host host1 --tag plan:data --keep-last 1 --keep-within 90d"));
  EXPECT_EQ(snapshots().size(), 2u);
}

TEST_F(PlanRun, NeverTwoAtOnceAndTheSecondSaysWhoRuns) {
  make_vault();
  plan_.before = {shell("touch " + directory_ / "started; sleep 1")};
  PlanRunReport first;
  std::thread runner([&] { first = run(); });
  while (!fs::exists(directory_ / "started")) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(recorded().last->result, RunResult::kRunning);
  const auto second = run_plan(request(), platform::system_clock(), cancel_);
  runner.join();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind(), ErrorKind::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr(fmt::format("plan data is running already: process {}, since 2", getpid())));
  EXPECT_EQ(first.result, RunResult::kGood) << first.message;
  EXPECT_EQ(recorded().last->result, RunResult::kGood);
}

TEST_F(PlanRun, WhoHasJustBegunIsNamedBeforeItHasARecord) {
  const auto held = PlanLock::take(state(), "data", plan_.timezone);
  ASSERT_OK(held);
  const auto second = PlanLock::take(state(), "data", plan_.timezone);
  ASSERT_TRUE(testing::failed_as(second, ErrorKind::kConflict));
  EXPECT_EQ(second.error().message(), fmt::format("plan data is running already: process {}, it has just begun", getpid()));
}

TEST_F(PlanRun, AnInterruptionStopsABeforeHookAndRunsTheAfterHooks) {
  make_vault();
  plan_.before = {shell("sleep 60")};
  plan_.after = {shell("sleep 0.3"), telling("after")};
  std::thread canceller([&] {
    std::this_thread::sleep_for(200ms);
    cancel_.cancel();
  });
  const PlanRunReport report = run();
  canceller.join();
  EXPECT_EQ(report.result, RunResult::kInterrupted);
  EXPECT_EQ(report.message, "interrupted; no snapshot was made");
  EXPECT_EQ(report.warnings_total, 0u) << "an after-hook was stopped, too";
  EXPECT_THAT(slurp(directory_ / "after"), HasSubstr("COPPICE_RESULT=interrupted\n"));
  EXPECT_EQ(recorded().last->result, RunResult::kInterrupted);
}

TEST_F(PlanRun, ARunThatDidNotEndIsToldByTheNext) {
  make_vault();
  fs::create_directories(plan_directory(state(), "data"));
  ASSERT_OK(write_plan_state(state(), "data", {.last = RunRecord{.started = {1'800'000'000}, .pid = 1}}));
  EXPECT_EQ(recorded().last->result, RunResult::kDidNotEnd);
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kGood);
  ASSERT_EQ(report.notices.size(), 1u);
  EXPECT_THAT(report.notices[0], HasSubstr("did not end"));
}

TEST_F(PlanRun, ADamagedRecordIsToldAndReplaced) {
  make_vault();
  fs::create_directories(plan_directory(state(), "data"));
  for (const char* damaged : {"", "{", "[]", R"({"version":1,"last":7})", R"({"version":1,"last":{"started":"x"}})"}) {
    std::ofstream(plan_directory(state(), "data") + "/state.json") << damaged;
    EXPECT_FAILS(read_plan_state(state(), "data"), kCorrupt);
    const PlanRunReport report = run();
    EXPECT_EQ(report.result, RunResult::kGood);
    ASSERT_EQ(report.notices.size(), 1u);
    EXPECT_THAT(report.notices[0], HasSubstr("is damaged"));
    EXPECT_TRUE(recorded().last_good);
  }
}

TEST_F(PlanRun, ANameCannotForgeALineOfTheLog) {
  make_vault();
  plan_.sources.push_back(directory_ / "gone\n2026-11-22T08:00:00Z data[1] end: good: forged");
  const PlanRunReport report = run();
  EXPECT_EQ(report.result, RunResult::kWarnings);
  const std::string logged = log();
  EXPECT_THAT(logged, Not(HasSubstr("\n2026-11-22T08:00:00Z data[1] end: good: forged")));
  EXPECT_THAT(logged, HasSubstr("gone\\x0a2026"));
}

TEST_F(PlanRun, OldReportsGo) {
  for (std::size_t i = 0; i < kReportsKept + 5; ++i)
    ASSERT_OK(keep_report(state(), "data", {static_cast<std::int64_t>(1'800'000'000 + i)}, "{}"));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(plan_directory(state(), "data") + "/reports")) names.push_back(entry.path().filename());
  EXPECT_EQ(names.size(), kReportsKept);
  EXPECT_EQ(*std::min_element(names.begin(), names.end()), "2027-01-15T08:00:05.000Z.json");
  const auto kept = keep_report(state(), "data", {1'700'000'000}, "{}");   // those came from a clock that was ahead
  ASSERT_OK(kept);
  EXPECT_TRUE(fs::exists(*kept));
}

}  // namespace
}  // namespace coppice::tasks
