// The configuration: everything that a plan can say, and one case for each refusal.
#include "policy/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/result.h"

namespace coppice::policy {
namespace {

using Words = std::vector<std::string>;

Result<Configuration> parse(std::string_view text) { return parse_configuration(text, "coppice.toml"); }
// The settings of one plan, from the third line on.
std::string plan(std::string_view settings) { return fmt::format("[plan.data]\nsources = [\"/data\"]\n{}\n", settings); }

TEST(Plan, TheOneOfTheManual) {
  const auto configuration = parse(R"(
vault = "/srv/vault"
[plan.data]
sources = ["/data"]
exclude = ["*.tmp"]
schedule = "08:00"
timezone = "Asia/Shanghai"
log = "/var/log/coppice/data.log"
keep = { last = 3, daily = 7, weekly = 4, monthly = 12 }
)");
  ASSERT_OK(configuration);
  EXPECT_EQ(configuration->vault, "/srv/vault");
  ASSERT_EQ(configuration->plans.size(), 1u);
  const Plan& data = configuration->plans.front();
  EXPECT_EQ(data.name, "data");
  EXPECT_EQ(data.line, 3u);
  EXPECT_EQ(data.sources, Words{"/data"});
  EXPECT_EQ(data.excludes, Words{"*.tmp"});
  EXPECT_EQ(data.schedule->systemd_form(), "*-*-* 08:00:00");
  EXPECT_EQ(data.timezone.name(), "Asia/Shanghai");
  EXPECT_EQ(data.timezone_name, "Asia/Shanghai");
  EXPECT_EQ(data.log, "/var/log/coppice/data.log");
  EXPECT_EQ(data.keep, (KeepRules{.last = 3, .daily = 7, .weekly = 4, .monthly = 12}));
  EXPECT_EQ(configuration->find("data"), &data);
  EXPECT_EQ(configuration->find("dat"), nullptr);
}

TEST(Plan, EverySetting) {
  const auto configuration = parse(R"(
[plan.web-1]
sources = [
  "/srv/www",
  "/etc",
]
include = ["*.html"]
exclude-files = ["/etc/coppice/excludes"]
one-file-system = true
exclude-caches = false
exclude-nodump = false
tags = ["web", "nightly"]
host = "web1"
before = [["pg_dump", "-f", "/x", "a b"], { argv = ["/bin/true"], timeout = "1h30m" }, { shell = "echo $HOME | wc", timeout = "10s" }]
after = [["rm", "/x"]]
keep = { hourly = 24, yearly = 10, within = "2w" }
limit-rate = "10M"
compression = 19
verify = false
memory-max = "1G"
)");
  ASSERT_OK(configuration);
  const Plan& web = configuration->plans.front();
  EXPECT_EQ(web.sources, (Words{"/srv/www", "/etc"}));
  EXPECT_EQ(web.includes, Words{"*.html"});
  EXPECT_EQ(web.exclude_files, Words{"/etc/coppice/excludes"});
  EXPECT_TRUE(web.one_file_system);
  EXPECT_FALSE(web.exclude_caches);
  EXPECT_FALSE(web.exclude_nodump);
  EXPECT_EQ(web.tags, (Words{"web", "nightly"}));
  EXPECT_EQ(web.host, "web1");
  ASSERT_EQ(web.before.size(), 3u);
  EXPECT_EQ(web.before[0].argv, (Words{"pg_dump", "-f", "/x", "a b"}));
  EXPECT_EQ(web.before[0].timeout, kHookTimeoutDefault);
  EXPECT_EQ(render_hook(web.before[0]), "pg_dump -f /x 'a b'");
  EXPECT_EQ(web.before[1].timeout, std::chrono::minutes(90));
  EXPECT_TRUE(web.before[2].shell);
  EXPECT_EQ(web.before[2].argv, (Words{"/bin/sh", "-c", "echo $HOME | wc"}));
  EXPECT_EQ(render_hook(web.before[2]), "echo $HOME | wc");
  EXPECT_EQ(web.after.size(), 1u);
  EXPECT_FALSE(web.schedule);
  EXPECT_EQ(web.keep, (KeepRules{.hourly = 24, .yearly = 10, .within = std::chrono::hours(14 * 24)}));
  EXPECT_EQ(web.limit_rate, 10u << 20);
  EXPECT_EQ(web.compression, 19);
  EXPECT_FALSE(web.verify);
  EXPECT_EQ(web.memory_bytes, 1u << 30);
}

TEST(Plan, LettersOfAllScriptsComeOutAsTheyWentIn) {
  const auto parsed = parse("# \u00fc \u02c8\n[plan.\"b\u00fcro-\u6570\"]\nsources = ['/\u00fc', \"/\u6570\\u6570\", \"\"\"/\\\n  \u02c8\U0001f333\ue080\"\"\"]");
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->plans[0].name, "b\u00fcro-\u6570");
  EXPECT_EQ(parsed->plans[0].sources, (Words{"/\u00fc", "/\u6570\u6570", "/\u02c8\U0001f333\ue080"}));
}

TEST(Plan, AByteOrderMarkIsNoText) {
  const auto parsed = parse("\xef\xbb\xbf[plan.data]\nsources = [\"/data\"]\n");
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->plans.front().line, 1u);
}

