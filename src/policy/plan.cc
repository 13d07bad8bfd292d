// toml++ 3.3 asserts, or lets the compiler assume, what a configuration like "[!" does not keep to; behind each such
// assertion that input can reach it reports the error in order. So there are none of either kind.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include "policy/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "foundation/encoding.h"
#include "foundation/size.h"
#include "policy/nearest.h"
#include "policy/patterns.h"

namespace coppice::policy {

namespace {
constexpr std::size_t kLabelBytesMax = 255;
constexpr std::int64_t kKeepMax = 1'000'000;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::uint64_t kMemoryBytesMin = 128ull << 20;
constexpr std::string_view kNameRule =
    "it has letters, digits, '.', '_' and '-', begins with none of '.' and '-', and has at most 48 bytes";

// The parser never sees a letter that is not ASCII: toml++ 3.3 asks whether such a letter is a blank, in places, in a way
// that is undefined for most of them. Each of their bytes becomes one letter of a private range, for which it is defined;
// what comes out of the parser is turned back.
std::string veil(std::string_view text) {
  std::string veiled;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      veiled += c;
    else  // U+E000 + byte
      veiled.append({'\xee', static_cast<char>(0x80 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))});
  }
  return veiled;
}
std::string unveil(std::string_view veiled) {
  std::string text;
  for (std::size_t at = 0; at < veiled.size(); ++at) {
    // U+E080 to U+E0FF only.
    if (veiled[at] != '\xee' || at + 2 >= veiled.size() || (veiled[at + 1] != '\x82' && veiled[at + 1] != '\x83')) {
      text += veiled[at];
      continue;
    }
    text += static_cast<char>((veiled[at + 1] & 0x03) << 6 | (veiled[at + 2] & 0x3f));
    at += 2;
  }
  return text;
}

std::string_view line_of(std::string_view text, std::size_t number) {
  for (std::size_t line = 1; line < number && !text.empty(); ++line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find('\n'));
}

toml::source_region first_line_that_is_not_utf8(std::string_view text) {
  toml::source_region where;
  where.begin.line = 1;
  while (true) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !is_utf8(text.substr(0, end))) return where;
    text.remove_prefix(end + 1);
    ++where.begin.line;
  }
}

// What a value is for, for the sentences about it. Every error names the line of the very value that is wrong.
struct Place {
  std::string_view file;
  std::string about;      // "plan data: keep: ", or nothing
  std::string_view form;  // a valid one; empty: the sentence has it

  std::unexpected<Error> bad(const toml::source_region& where, std::string_view what) const {
    return fail(ErrorKind::kInvalid, fmt::format("{}:{}: {}{}{}{}", file, where.begin.line, about, what,
                                                 form.empty() ? "" : "; write ", form));
  }
  std::unexpected<Error> bad(const toml::node& node, std::string_view what) const { return bad(node.source(), what); }
  template <class T>
  Result<T> placed(Result<T> value, const toml::node& node) const {
    if (!value) return bad(node, value.error().message());
    return value;
  }
  Place inside(std::string_view name) const { return {file, fmt::format("{}{}: ", about, name), form}; }
  std::unexpected<Error> unknown(const toml::key& key, const std::vector<std::string_view>& known) const {
    const auto near = nearest(key.str(), known);
    return bad(key.source(), fmt::format("there is no setting '{}' here{}; there are {}", render_printable(unveil(key.str())),
                                         near ? fmt::format(" (is '{}' meant?)", *near) : "", fmt::join(known, ", ")));
  }
};

