// Patterns are cut into path components when they are added, each of the simplest kind that it fits, so that matching
// is mostly comparing bytes. Two greedy matchers, one inside the other, do the rest: "*" within a component, "**" over
// components. Both go back only to their last star: what an earlier one could take instead leaves less for the rest,
// never more. So a pair of pattern byte and path byte is looked at once at most.
//
// Where gitignore(5) and git's own code differ, the page holds: git (before 2.53) compares the text before the first
// special character apart and so takes "foo**/bar" for "foo" and then any directories; here, as the page says, "**" is
// special only as a whole component.
#include "policy/patterns.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "foundation/encoding.h"

namespace coppice::policy {

namespace {
constexpr std::size_t kPatternBytesMax = 4096;

// [:alpha:] and the like: of ASCII only, whatever the locale.
bool in_class(std::string_view name, unsigned char c, bool& known) {
  auto between = [&](char low, char high) {
    return c >= static_cast<unsigned char>(low) && c <= static_cast<unsigned char>(high);
  };
  bool digit = between('0', '9'), lower = between('a', 'z'), upper = between('A', 'Z');
  bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r', print = c >= 0x20 && c <= 0x7e;
  known = true;
  if (name == "alnum") return digit || lower || upper;
  if (name == "alpha") return lower || upper;
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "cntrl") return c < 0x20 || c == 0x7f;
  if (name == "digit") return digit;
  if (name == "graph") return print && !space;
  if (name == "lower") return lower;
  if (name == "print") return print;
  if (name == "punct") return print && !space && !digit && !lower && !upper;
  if (name == "space") return space;
  if (name == "upper") return upper;
  if (name == "xdigit") return digit || between('a', 'f') || between('A', 'F');
  known = false;
  return false;
}

// Reads the bracket expression at text[at] ('['); the position after its ']', nothing when it is unclosed or names an
// unknown class.
std::optional<std::size_t> parse_set(std::string_view text, std::size_t at, std::bitset<256>& set) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  ++at;
  bool negated = at < text.size() && (text[at] == '!' || text[at] == '^');
  if (negated) ++at;
  unsigned previous = 0;  // what a '-' that follows would range from; 0: nothing
  for (bool first = true;; first = false, ++at) {
    if (at >= text.size()) return std::nullopt;
    unsigned current = byte(at);
    if (current == ']' && !first) break;
    if (current == '\\') {
      if (++at >= text.size()) return std::nullopt;
      current = byte(at);
      set.set(current);
    } else if (current == '-' && previous != 0 && at + 1 < text.size() && text[at + 1] != ']') {
      if (text[++at] == '\\' && ++at >= text.size()) return std::nullopt;
      for (unsigned c = previous; c <= byte(at); ++c) set.set(c);
      current = 0;
    } else if (current == '[' && at + 1 < text.size() && text[at + 1] == ':') {
      std::size_t begin = at + 2, close = text.find(']', begin);
      if (close == std::string_view::npos) return std::nullopt;
      if (close == begin || text[close - 1] != ':') {
        set.set('[');  // not a class: a '[' like any other
      } else {
        std::string_view name = text.substr(begin, close - 1 - begin);
        bool known = false;
        for (unsigned c = 0; c < 256; ++c) {
          if (in_class(name, static_cast<unsigned char>(c), known)) set.set(c);
        }
        if (!known) return std::nullopt;
        at = close;
        current = 0;
      }
    } else {
      set.set(current);
    }
    previous = current;
  }
  if (negated) set.flip();
  return at + 1;
}

std::string_view without_slashes(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  while (path.starts_with('/')) path.remove_prefix(1);
  return path;
}

// Blanks at the end count only behind a backslash.
std::string_view without_trailing_blanks(std::string_view line) {
  std::size_t keep = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == ' ') continue;
    if (line[i] == '\\' && ++i == line.size()) return line;
    keep = i + 1;
  }
  return line.substr(0, keep);
}
}  // namespace

