// Failure as a value. A kind exists because callers act on it; everything else goes into the message,
// to which each level adds what it was doing: "restoring /etc/fstab: packs/0/3/1: no such object".
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coppice {

enum class ErrorKind {
  kNotFound,
  kCorrupt,       // bytes disagree with themselves (checksum, shape); never retried into success
  kUnauthentic,   // bytes are whole but were not made by who they claim; never retried into success
  kUnavailable,   // the device or network failed just now; trying again may help
  kExhausted,     // no space, quota, memory or descriptors left
  kConflict,      // the name is taken by other bytes
  kDenied,        // permission, or the key at hand may not do this
  kUnsupported,   // a newer format or a missing facility; names both versions
  kInvalid,       // the request makes no sense
  kCancelled,
};

std::string_view error_kind_name(ErrorKind kind);

class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}
  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  // The same failure, told one level up: "<context>: <message>".
  Error within(std::string_view context) const&;
  Error within(std::string_view context) &&;

 private:
  ErrorKind kind_;
  std::string message_;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected<Error>(Error(kind, std::move(message)));
}
// Kind and text from errno: ENOENT is kNotFound, ENOSPC, EDQUOT, EMFILE, ENFILE and ENOMEM kExhausted, EACCES, EPERM and EROFS kDenied,
// EEXIST kConflict, anything else kUnavailable.
Error errno_error(int error_number, std::string_view what);
inline std::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  return std::unexpected<Error>(errno_error(error_number, what));
}

// `r` with `context` before its message when it is an error.
template <class T>
Result<T> within(Result<T> r, std::string_view context) {
  if (!r) return std::unexpected<Error>(std::move(r).error().within(context));
  return r;
}

namespace detail {
template <class T>
T take_value(Result<T>& r) {
  if constexpr (std::is_void_v<T>)
    return;
  else
    return std::move(*r);
}
}  // namespace detail

// auto pack = TRY(open_pack(id));  Keep it a whole initialiser or statement: inside a braced list GCC 12 forgets to
// destroy what was already built.
#define TRY(...)                                                                       \
  __extension__({                                                                      \
    auto try_result_ = (__VA_ARGS__);                                                  \
    if (!try_result_) [[unlikely]]                                                     \
      return std::unexpected<::coppice::Error>(std::move(try_result_).error());        \
    ::coppice::detail::take_value(try_result_);                                        \
  })

}  // namespace coppice