Result<std::string> words_text_of(const toml::node& node, const Place& place) {
  const auto* text = node.as_string();
  if (!text) return place.bad(node, "it is not a text in quotes");
  if (text->get().find('\0') != std::string::npos) return place.bad(node, "it has a NUL in it");
  std::string plain = unveil(text->get());
  if (!is_utf8(plain)) return place.bad(node, "it names a letter of a private range by its code");
  return plain;
}
Result<std::string> text_of(const toml::node& node, const Place& place) {
  std::string text = TRY(words_text_of(node, place));
  if (text.empty()) return place.bad(node, "it is empty");
  return text;
}
Result<std::string> path_of(const toml::node& node, const Place& place) {
  std::string path = TRY(text_of(node, place));
  if (path.front() != '/') return place.bad(node, fmt::format("'{}' is no absolute path", render_printable(path)));
  return path;
}
Result<std::string> label_of(const toml::node& node, const Place& place) {
  std::string label = TRY(text_of(node, place));
  if (label.size() > kLabelBytesMax) return place.bad(node, "it has more than 255 bytes");
  return label;
}
Result<std::string> tag_of(const toml::node& node, const Place& place) {
  std::string tag = TRY(label_of(node, place));
  // The keep rules of a plan take what bears its tag.
  if (tag.starts_with(kPlanTagPrefix)) return place.bad(node, fmt::format("'{}' is a tag that plans give by themselves", render_printable(tag)));
  return tag;
}
Result<std::string> pattern_of(const toml::node& node, const Place& place) {
  std::string text = TRY(text_of(node, place));
  PatternList patterns;
  TRY(place.placed(patterns.add(text), node));
  return text;
}
Result<bool> bool_of(const toml::node& node, const Place& place) {
  const auto* value = node.as_boolean();
  if (!value) return place.bad(node, "it is neither true nor false");
  return value->get();
}
Result<std::int64_t> number_of(const toml::node& node, const Place& place, std::int64_t min, std::int64_t max) {
  const auto* value = node.as_integer();
  if (!value || value->get() < min || value->get() > max)
    return place.bad(node, fmt::format("it is no number from {} to {}", min, max));
  return value->get();
}
Result<std::uint64_t> size_of(const toml::node& node, const Place& place) {
  const std::string text = TRY(text_of(node, place));
  const auto size = TRY(place.placed(parse_size(text), node));
  if (size == 0) return place.bad(node, "nothing is too little");
  return size;
}
Result<std::chrono::seconds> duration_of(const toml::node& node, const Place& place) {
  const std::string text = TRY(text_of(node, place));
  return place.placed(parse_duration(text), node);
}
template <auto ItemOf>
auto list_of(const toml::node& node, const Place& place)
    -> Result<std::vector<typename decltype(ItemOf(node, place))::value_type>> {
  const auto* array = node.as_array();
  if (!array) return place.bad(node, "it is not a list in brackets");
  std::vector<typename decltype(ItemOf(node, place))::value_type> items;
  for (const auto& item : *array) items.push_back(TRY(ItemOf(item, place)));
  return items;
}

// ---- hooks and keep rules ----

Result<std::vector<std::string>> argv_of(const toml::node& node, const Place& place) {
  auto words = TRY(list_of<words_text_of>(node, place));
  if (words.empty() || words.front().empty()) return place.bad(node, "a hook begins with a program");
  if (words.front().front() != '/' && words.front().find('/') != std::string::npos) {
    return place.bad(node, fmt::format("the program '{}' is neither an absolute path nor a name to look for in PATH",
                                       render_printable(words.front())));
  }
  return words;
}

Result<Hook> hook_of(const toml::node& node, const Place& place) {
  Hook hook;
  if (node.is_array()) {
    hook.argv = TRY(argv_of(node, place));
    return hook;
  }
  const auto* table = node.as_table();
  if (!table) return place.bad(node, "each hook is a list of words of its own (a shell reads it only when asked to)");
  for (const auto& [key, value] : *table) {
    const Place here = place.inside(key.str());
    if (key.str() == "argv") {
      hook.argv = TRY(argv_of(value, here));
    } else if (key.str() == "shell") {
      if (!hook.argv.empty()) return place.bad(value, "a hook has either argv or shell, not both");
      const std::string text = TRY(text_of(value, here));
      hook.argv = {"/bin/sh", "-c", text};
      hook.shell = true;
    } else if (key.str() == "timeout") {
      hook.timeout = TRY(duration_of(value, here));
    } else {
      return place.unknown(key, {"argv", "shell", "timeout"});
    }
  }
  if (hook.argv.empty()) return place.bad(node, "a hook has either argv or shell");
  return hook;
}

Result<KeepRules> keep_of(const toml::node& node, const Place& place) {
  const auto* table = node.as_table();
  if (!table) return place.bad(node, "it is not a table in braces");
  KeepRules rules;
  constexpr std::pair<std::string_view, unsigned KeepRules::*> kCounts[] = {
      {"last", &KeepRules::last},     {"hourly", &KeepRules::hourly},   {"daily", &KeepRules::daily},
      {"weekly", &KeepRules::weekly}, {"monthly", &KeepRules::monthly}, {"yearly", &KeepRules::yearly}};
  for (const auto& [key, value] : *table) {
    const std::string_view name = key.str();
    const Place here = place.inside(name);
    if (name == "within") {
      rules.within = TRY(duration_of(value, here));
      continue;
    }
    const auto* count = std::find_if(std::begin(kCounts), std::end(kCounts), [&](const auto& c) { return c.first == name; });
    if (count == std::end(kCounts))
      return place.unknown(key, {"last", "hourly", "daily", "weekly", "monthly", "yearly", "within"});
    rules.*(count->second) = static_cast<unsigned>(TRY(number_of(value, here, 1, kKeepMax)));
  }
  if (rules.empty()) return place.bad(node, "it holds no rule (without the setting everything is kept)");
  return rules;
}

