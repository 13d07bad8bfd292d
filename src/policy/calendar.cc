// Days are looked at one by one: even a leap day on a Monday is at most 10,000 steps away, and nothing has to be proved
// about jumps between fields.
#include "policy/calendar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "foundation/encoding.h"

namespace coppice::policy {

namespace {
using std::chrono::days;
using std::chrono::seconds;
using std::chrono::sys_days;

constexpr unsigned kYearMin = 1970, kYearMax = 2199;
constexpr unsigned kDayMax = 31, kDayFromEndMax = 28;   // the latter is systemd's
constexpr std::size_t kTextBytesMax = 1024;
constexpr std::array<std::string_view, 7> kWeekdays{"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                    "Friday", "Saturday", "Sunday"};
struct Shorthand {
  std::string_view name, text;
};
constexpr Shorthand kShorthands[] = {
    {"minutely", "*-*-* *:*:00"},       {"hourly", "*-*-* *:00:00"},
    {"daily", "*-*-* 00:00:00"},        {"monthly", "*-*-01 00:00:00"},
    {"weekly", "Mon *-*-* 00:00:00"},   {"yearly", "*-01-01 00:00:00"},
    {"annually", "*-01-01 00:00:00"},   {"quarterly", "*-01,04,07,10-01 00:00:00"},
    {"semiannually", "*-01,07-01 00:00:00"}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return result;
}

std::optional<int> bit_from(std::uint64_t bits, int from) {
  if (from > 63) return std::nullopt;
  bits &= ~std::uint64_t{0} << from;
  if (bits == 0) return std::nullopt;
  return std::countr_zero(bits);
}
std::optional<int> bit_upto(std::uint64_t bits, int upto) {
  if (upto < 0) return std::nullopt;
  bits &= ~std::uint64_t{0} >> (63 - upto);
  if (bits == 0) return std::nullopt;
  return 63 - std::countl_zero(bits);
}
sys_days first_day() { return std::chrono::year(kYearMin) / 1 / 1; }
sys_days last_day() { return std::chrono::year(kYearMax) / 12 / 31; }
}  // namespace

class Calendar::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Calendar> parse() {
    if (text_.size() > kTextBytesMax) return fail(ErrorKind::kInvalid, "a schedule has at most 1024 bytes");
    for (const auto& shorthand : kShorthands) {
      if (lower(text_) == shorthand.name) return Parser(shorthand.text).parse();
    }
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < text_.size();) {
      if (text_[at] == ' ' || text_[at] == '\t') {
        ++at;
        continue;
      }
      const std::size_t end = std::min(text_.find_first_of(" \t", at), text_.size());
      words.push_back(text_.substr(at, end - at));
      at = end;
    }
    if (words.empty()) return bad("it is empty");
    std::size_t at = 0;
    if (is_letter(words[at].front())) TRY(parse_weekdays(words[at++]));
    bool has_date = false, has_time = false;
    if (at < words.size() && words[at].find(':') == std::string_view::npos) {
      TRY(parse_date(words[at++]));
      has_date = true;
    }
    if (at < words.size()) {
      TRY(parse_time(words[at++]));
      has_time = true;
    }
    if (at < words.size()) return bad(fmt::format("'{}' is too much{}", render_printable(words[at]), zone_hint(words[at])));
    if (!has_date) TRY(parse_date("*-*-*"));
    if (!has_time) TRY(parse_time("00:00:00"));
    if (!calendar_.next(Timestamp{.seconds = -1}, TimeZone())) return bad("it names no day that exists");
    return std::move(calendar_);
  }

