// Names of users and groups. The first look at an id asks the name service under the lock (it may be a network away, so
// each id is asked once, known or not); later looks read one atomic pointer.
#include <grp.h>
#include <pwd.h>

#include <cerrno>

#include "capture/metadata.h"

namespace coppice::capture {

namespace {
constexpr std::size_t kRecordBytesMax = 1u << 20;  // a group with very many members

// getpwuid_r and getgrgid_r in one: grows the buffer until the record fits. Empty when there is none or the service
// fails.
template <class Record, class Function>
std::string name_of(std::uint32_t id, Function function, char* Record::*name) {
  std::vector<char> buffer(1024);
  for (;;) {
    Record record;
    Record* found = nullptr;
    int error = function(id, &record, buffer.data(), buffer.size(), &found);
    if (error == EINTR) continue;
    if (error == ERANGE && buffer.size() < kRecordBytesMax) {
      buffer.resize(buffer.size() * 4);
      continue;
    }
    return error == 0 && found != nullptr ? std::string(record.*name) : std::string();
  }
}
}  // namespace

template <class LookUp>
const std::string& OwnerNames::find(std::uint32_t id, Recent& recent, Known& known, LookUp look_up) {
  auto& slot = recent[id % recent.size()];
  const auto* hit = slot.load(std::memory_order_acquire);
  if (hit != nullptr && hit->first == id) return hit->second;
  MutexLock lock(mutex_);
  auto it = known.find(id);
  if (it == known.end()) it = known.emplace(id, look_up(id)).first;
  slot.store(&*it, std::memory_order_release);
  return it->second;
}

const std::string& OwnerNames::user(std::uint32_t uid) {
  return find(uid, recent_users_, users_,
              [](std::uint32_t id) { return name_of<::passwd>(id, ::getpwuid_r, &::passwd::pw_name); });
}

const std::string& OwnerNames::group(std::uint32_t gid) {
  return find(gid, recent_groups_, groups_,
              [](std::uint32_t id) { return name_of<::group>(id, ::getgrgid_r, &::group::gr_name); });
}

}  // namespace coppice::capture