// ---- plans ----

// Each setting: its name, a valid form, and how it is read.
struct Setting {
  std::string_view name, form;
  Result<> (*read)(Plan&, const toml::node&, const Place&);
};

template <auto Member, auto Of>
Result<> set(Plan& plan, const toml::node& node, const Place& place) {
  plan.*Member = TRY(Of(node, place));
  return {};
}
Result<> set_sources(Plan& plan, const toml::node& node, const Place& place) {
  plan.sources = TRY(list_of<path_of>(node, place));
  if (plan.sources.empty()) return place.bad(node, "the list is empty");
  return {};
}
Result<> set_schedule(Plan& plan, const toml::node& node, const Place& place) {
  const std::string text = TRY(text_of(node, place));
  auto calendar = Calendar::parse(text);
  // The sentence has valid forms of its own.
  if (!calendar) return Place{place.file, place.about, ""}.bad(node, calendar.error().message());
  plan.schedule = std::move(*calendar);
  return {};
}
Result<> set_timezone(Plan& plan, const toml::node& node, const Place& place) {
  plan.timezone_name = TRY(text_of(node, place));
  plan.timezone = TRY(place.placed(TimeZone::find(plan.timezone_name), node));
  return {};
}
Result<> set_compression(Plan& plan, const toml::node& node, const Place& place) {
  plan.compression = static_cast<int>(TRY(number_of(node, place, 1, 19)));
  return {};
}
Result<> set_memory(Plan& plan, const toml::node& node, const Place& place) {
  plan.memory_bytes = TRY(size_of(node, place));
  if (plan.memory_bytes < kMemoryBytesMin) return place.bad(node, "at least 128M is needed");
  return {};
}

constexpr Setting kSettings[] = {
    {"sources", "sources = [\"/home\", \"/etc\"]", set_sources},
    {"include", "include = [\"*.txt\"]", set<&Plan::includes, list_of<pattern_of>>},
    {"exclude", "exclude = [\"*.tmp\", \"/home/*/.cache/\"]", set<&Plan::excludes, list_of<pattern_of>>},
    {"exclude-files", "exclude-files = [\"/etc/coppice/excludes\"]", set<&Plan::exclude_files, list_of<path_of>>},
    {"one-file-system", "one-file-system = true", set<&Plan::one_file_system, bool_of>},
    {"exclude-caches", "exclude-caches = false", set<&Plan::exclude_caches, bool_of>},
    {"exclude-nodump", "exclude-nodump = false", set<&Plan::exclude_nodump, bool_of>},
    {"tags", "tags = [\"nightly\"]", set<&Plan::tags, list_of<tag_of>>},
    {"host", "host = \"web1\"", set<&Plan::host, label_of>},
    {"before", "before = [[\"pg_dump\", \"-f\", \"/var/backups/db.sql\", \"db\"], { shell = \"df > /data/df.txt\", timeout = \"10m\" }]",
     set<&Plan::before, list_of<hook_of>>},
    {"after", "after = [[\"rm\", \"-f\", \"/var/backups/db.sql\"], { argv = [\"logger\", \"done\"], timeout = \"10s\" }]",
     set<&Plan::after, list_of<hook_of>>},
    {"schedule", "schedule = \"08:00\"", set_schedule},
    {"timezone", "timezone = \"Asia/Shanghai\"", set_timezone},
    {"keep", "keep = { last = 3, daily = 7, weekly = 4, monthly = 12, within = \"48h\" }", set<&Plan::keep, keep_of>},
    {"log", "log = \"/var/log/coppice/data.log\"", set<&Plan::log, path_of>},
    {"limit-rate", "limit-rate = \"10M\"", set<&Plan::limit_rate, size_of>},
    {"compression", "compression = 3", set_compression},
    {"verify", "verify = true", set<&Plan::verify, bool_of>},
    {"memory-max", "memory-max = \"256M\"", set_memory}};

