// What status says of a plan, by what its runs left; and the text for Prometheus.
#include "tasks/plan_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/result.h"

namespace coppice::tasks {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::int64_t kEight = 1'795'334'400;  // 2026-11-22T08:00:00Z

policy::Plan daily() {
  policy::Plan plan;
  plan.name = "data";
  plan.schedule = *policy::Calendar::parse("08:00");
  return plan;
}
RunRecord ended(std::int64_t started, RunResult result) {
  return {.started = {started}, .ended = Timestamp{started + 60}, .result = result, .pid = 7, .snapshot = "ab12",
          .files = 10, .bytes = 2000, .added_stored = 300, .message = "the line"};
}
Verdict verdict(const PlanState& state, std::int64_t now, std::optional<std::chrono::seconds> age_max = std::nullopt,
                const policy::Plan& plan = daily()) {
  return judge_plan(plan, state, {now}, age_max).verdict;
}

TEST(PlanStatus, JudgesTheLastRun) {
  const RunRecord good = ended(kEight, RunResult::kGood);
  EXPECT_EQ(verdict({}, kEight), Verdict::kNeverRan);
  EXPECT_EQ(verdict({good, good}, kEight + 100), Verdict::kGood);
  const RunRecord warned = ended(kEight, RunResult::kWarnings);
  EXPECT_EQ(verdict({warned, warned}, kEight + 100), Verdict::kGood);
  EXPECT_EQ(verdict({ended(kEight, RunResult::kFailed), good}, kEight + 100), Verdict::kFailed);
  EXPECT_EQ(verdict({ended(kEight, RunResult::kInterrupted), good}, kEight + 100), Verdict::kFailed);
  EXPECT_EQ(verdict({RunRecord{.started = {kEight}, .result = RunResult::kDidNotEnd}, good}, kEight + 100), Verdict::kDidNotEnd);
  EXPECT_EQ(verdict({RunRecord{.started = {kEight}}, std::nullopt}, kEight + 100), Verdict::kRunning);
  EXPECT_EQ(judge_plan(daily(), fail(ErrorKind::kCorrupt, "damaged"), {kEight}, std::nullopt).verdict, Verdict::kUnreadable);
}

TEST(PlanStatus, JudgesTheAgeOfTheLastGoodRun) {
  const RunRecord good = ended(kEight, RunResult::kGood);
  policy::Plan by_hand = daily();
  by_hand.schedule.reset();
  EXPECT_EQ(verdict({good, good}, kEight + 26 * 3600, 26h, by_hand), Verdict::kGood);
  EXPECT_EQ(verdict({good, good}, kEight + 26 * 3600 + 1, 26h, by_hand), Verdict::kTooOld);
  EXPECT_EQ(verdict({RunRecord{.started = {kEight + 90000}}, good}, kEight + 26 * 3600 + 1, 26h), Verdict::kTooOld)
      << "a run that is on does not hide that the last good one is old";
  EXPECT_EQ(verdict({good, good}, kEight - 2 * 3600, 26h), Verdict::kUnreadable) << "a run in the future";
  EXPECT_EQ(judge_plan(by_hand, PlanState{good, good}, {kEight + 300}, std::nullopt).age, 300s);
}

TEST(PlanStatus, ARunThatWasDueAndDidNotBeginIsOverdue) {
  const RunRecord good = ended(kEight, RunResult::kGood);
  const std::int64_t next = kEight + 86400;
  EXPECT_EQ(verdict({good, good}, next + 3599), Verdict::kGood);
  EXPECT_EQ(verdict({good, good}, next + 3600), Verdict::kOverdue);
  EXPECT_EQ(judge_plan(daily(), PlanState{good, good}, {kEight}, std::nullopt).next, (Timestamp{next}));
}

// A run that hangs looks like one that is on.
TEST(PlanStatus, ARunThatIsOnWhenTheNextOneIsOverdueIsNotGood) {
  const RunRecord good = ended(kEight - 86400, RunResult::kGood), on{.started = {kEight + 1}, .pid = 7};
  const std::int64_t next = kEight + 86400;
  EXPECT_EQ(verdict({on, good}, kEight + 7200), Verdict::kRunning) << "one takes long";
  EXPECT_EQ(verdict({on, good}, next + 3599), Verdict::kRunning);
  EXPECT_EQ(verdict({on, std::nullopt}, next + 3599), Verdict::kRunning) << "the first one may take longest";
  for (const PlanState& state : {PlanState{on, good}, PlanState{on, std::nullopt}}) {
    const PlanStatus status = judge_plan(daily(), state, {next + 3600}, std::nullopt);
    EXPECT_EQ(status.verdict, Verdict::kOverdue);
    EXPECT_THAT(status.message, HasSubstr("running since 2026-11-22 08:00:01"));
    EXPECT_THAT(status.message, HasSubstr("process 7"));
    const std::string text = render_prometheus({status});
    EXPECT_THAT(text, HasSubstr("coppice_plan_good{plan=\"data\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("coppice_plan_running{plan=\"data\"} 1\n"));
  }
  policy::Plan by_hand = daily();
  by_hand.schedule.reset();
  EXPECT_EQ(verdict({on, std::nullopt}, next + 86400, std::nullopt, by_hand), Verdict::kRunning);
  EXPECT_EQ(verdict({on, std::nullopt}, kEight + 1 + 26 * 3600, 26h, by_hand), Verdict::kRunning);
  EXPECT_EQ(verdict({on, std::nullopt}, kEight + 2 + 26 * 3600, 26h, by_hand), Verdict::kTooOld) << "nothing good has come of it in all that time";
  EXPECT_THAT(judge_plan(by_hand, PlanState{on, good}, {next}, 26h).message, HasSubstr("running since"));
}

TEST(PlanStatus, AgesAreForPeople) {
  EXPECT_EQ(render_age(119s), "119 s");
  EXPECT_EQ(render_age(120s), "2 min");
  EXPECT_EQ(render_age(26h), "26 h");
  EXPECT_EQ(render_age(48h), "2 days");
}

TEST(PlanStatus, PrometheusTextNamesEachMetricOnce) {
  PlanStatus good = judge_plan(daily(), PlanState{ended(kEight, RunResult::kGood), ended(kEight, RunResult::kGood)}, {kEight + 60}, std::nullopt);
  PlanStatus never{.plan = "a\"b\\c\nd"};
  EXPECT_EQ(render_prometheus({never}),
            "# HELP coppice_plan_good 1: as it should be. 0: failed, too old, overdue, never ran, or did not end.\n"
            "# TYPE coppice_plan_good gauge\n"
            "coppice_plan_good{plan=\"a\\\"b\\\\c\\nd\"} 0\n"
            "# HELP coppice_plan_running 1: a run is on.\n"
            "# TYPE coppice_plan_running gauge\n"
            "coppice_plan_running{plan=\"a\\\"b\\\\c\\nd\"} 0\n");
  const std::string both = render_prometheus({good, never});
  EXPECT_THAT(both, HasSubstr("coppice_plan_good{plan=\"data\"} 1\n"));
  EXPECT_THAT(both, HasSubstr("coppice_plan_last_success_timestamp_seconds{plan=\"data\"} 1795334400\n"));
  EXPECT_THAT(both, HasSubstr("coppice_plan_last_run_duration_seconds{plan=\"data\"} 60\n"));
  EXPECT_THAT(both, HasSubstr("coppice_plan_next_run_timestamp_seconds{plan=\"data\"} 1795420800\n"));
  EXPECT_EQ(both.find("# TYPE coppice_plan_good"), both.rfind("# TYPE coppice_plan_good"));
}

}  // namespace
}  // namespace coppice::tasks