Result<> PatternList::add(std::string_view pattern) {
  auto invalid = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid,
                fmt::format("pattern \"{}\" can match nothing: {}", render_printable(pattern.substr(0, 80)), why));
  };
  if (pattern.size() > kPatternBytesMax) return invalid(fmt::format("it is longer than {} bytes", kPatternBytesMax));
  if (pattern.find('\0') != std::string_view::npos) return invalid("no path holds a NUL");
  Rule rule{.first = static_cast<std::uint32_t>(segments_.size())};
  std::string_view rest = pattern;
  if (rest.starts_with('!')) {
    rule.negated = true;
    rest.remove_prefix(1);
  }
  if (rest.ends_with('/')) {
    rule.directory_only = true;
    rest.remove_suffix(1);
  }
  rule.anchored = rest.find('/') != std::string_view::npos;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) return invalid("it is empty");

  // Everything is parsed before anything is kept: a bad pattern leaves the list as it was.
  std::vector<std::vector<Token>> components(1);
  std::vector<ByteSet> sets;
  for (std::size_t at = 0; at < rest.size();) {
    auto& tokens = components.back();
    char c = rest[at++];
    if (c == '\\') {
      if (at == rest.size()) return invalid("nothing follows its backslash");
      c = rest[at++];
      if (c != '/') {
        tokens.push_back({.kind = Token::Kind::kByte, .byte = static_cast<unsigned char>(c)});
        continue;
      }
    }
    if (c == '/') {
      components.emplace_back();
    } else if (c == '?') {
      tokens.push_back({.kind = Token::Kind::kOne});
    } else if (c == '*') {
      tokens.push_back({.kind = Token::Kind::kStar});
    } else if (c == '[') {
      ByteSet set;
      auto end = parse_set(rest, at - 1, set);
      if (!end) return invalid("its \"[\" is not closed, or holds an unknown class");
      tokens.push_back({.kind = Token::Kind::kSet, .set = static_cast<std::uint32_t>(sets_.size() + sets.size())});
      sets.push_back(set);
      at = *end;
    } else {
      tokens.push_back({.kind = Token::Kind::kByte, .byte = static_cast<unsigned char>(c)});
    }
  }
  for (const auto& tokens : components) {
    auto is_dot = [](const Token& token) { return token.kind == Token::Kind::kByte && token.byte == '.'; };
    if (tokens.empty()) return invalid("it has an empty component");
    if (tokens.size() <= 2 && std::all_of(tokens.begin(), tokens.end(), is_dot))
      return invalid("paths hold no \".\" or \"..\"");
  }
  sets_.insert(sets_.end(), sets.begin(), sets.end());
  for (const auto& tokens : components) add_segment(tokens);
  rule.count = static_cast<std::uint32_t>(segments_.size()) - rule.first;
  if (!rule.anchored && segments_[rule.first].kind == Segment::Kind::kDeep)
    segments_[rule.first].kind = Segment::Kind::kAny;
  if (rule.anchored && rule.count == 2 && segments_[rule.first].kind == Segment::Kind::kDeep) {
    // "**/x" is "x" at any depth: only the last component need be looked at.
    rule.anchored = false;
    ++rule.first;
    rule.count = 1;
    if (segments_[rule.first].kind == Segment::Kind::kDeep) segments_[rule.first].kind = Segment::Kind::kAny;
  }
  rules_.push_back(rule);
  return {};
}

void PatternList::add_segment(const std::vector<Token>& tokens) {
  auto is = [&](std::size_t i, Token::Kind kind) { return tokens[i].kind == kind; };
  auto bytes_in = [&](std::size_t begin, std::size_t end) {
    return std::all_of(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                       tokens.begin() + static_cast<std::ptrdiff_t>(end),
                       [](const Token& token) { return token.kind == Token::Kind::kByte; });
  };
  auto keep_text = [&](Segment::Kind kind, std::size_t begin, std::size_t end) {
    const Token& edge = kind == Segment::Kind::kSuffix ? tokens[end - 1] : tokens[begin];
    segments_.push_back({.kind = kind,
                         .edge = static_cast<char>(edge.byte),
                         .begin = static_cast<std::uint32_t>(text_.size()),
                         .length = static_cast<std::uint32_t>(end - begin)});
    for (std::size_t i = begin; i < end; ++i) text_.push_back(static_cast<char>(tokens[i].byte));
  };
  std::size_t n = tokens.size();
  if (std::all_of(tokens.begin(), tokens.end(), [](const Token& token) { return token.kind == Token::Kind::kStar; })) {
    segments_.push_back({.kind = n == 1 ? Segment::Kind::kAny : Segment::Kind::kDeep});
  } else if (bytes_in(0, n)) {
    keep_text(Segment::Kind::kLiteral, 0, n);
  } else if (is(n - 1, Token::Kind::kStar) && bytes_in(0, n - 1)) {
    keep_text(Segment::Kind::kPrefix, 0, n - 1);
  } else if (is(0, Token::Kind::kStar) && bytes_in(1, n)) {
    keep_text(Segment::Kind::kSuffix, 1, n);
  } else {
    segments_.push_back({.kind = Segment::Kind::kGlob,
                         .begin = static_cast<std::uint32_t>(tokens_.size()),
                         .length = static_cast<std::uint32_t>(n)});
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
}

Result<> PatternList::add_lines(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with('#')) continue;
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = without_trailing_blanks(line);
    if (line.empty()) continue;
    TRY(within(add(line), fmt::format("line {}", number)));
  }
  return {};
}

