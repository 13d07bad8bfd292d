// coppice plan test: whether plans can run, as far as looking tells.
#include <cstdlib>

#include "cli.h"
#include "platform/clock.h"
#include "tasks/plan_check.h"
#include "tasks/plan_run.h"

namespace coppice::cli {

namespace {
constexpr std::string_view kHookPathDefault = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Prints each check as it is made, and counts.
class Teller {
 public:
  explicit Teller(const Common& common) : common_(common) {}
  void tell(const std::string& plan, const tasks::PlanCheck& check) {
    ++checks_;
    if (check.bad) ++bad_;
    if (common_.json) {
      Json line{{"type", "check"}};
      if (!plan.empty()) line["plan"] = plan;
      line["what"] = check.what;
      line["good"] = !check.bad.has_value();
      line["message"] = check.bad ? *check.bad : check.good;
      emit(line);
    } else if (check.bad || !common_.quiet) {
      const std::string detail = check.bad ? ": " + *check.bad : check.good.empty() ? "" : ": " + check.good;
      print(fmt::format("{:<6}{}{}{}\n", check.bad ? "WRONG" : "ok", plan.empty() ? "" : plan + ": ", check.what, detail));
    }
  }
  int finish() const {
    if (common_.json)
      emit({{"type", "summary"}, {"checks", checks_}, {"bad", bad_}});
    else if (bad_ > 0)
      print(fmt::format("{} of {} checks found something wrong.\n", bad_, checks_));
    else if (!common_.quiet)
      print(fmt::format("All {} checks are good. Nothing was run.\n", checks_));
    return bad_ > 0 ? kFailed : kDone;
  }

 private:
  const Common& common_;
  std::size_t checks_ = 0, bad_ = 0;
};

int run_plan_test(const Common& common, const std::vector<std::string>& names) {
  const auto plans = read_plans(common);
  if (!plans) return report(common, plans.error());
  const auto chosen = plans->choose(names);
  if (!chosen) return report(common, chosen.error());
  Teller teller(common);
  const bool empty = plans->configuration.plans.empty();
  teller.tell("", {.what = "configuration " + shown(plans->file),
                   .bad = empty ? std::optional<std::string>("there is no plan in it") : std::nullopt,
                   .good = tasks::render_count(plans->configuration.plans.size(), "plan")});
  const auto environment = tasks::process_environment();
  const auto opened = open_vault(plans->with_vault(common));
  for (const auto& check : tasks::check_vault(opened)) teller.tell("", check);
  const auto path = environment("PATH");
  for (const policy::Plan* plan : *chosen) {
    const std::string log = tasks::plan_log_path(*plan, plans->places, is_root());
    for (const auto& check : tasks::check_plan(*plan, log, opened, plans->places, path.value_or(std::string(kHookPathDefault)),
                                               platform::system_clock().now()))
      teller.tell(plan->name, check);
  }
  return teller.finish();
}
}  // namespace

void add_plan_test(Cli& cli, CLI::App& parent) {
  CLI::App* command = add_command(
      parent, "test", "See whether plans can run: reads what they need, runs and stores nothing",
      {"coppice plan test            all of them", "coppice plan test data"},
      {.exit_status = {"0  all is good", "1  something is wrong"}});
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("plan", *names, "Only these plans")->type_name("NAME");
  add_common_options(cli, command, Access::kVault);
  command->callback([&cli, names] { cli.action = [&cli, names] { return run_plan_test(cli.common, *names); }; });
}

}  // namespace coppice::cli