 private:
  static std::string zone_hint(std::string_view word) {
    return is_letter(word.front()) ? " (a time zone stands in a setting of its own: timezone = \"Europe/Berlin\")" : "";
  }
  std::unexpected<Error> bad(std::string_view why) const {
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is no calendar event: {}; write \"08:00\", \"Mon..Fri 02:30\", \"Sat *-*-1..7 18:00\", "
                            "\"*-*~1 23:00\" (a month's last day), \"*:0/15\" or \"daily\"",
                            render_printable(text_.substr(0, 100)), why));
  }

  std::optional<unsigned> weekday(std::string_view& word) const {
    std::size_t length = 0;
    while (length < word.size() && is_letter(word[length])) ++length;
    const std::string name = lower(word.substr(0, length));
    for (unsigned day = 0; day < kWeekdays.size(); ++day) {
      const std::string whole = lower(kWeekdays[day]);
      if (name != whole && name != whole.substr(0, 3)) continue;
      word.remove_prefix(length);
      return day;
    }
    return std::nullopt;
  }

  Result<> parse_weekdays(std::string_view word) {
    const std::string_view all = word;
    const auto wrong = [&] {
      return bad(fmt::format("'{}' names no weekdays like Mon, Mon..Fri or Sat,Sun{}", render_printable(all),
                             all.find('/') != std::string_view::npos ? zone_hint(all) : ""));
    };
    calendar_.weekdays_ = 0;
    while (true) {
      const auto first = weekday(word);
      if (!first) return wrong();
      auto last = first;
      if (word.starts_with("..")) {
        word.remove_prefix(2);
        last = weekday(word);
        if (!last) return wrong();
        if (*last < *first) return bad("a range of weekdays lies within Mon..Sun");
      }
      for (unsigned day = *first; day <= *last; ++day) calendar_.weekdays_ |= static_cast<std::uint8_t>(1u << day);
      if (word.empty()) return {};
      if (word.front() != ',') return wrong();
      word.remove_prefix(1);
    }
  }

  Result<> parse_date(std::string_view word) {
    std::vector<std::string_view> parts;
    std::string separators;
    for (std::size_t at = 0; at <= word.size();) {
      const std::size_t end = std::min(word.find_first_of("-~", at), word.size());
      parts.push_back(word.substr(at, end - at));
      if (end < word.size()) separators.push_back(word[end]);
      at = end + 1;
    }
    const bool shape = (parts.size() == 2 || parts.size() == 3) &&
                       (parts.size() == 2 || separators.front() == '-');  // only the day may count from the end
    if (!shape) {
      return bad(fmt::format("'{}' is neither a date like *-*-01 nor a time like 08:00{}", render_printable(word),
                             zone_hint(word)));
    }
    calendar_.day_from_end_ = separators.back() == '~';
    const std::size_t month = parts.size() - 2;
    calendar_.year_ = TRY(parse_field(month == 1 ? parts[0] : "*", "year", kYearMin, kYearMax));
    calendar_.month_ = TRY(parse_field(parts[month], "month", 1, 12));
    const bool from_end = calendar_.day_from_end_;
    calendar_.day_ = TRY(parse_field(parts[month + 1], from_end ? "day from the end" : "day", 1, from_end ? kDayFromEndMax : kDayMax, from_end));
    return {};
  }

  Result<> parse_time(std::string_view word) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at <= word.size();) {
      const std::size_t end = std::min(word.find(':', at), word.size());
      parts.push_back(word.substr(at, end - at));
      at = end + 1;
    }
    if (parts.size() != 2 && parts.size() != 3)
      return bad(fmt::format("'{}' is no time like 08:00 or 08:00:30{}", render_printable(word), zone_hint(word)));
    if (parts.size() == 2) parts.push_back("00");
    if (parts[2].find('.') != parts[2].find("..")) return bad("seconds are whole");
    calendar_.hour_ = TRY(parse_field(parts[0], "hour", 0, 23));
    calendar_.minute_ = TRY(parse_field(parts[1], "minute", 0, 59));
    calendar_.second_ = TRY(parse_field(parts[2], "second", 0, 59));
    return {};
  }

  std::optional<unsigned> number(std::string_view& text) const {
    std::size_t length = 0;
    unsigned value = 0;
    for (; length < text.size() && length < 4 && is_digit(text[length]); ++length)
      value = value * 10 + static_cast<unsigned>(text[length] - '0');
    if (length == 0 || (length < text.size() && is_digit(text[length]))) return std::nullopt;
    text.remove_prefix(length);
    return value;
  }

  // "*", or numbers, ranges and steps: "1,5..9,10/5". `down`: days from the end run towards it, 7/1 is the last seven, 1..5/2 the fifth,
  // third and last.
  Result<Field> parse_field(std::string_view text, std::string_view what, unsigned min, unsigned max, bool down = false) const {
    Field field;
    const auto set = [&](unsigned value) {
      if (value < 64) field.bits |= std::uint64_t{1} << value;
    };
    if (text == "*") {
      if (down) max = kDayMax;
      for (unsigned value = min; value <= max; ++value) set(value);
      return field;
    }
    const std::string_view all = text;
    const auto wrong = [&] {
      return bad(fmt::format("the {} '{}' is not *, a number from {} to {}, a list 1,2, a range 1..5 or steps 0/5", what,
                             render_printable(all), min, max));
    };
    const auto value = [&]() -> std::optional<unsigned> {
      auto read = number(text);
      if (read && max == kYearMax && *read < 100) *read += *read < 70 ? 2000 : 1900;  // "26-12-24"
      if (!read || *read < min || *read > max) return std::nullopt;
      return read;
    };
    while (true) {
      const auto first = value();
      if (!first) return wrong();
      auto last = first;
      const bool range = text.starts_with("..");
      if (range) {
        text.remove_prefix(2);
        last = value();
        if (!last) return wrong();
        if (*last < *first) return bad(fmt::format("the range of the {} goes backwards", what));
      }
      unsigned step = 1;
      const bool stepped = text.starts_with("/");
      if (stepped) {
        text.remove_prefix(1);
        const auto read = number(text);
        if (!read || *read == 0 || *read > max) return wrong();
        step = *read;
      }
      const bool open = stepped && !range;
      const unsigned begin = open && down ? min : *first, end = open && !down ? max : *last;
      const unsigned steps = (end - begin) / step;
      // Where a step leads nowhere it is one value, and is written as such: systemd takes no such step.
      if (steps == 0)
        field.spans.push_back({.first = static_cast<std::uint16_t>(*first), .last = static_cast<std::uint16_t>(*first)});
      else
        field.spans.push_back({.first = static_cast<std::uint16_t>(*first),
                               .last = static_cast<std::uint16_t>(open ? end : begin + steps * step),
                               .step = static_cast<std::uint16_t>(step),
                               .open = open});
      for (unsigned i = 0; i <= steps; ++i) set(open && down ? *first - i * step : begin + i * step);
      if (text.empty()) break;
      if (text.front() != ',') return wrong();
      text.remove_prefix(1);
    }
    std::sort(field.spans.begin(), field.spans.end(), [](const Span& a, const Span& b) { return a.first < b.first; });
    // systemd takes three days less for each further item of such a list.
    for (std::size_t i = 1; down && i < field.spans.size(); ++i)
      if (std::max(field.spans[i].first, field.spans[i].last) + 3 * i > kDayFromEndMax)
        return bad(fmt::format("item {} of the days from the end, {}, is more than {}, which is all that systemd takes there; make it a range, or two plans",
                               i + 1, std::max(field.spans[i].first, field.spans[i].last), kDayFromEndMax - 3 * i));
    return field;
  }

  std::string_view text_;
  Calendar calendar_;
};

