// Which paths are meant: gitignore syntax (gitignore(5)), as a pure function of strings. Used for excludes, and for
// choosing what to restore or find.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/result.h"

namespace coppice::policy {

// Rules in order; the last that matches decides. "!" takes a path out again, a trailing "/" means directories only, a
// "/" at the start or in the middle ties the rule to the root of the rules (here "/" of the source tree: absolute
// paths), else it matches at any depth.
// *, ?, [a-z], [!a], \x and ** as in git. Bytes, not characters. Matching is linear in pattern x path: no catastrophic
// backtracking.
class PatternList {
 public:
  // kInvalid for a pattern that can match nothing (empty, lone "!", unclosed "[", a backslash at the end, a component
  // that is empty or "." or "..", a NUL, longer than 4096 bytes): a rule that silently does nothing is a file that
  // somebody did not mean to keep. "#" is a character like others here.
  Result<> add(std::string_view pattern);
  // Lines as of an exclude file: "#" comments, blank lines, trailing blanks cut unless escaped, CRLF accepted. Errors
  // name the line.
  Result<> add_lines(std::string_view text);
  bool empty() const { return rules_.empty(); }
  enum class Verdict { kNone, kMatch, kNegated };
  // Of this path alone ("/etc/fstab"); the caller prunes a matched directory, as git does.
  Verdict verdict(std::string_view path, bool is_directory) const;
  bool matches(std::string_view path, bool is_directory) const {
    return verdict(path, is_directory) == Verdict::kMatch;
  }
  // Whether anything below the directory `path` may match though `path` itself does not (for choosing: false lets the
  // walk prune).
  bool may_match_below(std::string_view path) const;

 private:
  // One path component of a pattern; what it compares with lies in text_ (literal bytes) or tokens_ (kGlob).
  struct Segment {
    enum class Kind : std::uint8_t {
      kLiteral,
      kPrefix,
      kSuffix,
      kAny,
      kGlob,
      kDeep
    };  // abc, abc*, *abc, *, a?[b-d]*, **
    Kind kind = Kind::kAny;
    char edge = 0;  // first byte of kLiteral and kPrefix, last of kSuffix: most comparisons end here
    std::uint32_t begin = 0, length = 0;
  };
  struct Token {
    enum class Kind : std::uint8_t { kByte, kOne, kSet, kStar };
    Kind kind = Kind::kByte;
    unsigned char byte = 0;
    std::uint32_t set = 0;  // in sets_
  };
  using ByteSet = std::bitset<256>;
  struct Rule {
    std::uint32_t first = 0, count = 0;  // in segments_; anchored: all of the path, else the last component only
    bool negated = false, directory_only = false, anchored = false;
  };
  void add_segment(const std::vector<Token>& tokens);
  bool segment_matches(const Segment& segment, std::string_view component) const;
  bool path_matches(const Rule& rule, std::string_view path) const;

  std::vector<Rule> rules_;
  std::vector<Segment> segments_;
  std::vector<Token> tokens_;
  std::vector<ByteSet> sets_;
  std::string text_;
};

}  // namespace coppice::policy
