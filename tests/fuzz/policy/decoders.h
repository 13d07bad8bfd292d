// Patterns and the paths that they meet: the lines of an exclude file up to the first NUL, then a path. Configurations and
// calendar events: what is accepted means the same when it is written anew, and a next event is later. Keep rules and times of snapshots: as
// many numbers as there are bytes for.
#pragma once

#include <algorithm>
#include <string>

#include "foundation/check.h"
#include "fuzz/named_decoder.h"
#include "policy/calendar.h"
#include "policy/keep.h"
#include "policy/patterns.h"
#include "policy/plan.h"
#include "policy/units.h"

namespace coppice::policy::fuzz {

inline bool patterns(ByteSpan in) {
  const std::string_view text = as_text(in);
  const std::size_t nul = text.find('\0');
  PatternList list;
  if (!list.add_lines(text.substr(0, nul))) return false;
  if (nul == std::string_view::npos) return true;
  const std::string path = "/" + std::string(text.substr(nul + 1));
  for (const bool is_directory : {false, true}) {
    if (!list.matches(path, is_directory)) continue;
    // A walk that prunes must get there.
    for (std::size_t slash = path.rfind('/'); slash != 0 && slash != std::string::npos; slash = path.rfind('/', slash - 1)) {
      const std::string above = path.substr(0, slash);
      if (above.find("//") == std::string::npos && !above.ends_with('/')) CHECK(list.matches(above, true) || list.may_match_below(above));
    }
  }
  return true;
}

inline void look_at(const Calendar& event) {
  const auto again = Calendar::parse(event.systemd_form());
  CHECK(again && *again == event);
  constexpr Timestamp kNow{.seconds = 1'795'305'600};
  const auto next = event.next(kNow, TimeZone()), previous = event.previous(kNow, TimeZone());
  CHECK(next || previous);
  CHECK(!next || (*next > kNow && event.previous(*next, TimeZone()) == next));
  CHECK(!previous || (*previous <= kNow && event.next(*previous, TimeZone()) == next));
}

inline bool calendar(ByteSpan in) {
  const auto event = Calendar::parse(as_text(in));
  if (!event) return false;
  look_at(*event);
  return true;
}

inline bool configuration(ByteSpan in) {
  const auto parsed = parse_configuration(as_text(in), "coppice.toml");
  if (!parsed) {
    CHECK(parsed.error().message().starts_with("coppice.toml:"));
    return false;
  }
  for (const Plan& plan : parsed->plans) {
    CHECK(!plan.name.empty() && plan.name.size() <= kPlanNameBytesMax && plan.name.find('/') == std::string::npos);
    CHECK(!plan.sources.empty() && parsed->find(plan.name) == &plan);
    if (plan.schedule) look_at(*plan.schedule);
    for (const Hook& hook : plan.before) CHECK(!hook.argv.empty() && hook.timeout.count() > 0);
  }
  return true;
}

inline bool duration(ByteSpan in) {
  const auto span = parse_duration(as_text(in));
  if (!span) return false;
  CHECK(span->count() > 0);
  return true;
}

inline bool cron(ByteSpan in) {
  const auto plans = plans_of_cron(as_text(in));
  for (const std::string& plan : plans) CHECK(!plan.empty() && plan.find_first_of(" \n") == std::string::npos);
  return !plans.empty();
}

// Six counts of a byte each, zone, hours of `within`, now, then a time every eight bytes.
inline bool keep(ByteSpan in) {
  constexpr std::size_t kHead = 16;
  if (in.size() < kHead || in.size() > kHead + 8 * 1000) return false;
  const auto count = [&](std::size_t at) { return static_cast<unsigned>(in[at]); };
  KeepRules rules{count(0), count(1), count(2), count(3), count(4), count(5), {}};
  if (count(7) > 0) rules.within = std::chrono::hours(count(7));
  static const TimeZone zones[] = {TimeZone(), TimeZone::find("Europe/Berlin").value_or(TimeZone())};
  const Timestamp now{.seconds = load_le<std::int64_t>(in, 8)};
  std::vector<KeepItem> items;
  for (std::size_t at = kHead; at + 8 <= in.size(); at += 8) {
    const auto seconds = load_le<std::int64_t>(in, at);
    items.push_back({.time = {.seconds = seconds}, .partial = seconds % 3 == 0});
  }
  const auto verdicts = decide_keep(rules, items, now, zones[count(6) % std::size(zones)]);
  CHECK(verdicts.size() == items.size());
  bool any = items.empty(), any_whole = std::ranges::all_of(items, &KeepItem::partial);
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK(!verdicts[i].reasons.empty() && (verdicts[i].keep || items[i].time <= now));
    any |= verdicts[i].keep;
    any_whole |= verdicts[i].keep && !items[i].partial;
  }
  CHECK(any && any_whole);   // never all of them
  return true;
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {
    {"patterns", patterns}, {"calendar", calendar}, {"configuration", configuration}, {"duration", duration}, {"cron", cron}, {"keep", keep}};

}  // namespace coppice::policy::fuzz