Result<Calendar> Calendar::parse(std::string_view text) { return Parser(text).parse(); }

std::string Calendar::systemd_form() const {
  std::string form;
  if (weekdays_ != 0x7f) {
    for (unsigned day = 0; day < 7;) {
      if (!(weekdays_ >> day & 1)) {
        ++day;
        continue;
      }
      unsigned last = day;
      while (last + 1 < 7 && (weekdays_ >> (last + 1) & 1)) ++last;
      if (!form.empty()) form += ",";
      form += kWeekdays[day].substr(0, 3);
      if (last > day) form.append(last > day + 1 ? ".." : ",").append(kWeekdays[last].substr(0, 3));
      day = last + 1;
    }
    form += " ";
  }
  const auto add = [&](const Field& field, const char* separator) {
    if (field.spans.empty()) form += "*";
    for (const Span& span : field.spans) {
      if (&span != &field.spans.front()) form += ",";
      form += fmt::format("{:02}", span.first);
      if (span.last != span.first && !span.open) form += fmt::format("..{:02}", span.last);
      if (span.open || span.step != 1) form += fmt::format("/{}", span.step);
    }
    form += separator;
  };
  add(year_, "-");
  add(month_, day_from_end_ ? "~" : "-");
  add(day_, " ");
  add(hour_, ":");
  add(minute_, ":");
  add(second_, "");
  return form;
}

bool Calendar::happens_on(sys_days day) const {
  const std::chrono::year_month_day date(day);
  const unsigned month = static_cast<unsigned>(date.month());
  if (!(month_.bits >> month & 1)) return false;
  if (!(weekdays_ >> (std::chrono::weekday(day).iso_encoding() - 1) & 1)) return false;
  unsigned number = static_cast<unsigned>(date.day());
  if (day_from_end_) {
    const std::chrono::year_month_day_last end(date.year() / date.month() / std::chrono::last);
    number = static_cast<unsigned>(end.day()) - number + 1;
  }
  if (!(day_.bits >> number & 1)) return false;
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  return year_.spans.empty() || std::any_of(year_.spans.begin(), year_.spans.end(), [&](const Span& span) {
           return year >= span.first && year <= span.last && (year - span.first) % span.step == 0;
         });
}