std::vector<std::string_view> setting_names() {
  std::vector<std::string_view> names;
  for (const Setting& setting : kSettings) names.push_back(setting.name);
  return names;
}

bool is_plan_name(std::string_view name) {
  if (name.empty() || name.size() > kPlanNameBytesMax || !is_utf8(name) || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    // Letters of other scripts are letters: TOML is UTF-8.
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-' ||
           c >= 0x80;
  });
}

Result<Plan> read_plan(const toml::key& name, const toml::node& node, std::string_view file) {
  Place place{file, "", "[plan.data]"};
  Plan plan;
  plan.name = unveil(name.str());
  const auto* table = node.as_table();
  if (!table) {
    return place.bad(name.source(), fmt::format("'{}' stands under [plan], and a plan has a name and lines of its own",
                                                render_printable(plan.name)));
  }
  if (!is_plan_name(plan.name))
    return place.bad(name.source(), fmt::format("'{}' is no name for a plan: {}", render_printable(plan.name), kNameRule));
  place.about = fmt::format("plan {}: ", plan.name);
  plan.line = name.source().begin.line;
  for (const auto& [key, value] : *table) {
    const auto* setting = std::find_if(std::begin(kSettings), std::end(kSettings),
                                       [&](const Setting& known) { return known.name == key.str(); });
    if (setting == std::end(kSettings)) return Place{file, place.about, ""}.unknown(key, setting_names());
    TRY(setting->read(plan, value, Place{file, fmt::format("{}{}: ", place.about, setting->name), setting->form}));
  }
  if (plan.sources.empty())
    return Place{file, place.about, kSettings[0].form}.bad(name.source(), "sources are missing: what it backs up");
  if (plan.timezone_name.empty()) {
    auto local = TimeZone::find("");
    if (local)
      plan.timezone = *local;
    else if (plan.schedule || !plan.keep.empty())
      return Place{file, place.about, ""}.bad(name.source(), local.error().message());
  }
  return plan;
}

std::string syntax_hint(std::string_view description, std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (line.starts_with('[') && std::ranges::any_of(line, [](unsigned char c) { return c >= 0x80; }))
    return "a name with such letters stands in quotes: [plan.\"NAME\"]";
  if (description.find("redefine") != std::string_view::npos) return "each plan and each setting stands once";
  return "write NAME = \"text\", NAME = [\"a\", \"b\"], or [plan.NAME] on a line of its own";
}

bool is_plain_word(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80 ||
           std::string_view("-_./=:,+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
}
}  // namespace

std::string render_hook(const Hook& hook) {
  if (hook.shell) return hook.argv.back();
  std::string text;
  for (const std::string& word : hook.argv) {
    if (!text.empty()) text += " ";
    if (is_plain_word(word)) {
      text += word;
      continue;
    }
    text += "'";
    for (const char c : word) text.append(c == '\'' ? "'\\''" : std::string(1, c));
    text += "'";
  }
  return text;
}

const Plan* Configuration::find(std::string_view name) const {
  const auto at = std::find_if(plans.begin(), plans.end(), [&](const Plan& plan) { return plan.name == name; });
  return at == plans.end() ? nullptr : &*at;
}

Result<Configuration> parse_configuration(std::string_view text, std::string_view file) {
  const Place place{file, "", ""};
  if (!is_utf8(text)) return place.bad(first_line_that_is_not_utf8(text), "it is not UTF-8; write the file in UTF-8");
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const toml::parse_result parsed = toml::parse(veil(text));
  if (!parsed) {
    const std::string description = render_printable(unveil(parsed.error().description()));
    const auto& where = parsed.error().source();
    return place.bad(where, fmt::format("{}; {}", description, syntax_hint(description, line_of(text, where.begin.line))));
  }
  Configuration configuration;
  for (const auto& [key, value] : parsed.table()) {
    if (key.str() == "vault") {
      configuration.vault = TRY(path_of(value, Place{file, "vault: ", "vault = \"/srv/vault\""}));
    } else if (key.str() == "plan") {
      const auto* plans = value.as_table();
      if (!plans) return Place{file, "", "[plan.data]"}.bad(key.source(), "'plan' is no setting: a plan begins with its name");
      for (const auto& [name, plan] : *plans) configuration.plans.push_back(TRY(read_plan(name, plan, file)));
    } else {
      return place.unknown(key, {"vault", "plan"});
    }
  }
  return configuration;
}

}  // namespace coppice::policy
