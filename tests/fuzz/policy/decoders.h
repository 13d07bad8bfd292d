// Patterns and the paths that they meet: the lines of an exclude file up to the first NUL, then a path.
#pragma once

#include <string>

#include "foundation/check.h"
#include "fuzz/named_decoder.h"
#include "policy/patterns.h"

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

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {{"patterns", patterns}};

}  // namespace coppice::policy::fuzz