std::optional<seconds> Calendar::time_from(seconds from) const {
  const std::chrono::hh_mm_ss time(from);
  const int h = static_cast<int>(time.hours().count()), m = static_cast<int>(time.minutes().count()),
            s = static_cast<int>(time.seconds().count());
  const auto at = [](int hour, int minute, int second) { return seconds(hour * 3600 + minute * 60 + second); };
  const int minute = *bit_from(minute_.bits, 0), second = *bit_from(second_.bits, 0);
  if (hour_.bits >> h & 1) {
    if (minute_.bits >> m & 1) {
      if (const auto later = bit_from(second_.bits, s)) return at(h, m, *later);
    }
    if (const auto later = bit_from(minute_.bits, m + 1)) return at(h, *later, second);
  }
  if (const auto later = bit_from(hour_.bits, h + 1)) return at(*later, minute, second);
  return std::nullopt;
}

std::optional<seconds> Calendar::time_upto(seconds upto) const {
  const std::chrono::hh_mm_ss time(upto);
  const int h = static_cast<int>(time.hours().count()), m = static_cast<int>(time.minutes().count()),
            s = static_cast<int>(time.seconds().count());
  const auto at = [](int hour, int minute, int second) { return seconds(hour * 3600 + minute * 60 + second); };
  const int minute = *bit_upto(minute_.bits, 63), second = *bit_upto(second_.bits, 63);
  if (hour_.bits >> h & 1) {
    if (minute_.bits >> m & 1) {
      if (const auto earlier = bit_upto(second_.bits, s)) return at(h, m, *earlier);
    }
    if (const auto earlier = bit_upto(minute_.bits, m - 1)) return at(h, *earlier, second);
  }
  if (const auto earlier = bit_upto(hour_.bits, h - 1)) return at(*earlier, minute, second);
  return std::nullopt;
}

std::optional<Timestamp> Calendar::next(Timestamp after, const TimeZone& zone) const {
  const auto end = (last_day() + days(2)).time_since_epoch();
  if (seconds(after.seconds) > end) return std::nullopt;
  const Timestamp from{.seconds = std::max(after.seconds, seconds(first_day().time_since_epoch() - days(2)).count())};
  const auto wall = zone.wall(from).time_since_epoch();
  sys_days day(std::chrono::floor<days>(wall));
  seconds start = wall - day.time_since_epoch();
  if (day < first_day()) day = first_day(), start = seconds(0);
  for (; day <= last_day(); day += days(1), start = seconds(0)) {
    if (!happens_on(day)) continue;
    // Those that the clock jumps over, and those of an hour that comes again and is past, are left out.
    for (auto time = time_from(start); time; time = time_from(*time + seconds(1))) {
      const auto moment = zone.moment(WallTime(day.time_since_epoch() + *time));
      if (moment && *moment > after) return moment;
      if (*time + seconds(1) >= days(1)) break;
    }
  }
  return std::nullopt;
}

std::optional<Timestamp> Calendar::previous(Timestamp at, const TimeZone& zone) const {
  if (seconds(at.seconds) < first_day().time_since_epoch() - days(2)) return std::nullopt;
  const Timestamp from{.seconds = std::min(at.seconds, seconds((last_day() + days(2)).time_since_epoch()).count())};
  const auto wall = zone.latest_wall(from).time_since_epoch();
  sys_days day(std::chrono::floor<days>(wall));
  seconds start = wall - day.time_since_epoch();
  if (day > last_day()) day = last_day(), start = days(1) - seconds(1);
  for (; day >= first_day(); day -= days(1), start = days(1) - seconds(1)) {
    if (!happens_on(day)) continue;
    for (auto time = time_upto(start); time; time = time_upto(*time - seconds(1))) {
      const auto moment = zone.moment(WallTime(day.time_since_epoch() + *time));
      if (moment && *moment <= at) return moment;
      if (*time == seconds(0)) break;
    }
  }
  return std::nullopt;
}

}  // namespace coppice::policy
