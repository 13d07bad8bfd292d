#include "policy/keep.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace coppice::policy {

namespace {
using std::chrono::days;

// The span of the calendar that a moment lies in, in words that are its own.
using PeriodOf = std::string (*)(WallTime);

std::chrono::year_month_day date_of(WallTime t) {
  return std::chrono::sys_days(std::chrono::floor<days>(t.time_since_epoch()));
}
std::string hour_of(WallTime t) {
  const auto date = date_of(t);
  const auto in_day = t.time_since_epoch() - std::chrono::floor<days>(t.time_since_epoch());
  return fmt::format("{:04}-{:02}-{:02} {:02}h", int(date.year()), unsigned(date.month()), unsigned(date.day()),
                     std::chrono::floor<std::chrono::hours>(in_day).count());
}
std::string day_of(WallTime t) {
  const auto date = date_of(t);
  return fmt::format("{:04}-{:02}-{:02}", int(date.year()), unsigned(date.month()), unsigned(date.day()));
}
std::string week_of(WallTime t) {  // ISO 8601: a week belongs to the year that its Thursday lies in
  const std::chrono::sys_days day(std::chrono::floor<days>(t.time_since_epoch()));
  const auto thursday = day + days(4 - static_cast<int>(std::chrono::weekday(day).iso_encoding()));
  const auto year = std::chrono::year_month_day(thursday).year();
  return fmt::format("{:04}-W{:02}", int(year), (thursday - std::chrono::sys_days(year / 1 / 1)).count() / 7 + 1);
}
std::string month_of(WallTime t) {
  const auto date = date_of(t);
  return fmt::format("{:04}-{:02}", int(date.year()), unsigned(date.month()));
}
std::string year_of(WallTime t) { return fmt::format("{:04}", int(date_of(t).year())); }

std::string render_span(std::chrono::seconds span) {
  const auto count = span.count();
  if (count % 86400 == 0) return fmt::format("{} d", count / 86400);
  if (count % 3600 == 0) return fmt::format("{} h", count / 3600);
  return count % 60 == 0 ? fmt::format("{} min", count / 60) : fmt::format("{} s", count);
}
}  // namespace

// Gives reasons to those of `order` (newest first) that a rule keeps.
static void apply_rules(const KeepRules& rules, std::span<const KeepItem> items, const std::vector<std::size_t>& order, const TimeZone& zone,
                        std::vector<KeepVerdict>& verdicts) {
  for (std::size_t rank = 0; rank < order.size() && rank < rules.last; ++rank)
    verdicts[order[rank]].reasons.push_back(fmt::format("last {} of {}", rank + 1, rules.last));
  const struct {
    unsigned count;
    const char* name;
    PeriodOf of;
    bool of_offset;   // an hour that the clock shows twice is two
  } periods[] = {{rules.hourly, "hourly", hour_of, true},
                 {rules.daily, "daily", day_of, false},
                 {rules.weekly, "weekly", week_of, false},
                 {rules.monthly, "monthly", month_of, false},
                 {rules.yearly, "yearly", year_of, false}};
  for (const auto& period : periods) {
    std::optional<std::pair<std::string, std::int64_t>> current;
    unsigned kept = 0;
    for (const std::size_t i : order) {
      if (kept == period.count) break;
      const WallTime wall = zone.wall(items[i].time);
      std::pair its(period.of(wall), period.of_offset ? wall.time_since_epoch().count() - items[i].time.seconds : 0);
      if (its == current) continue;
      verdicts[i].reasons.push_back(fmt::format("{} {}", period.name, its.first));
      current = std::move(its);
      ++kept;
    }
  }
  for (const std::size_t i : order) {
    // Unsigned, because a snapshot may claim any time, and the difference of two may be more than a signed number holds.
    const auto before_newest = static_cast<std::uint64_t>(items[order.front()].time.seconds) - static_cast<std::uint64_t>(items[i].time.seconds);
    if (rules.within && before_newest <= static_cast<std::uint64_t>(rules.within->count()))
      verdicts[i].reasons.push_back(fmt::format("within {}", render_span(*rules.within)));
  }
}

std::vector<KeepVerdict> decide_keep(const KeepRules& rules, std::span<const KeepItem> items, Timestamp now, const TimeZone& zone) {
  std::vector<KeepVerdict> verdicts(items.size());
  if (rules.empty()) {
    for (auto& verdict : verdicts) verdict.reasons.emplace_back("no keep rules: everything stays");
    return verdicts;
  }
  // Newest first; of two at one moment the later in the list counts as newer.
  std::vector<std::size_t> order;
  for (std::size_t i = items.size(); i-- > 0;) {
    if (items[i].time > now)
      verdicts[i].reasons.emplace_back("its time lies in the future");
    else
      order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return items[a].time != items[b].time ? items[a].time > items[b].time : a > b; });
  std::vector<KeepVerdict> of_all(items.size());
  apply_rules(rules, items, order, zone, of_all);
  std::vector<std::size_t> whole;
  std::ranges::copy_if(order, std::back_inserter(whole), [&](std::size_t i) { return !items[i].partial; });
  apply_rules(rules, items, whole, zone, verdicts);
  for (const std::size_t i : order) {
    if (items[i].partial) verdicts[i] = std::move(of_all[i]);
    if (!verdicts[i].reasons.empty()) continue;
    verdicts[i].keep = false;
    verdicts[i].reasons.emplace_back("no rule keeps it");
  }
  return verdicts;
}

}  // namespace coppice::policy
