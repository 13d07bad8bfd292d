#include "storage/object_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "foundation/encoding.h"

namespace coppice::storage {
namespace {

constexpr std::size_t kObjectNameBytesMax = 255;

bool is_segment_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// "." and ".." start with a dot, so they need no rule of their own.
bool is_segment(std::string_view text) {
  return !text.empty() && text.front() != '.' && std::ranges::all_of(text, is_segment_character);
}

}  // namespace

Result<> check_object_name(std::string_view name) {
  const auto refused = [&] {
    return fail(ErrorKind::kInvalid, fmt::format("not an object name: {}", render_printable(name.substr(0, kObjectNameBytesMax))));
  };
  if (name.size() > kObjectNameBytesMax) return refused();
  for (std::string_view rest = name;;) {
    const std::size_t slash = rest.find('/');
    if (!is_segment(rest.substr(0, slash))) return refused();
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

Result<> check_list_prefix(std::string_view prefix) {
  if (prefix.empty()) return {};
  if (!prefix.ends_with('/'))
    return fail(ErrorKind::kInvalid, fmt::format("list prefix does not end in '/': {}", render_printable(prefix)));
  return check_object_name(prefix.substr(0, prefix.size() - 1));
}

Result<> ObjectStore::put_paced(std::string_view name, ByteSpan bytes, const Pace& pace) {
  for (std::size_t at = 0; at < bytes.size(); at += kPaceBytes) pace(std::min(kPaceBytes, bytes.size() - at));
  return put(name, bytes);
}

Result<bool> is_taken(ObjectStore& store, const std::string& name) {
  const Result<std::uint64_t> size = store.size(name);
  if (size || size.error().kind() == ErrorKind::kInvalid || size.error().kind() == ErrorKind::kDenied) return true;
  if (size.error().kind() == ErrorKind::kNotFound) return false;
  return std::unexpected(size.error().within(name));
}

Result<> put_or_confirm(ObjectStore& store, std::string_view name, ByteSpan bytes, const Pace& pace) {
  Result<> put = pace ? store.put_paced(name, bytes, pace) : store.put(name, bytes);
  if (put || (put.error().kind() != ErrorKind::kConflict && put.error().kind() != ErrorKind::kUnavailable)) return put;
  const Result<Bytes> stored = store.get(name, bytes.size());
  if (stored && equal(*stored, bytes)) return {};
  // Larger than mine (kInvalid) is another's as surely as different bytes are.
  if (stored || stored.error().kind() == ErrorKind::kInvalid)
    return fail(ErrorKind::kConflict, fmt::format("{}: the name is taken by other bytes", name));
  return put;
}

}  // namespace coppice::storage
