// Absolute paths as text.
#pragma once

#include <string_view>

namespace coppice::policy {

// `inner` is `outer`, or lies in it.
inline bool lies_in(std::string_view inner, std::string_view outer) {
  while (outer.size() > 1 && outer.back() == '/') outer.remove_suffix(1);
  if (outer == "/") return true;
  return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/');
}

}  // namespace coppice::policy