bool PatternList::segment_matches(const Segment& segment, std::string_view component) const {
  std::string_view text(text_.data() + segment.begin, segment.length);
  switch (segment.kind) {
    case Segment::Kind::kLiteral:
      return component == text;
    case Segment::Kind::kPrefix:
      return component.starts_with(text);
    case Segment::Kind::kSuffix:
      return component.ends_with(text);
    case Segment::Kind::kAny:
    case Segment::Kind::kDeep:
      return true;
    case Segment::Kind::kGlob:
      break;
  }
  const Token* token = tokens_.data() + segment.begin;
  const Token* const end = token + segment.length;
  const Token* after_star = nullptr;
  std::size_t at = 0, star_at = 0;
  while (at < component.size()) {
    auto c = static_cast<unsigned char>(component[at]);
    if (token != end && token->kind == Token::Kind::kStar) {
      after_star = ++token;
      star_at = at;
    } else if (token != end && (token->kind == Token::Kind::kByte  ? token->byte == c
                                : token->kind == Token::Kind::kSet ? sets_[token->set].test(c)
                                                                   : true)) {
      ++token;
      ++at;
    } else if (after_star != nullptr) {
      token = after_star;
      at = ++star_at;
    } else {
      return false;
    }
  }
  while (token != end && token->kind == Token::Kind::kStar) ++token;
  return token == end;
}

bool PatternList::path_matches(const Rule& rule, std::string_view path) const {
  const Segment* segment = segments_.data() + rule.first;
  const Segment* const end = segment + rule.count;
  const Segment* after_deep = nullptr;  // where to go on when the last "**" takes one component more
  std::size_t at = 0, deep_at = 0;      // at == path.size() + 1: nothing is left of the path
  for (;;) {
    bool left = at <= path.size();
    if (segment == end) {
      if (!left) return true;
    } else if (segment->kind == Segment::Kind::kDeep) {
      if (segment + 1 == end) {
        if (left) return true;  // "a/**" is what lies in a, not a
      } else {
        after_deep = ++segment;
        deep_at = at;
        continue;
      }
    } else if (left) {
      std::size_t slash = std::min(path.find('/', at), path.size());
      if (segment_matches(*segment, path.substr(at, slash - at))) {
        at = slash + 1;
        ++segment;
        continue;
      }
    }
    if (after_deep == nullptr || deep_at > path.size()) return false;
    std::size_t slash = path.find('/', deep_at);
    if (slash == std::string_view::npos) return false;
    at = deep_at = slash + 1;
    segment = after_deep;
  }
}

PatternList::Verdict PatternList::verdict(std::string_view path, bool is_directory) const {
  path = without_slashes(path);
  if (path.empty()) return Verdict::kNone;  // the root itself
  std::string_view last = path.substr(path.rfind('/') + 1);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->directory_only && !is_directory) continue;
    const Segment& first = segments_[rule->first];
    if (first.kind == Segment::Kind::kLiteral || first.kind == Segment::Kind::kPrefix) {
      if ((rule->anchored ? path : last).front() != first.edge) continue;
    } else if (first.kind == Segment::Kind::kSuffix && !rule->anchored) {
      if (last.back() != first.edge) continue;
    }
    bool matched = rule->anchored ? path_matches(*rule, path) : segment_matches(first, last);
    if (matched) return rule->negated ? Verdict::kNegated : Verdict::kMatch;
  }
  return Verdict::kNone;
}

bool PatternList::may_match_below(std::string_view path) const {
  path = without_slashes(path);
  auto may = [&](const Rule& rule) {
    if (rule.negated) return false;
    if (!rule.anchored) return true;
    std::string_view rest = path;
    for (std::uint32_t i = 0; i < rule.count; ++i) {
      const Segment& segment = segments_[rule.first + i];
      if (rest.empty() || segment.kind == Segment::Kind::kDeep)
        return true;  // what is left of the pattern may lie below
      std::string_view component = rest.substr(0, rest.find('/'));
      if (!segment_matches(segment, component)) return false;
      rest.remove_prefix(std::min(rest.size(), component.size() + 1));
    }
    return false;  // all of the pattern lies at or above the path
  };
  return std::any_of(rules_.begin(), rules_.end(), may);
}

}  // namespace coppice::policy