TEST(Plan, SeveralInTheOrderOfTheirNamesAndNone) {
  const auto several = parse("[plan.b]\nsources=[\"/b\"]\n[plan.a]\nsources=[\"/a\"]\n[plan.\"\u6570\u636e\"]\nsources=[\"/c\"]");
  ASSERT_OK(several);
  ASSERT_EQ(several->plans.size(), 3u);
  EXPECT_EQ(several->plans[0].name, "a");
  EXPECT_EQ(several->plans[2].name, "\u6570\u636e");
  const auto none = parse("# nothing\n");
  ASSERT_OK(none);
  EXPECT_TRUE(none->plans.empty() && none->vault.empty());
}

struct Refusal {
  std::string text;
  const char *line, *what, *form;
};

// File and line, what is wrong, and what would be right.
TEST(Plan, EveryRefusalSaysWhereWhatAndWhatInstead) {
  const Refusal refusals[] = {
      // the file as a whole
      {"vault = ", "1", "", "NAME = \"text\""},
      {"vault = \"/a\"\n= 3", "2", "", "NAME = \"text\""},
      {"vault = \"/a\"\nvault = \"/b\"", "2", "redefine", "once"},
      {"# \u00fc\nvault = \"/\u00fc\" # \u00fc\n[plan.b\u00fcro]\nsources = [\"/a\"]", "3", "stands in quotes", "[plan.\"NAME\"]"},
      {"vault = \"/a\"\u00a0", "1", "", "NAME = \"text\""},
      {"\n\nvault = \"/\xff\"", "3", "not UTF-8", "write the file in UTF-8"},
      {"[!", "1", "expected bare key", "[plan.NAME]"},
      {"[plan.data]\nsources = [\"/\\uE0FC\"]", "2", "private range", "sources = ["},
      {"[plan.\"\\uE0FC\"]\nsources = [\"/a\"]", "1", "is no name", "[plan.data]"},
      {plan("sch\u00e9dule = 3"), "3", "", "NAME = \"text\""},
      {plan("\"sch\u00e9dule\" = 3"), "3", "no setting 'sch\u00e9dule'", "schedule"},
      {"valt = \"/srv/vault\"", "1", "no setting 'valt'", "is 'vault' meant?"},
      {"vault = 3", "1", "vault: it is not a text", "vault = \"/srv/vault\""},
      {"vault = \"relative\"", "1", "'relative' is no absolute path", "vault = \"/srv/vault\""},
      {"vault = \"\"", "1", "empty", "vault = \"/srv/vault\""},
      {"\n[plans.data]\nsources = [\"/a\"]", "2", "no setting 'plans'", "is 'plan' meant?"},
      {"[[plan]]\nsources = [\"/a\"]", "1", "'plan' is no setting", "[plan.data]"},
      {"plan = 3", "1", "'plan' is no setting", "[plan.data]"},
      {"[plan]\nsources = [\"/a\"]", "2", "'sources' stands under [plan]", "[plan.data]"},
      {plan("") + plan(""), "4", "redefine", "each plan and each setting stands once"},
      {plan("tags = [\"a\"]\ntags = [\"b\"]"), "4", "redefine", "once"},
      // names
      {"[plan.\"a/b\"]\nsources = [\"/a\"]", "1", "'a/b' is no name", "[plan.data]"},
      {"[plan.\"\"]\nsources = [\"/a\"]", "1", "is no name", "[plan.data]"},
      {"[plan.\"..\"]\nsources = [\"/a\"]", "1", "is no name", "letters, digits"},
      {"[plan.-x]\nsources = [\"/a\"]", "1", "is no name", "[plan.data]"},
      {"[plan.\"a b\"]\nsources = [\"/a\"]", "1", "is no name", "[plan.data]"},
      {"[plan." + std::string(49, 'a') + "]\nsources = [\"/a\"]", "1", "is no name", "48 bytes"},
      // settings
      {plan("shedule = \"08:00\""), "3", "no setting 'shedule'", "is 'schedule' meant?"},
      {plan("limit_rate = \"1M\""), "3", "no setting 'limit_rate'", "is 'limit-rate' meant?"},
      {plan("colour = \"green\""), "3", "no setting 'colour'", "sources, include, exclude"},
      // sources
      {"vault = \"/v\"\n[plan.data]\nschedule = \"08:00\"", "2", "sources are missing", "sources = [\"/home\""},
      {"[plan.data]\nsources = []", "2", "sources: the list is empty", "sources = [\"/home\""},
      {"[plan.data]\nsources = \"/data\"", "2", "sources: it is not a list", "sources = [\"/home\""},
      {"[plan.data]\nsources = [\n\"/data\",\n\"data\"]", "4", "sources: 'data' is no absolute path", "sources = [\"/home\""},
      {"[plan.data]\nsources = [3]", "2", "not a text in quotes", "sources = [\"/home\""},
      {"[plan.data]\nsources = [\"/a\\u0000b\"]", "2", "NUL", "sources = [\"/home\""},
      // selection
      {plan("exclude = [\"[a\"]"), "3", "exclude: ", "exclude = [\"*.tmp\""},
      {plan("include = [\"\"]"), "3", "include: ", "include = [\"*.txt\"]"},
      {plan("exclude-files = [\"excludes\"]"), "3", "'excludes' is no absolute path", "exclude-files = ["},
      {plan("one-file-system = \"yes\""), "3", "neither true nor false", "one-file-system = true"},
      {plan("exclude-caches = 1"), "3", "neither true nor false", "exclude-caches = false"},
      {plan("exclude-nodump = 1"), "3", "neither true nor false", "exclude-nodump = false"},
      {plan("tags = [\"\"]"), "3", "tags: it is empty", "tags = [\"nightly\"]"},
      {plan("tags = [\"plan:other\"]"), "3", "'plan:other' is a tag that plans give", "tags = [\"nightly\"]"},
      {plan("host = \"" + std::string(256, 'h') + "\""), "3", "255 bytes", "host = \"web1\""},
      // hooks
      {plan("before = [\"pg_dump\", \"-f\", \"/x\"]"), "3", "before: each hook is a list", "before = [[\"pg_dump\""},
      {plan("before = \"pg_dump\""), "3", "not a list", "before = [["},
      {plan("before = [[]]"), "3", "begins with a program", "before = [["},
      {plan("after = [[\"./clean\"]]"), "3", "'./clean' is neither", "after = [["},
      {plan("after = [[\"rm\", 3]]"), "3", "not a text", "after = [["},
      {plan("before = [\n[\"a\"],\n{ timeout = \"1m\" }]"), "5", "argv or shell", "shell = "},
      {plan("before = [{ argv = [\"a\"], shell = \"b\" }]"), "3", "not both", "shell = "},
      {plan("before = [{ argv = [\"a\"], timeout = \"soon\" }]"), "3", "before: timeout: 'soon' is no duration", "\"10m\""},
      {plan("before = [{ argv = [\"a\"], time = \"1m\" }]"), "3", "no setting 'time'", "argv, shell, timeout"},
      // schedule
      {plan("schedule = \"8 o'clock\""), "3", "is no calendar event", "\"Mon..Fri 02:30\""},
      {plan("schedule = \"24:00\""), "3", "the hour '24'", "\"08:00\""},
      {plan("schedule = 8"), "3", "not a text", "schedule = \"08:00\""},
      {plan("timezone = \"Asia/Shanghia\""), "3", "is 'Asia/Shanghai' meant?", "timezone = \"Asia/Shanghai\""},
      {plan("timezone = \"\""), "3", "empty", "timezone = "},
      // keep
      {plan("keep = { last = 0 }"), "3", "keep: last: it is no number from 1", "keep = { last = 3"},
      {plan("keep = { daily = \"7\" }"), "3", "keep: daily: ", "keep = { last = 3"},
      {plan("keep = { dayly = 7 }"), "3", "is 'daily' meant?", "keep = { last = 3"},
      {plan("keep = {}"), "3", "no rule", "keep = { last = 3"},
      {plan("keep = 3"), "3", "not a table", "keep = { last = 3"},
      {plan("keep = { within = \"a while\" }"), "3", "keep: within: 'a while' is no duration", "within = \"48h\""},
      {plan("[plan.data.keep]\nlast = 3\nweekly = -1"), "5", "keep: weekly: ", "keep = { last = 3"},
      // the rest
      {plan("log = \"data.log\""), "3", "log: 'data.log' is no absolute path", "log = \"/var/log"},
      {plan("limit-rate = \"fast\""), "3", "limit-rate: 'fast' is no size", "limit-rate = \"10M\""},
      {plan("limit-rate = \"0\""), "3", "too little", "limit-rate = \"10M\""},
      {plan("compression = 20"), "3", "from 1 to 19", "compression = 3"},
      {plan("verify = 1"), "3", "neither true nor false", "verify = true"},
      {plan("memory-max = \"1M\""), "3", "at least 128M", "memory-max = \"256M\""},
  };
  for (const auto& [text, line, what, form] : refusals) {
    SCOPED_TRACE(text);
    const auto parsed = parse(text);
    ASSERT_FALSE(parsed);
    const std::string& message = parsed.error().message();
    EXPECT_EQ(parsed.error().kind(), ErrorKind::kInvalid);
    EXPECT_EQ(message.find(fmt::format("coppice.toml:{}: ", line)), 0u) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_NE(message.find(form), std::string::npos) << message;
  }
}

TEST(Duration, IsReadInUnits) {
  const std::pair<const char*, std::int64_t> good[] = {{"30s", 30},         {"30 s", 30},          {"10m", 600},     {"10min", 600},
                                                       {"36h", 129600},     {"7d", 604800},        {"4w", 2419200},  {"1y", 31536000},
                                                       {"1h30m", 5400},     {" 1h 30m ", 5400}};
  for (const auto& [text, seconds] : good) {
    const auto parsed = parse_duration(text);
    ASSERT_OK(parsed) << text;
    EXPECT_EQ(parsed->count(), seconds) << text;
  }
  for (const char* bad : {"", " ", "10", "m", "0s", "-1h", "1.5h", "1H", "10 parsecs", "999999999999999999999s", "7000000000s", "300y", "199y 2y"})
    EXPECT_FAILS(parse_duration(bad), kInvalid) << bad;
}

}  // namespace
}  // namespace coppice::policy
