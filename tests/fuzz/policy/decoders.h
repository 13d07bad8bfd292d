// Patterns and the paths that they meet: the lines of an exclude file up to the first NUL, then a path. Configurations and
// calendar events: what is accepted means the same when it is written anew, and a next event is later.
#pragma once

#include <string>

#include "foundation/check.h"
#include "fuzz/named_decoder.h"
#include "policy/calendar.h"
#include "policy/patterns.h"
#include "policy/plan.h"

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

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {
    {"patterns", patterns}, {"calendar", calendar}, {"configuration", configuration}};

}  // namespace coppice::policy::fuzz
