#include "foundation/result.h"

#include <cerrno>
#include <cstring>

namespace coppice {

std::string_view error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound: return "not_found";
    case ErrorKind::kCorrupt: return "corrupt";
    case ErrorKind::kUnauthentic: return "unauthentic";
    case ErrorKind::kUnavailable: return "unavailable";
    case ErrorKind::kExhausted: return "exhausted";
    case ErrorKind::kConflict: return "conflict";
    case ErrorKind::kDenied: return "denied";
    case ErrorKind::kUnsupported: return "unsupported";
    case ErrorKind::kInvalid: return "invalid";
    case ErrorKind::kCancelled: return "cancelled";
  }
  return "unknown";
}

Error Error::within(std::string_view context) const& {
  return Error(*this).within(context);
}

Error Error::within(std::string_view context) && {
  // Two levels that both name the object would name it twice.
  const bool said = message_.starts_with(context) && message_.compare(context.size(), 2, ": ") == 0;
  if (!said) message_.insert(0, ": ").insert(0, context);
  return Error(kind_, std::move(message_));
}

Error errno_error(int error_number, std::string_view what) {
  ErrorKind kind = ErrorKind::kUnavailable;
  switch (error_number) {
    case ENOENT: case ENOTDIR: kind = ErrorKind::kNotFound; break;
    case ENOSPC: case EDQUOT: case EMFILE: case ENFILE: case ENOMEM: kind = ErrorKind::kExhausted; break;
    case EACCES: case EPERM: case EROFS: kind = ErrorKind::kDenied; break;
    case EEXIST: kind = ErrorKind::kConflict; break;
    case EINVAL: case ENAMETOOLONG: case ELOOP: case EISDIR: kind = ErrorKind::kInvalid; break;
    case EOPNOTSUPP: case ENOSYS: case ENOTTY: kind = ErrorKind::kUnsupported; break;
    default: break;
  }
  char text[128];
  return Error(kind, std::string(what) + ": " + strerror_r(error_number, text, sizeof text));
}

}  // namespace coppice
