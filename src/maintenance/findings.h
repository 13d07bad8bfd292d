// What a check has found so far. One finding for each (object, block), however many roads lead to it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "format/ids.h"
#include "foundation/mutex.h"
#include "maintenance/check.h"

namespace coppice::maintenance {

// Thread-safe.
class Findings {
 public:
  using Id = std::uint32_t;

  explicit Findings(std::uint64_t path_bytes) : path_bytes_left_(path_bytes) {}

  // The id of the finding, the one of before when that object (and block) was found bad already. Nothing when there are
  // too many findings to keep one more: it is counted all the same.
  std::optional<Id> add(Severity severity, std::string object, const Error& error,
                        std::optional<std::uint32_t> block = {});
  std::optional<Id> add_pack(const format::PackName& pack, const Error& error);
  std::optional<Id> add_block(const format::Birth& birth, const Error& error);

  // The finding that says `birth` cannot be read, if there is one.
  std::optional<Id> of(const format::Birth& birth) const;
  bool any_bad_block() const;
  // Packs that are damaged, or one of whose blocks is, also beyond what findings there is room for. What a key or this machine's limits
  // kept from being read is no damage.
  std::vector<format::PackName> damaged_packs() const;
  std::optional<Id> of_object(const std::string& object) const;

  void touch_snapshot(Id finding, format::SessionId session);
  void touch_file(Id finding, std::string_view path);

  // An error once the store has failed so often that the rest of the check would say nothing but that.
  Result<> status() const;
  // What only forgotten snapshots need of the packs is no damage to anybody. `name_writer` says who stored a pack in that session.
  void move_into(CheckReport& report, const std::function<bool(format::SessionId)>& is_forgotten,
                 const std::function<void(format::SessionId, Finding&)>& name_writer);

 private:
  struct Record {
    Finding finding;
    std::optional<format::SessionId> pack_of;
    std::set<format::SessionId> snapshots;
    std::set<std::string, std::less<>> files;
  };
  void mark(const format::PackName& pack, const Error& error);

  mutable Mutex mutex_;
  std::vector<Record> records_ GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::int64_t>, Id> by_object_ GUARDED_BY(mutex_);
  std::map<format::PackName, Id> bad_packs_ GUARDED_BY(mutex_);
  std::map<format::Birth, Id> bad_blocks_ GUARDED_BY(mutex_);
  std::set<format::PackName> damaged_packs_ GUARDED_BY(mutex_);
  std::uint64_t damage_ GUARDED_BY(mutex_) = 0, information_ GUARDED_BY(mutex_) = 0,
                        unavailable_ GUARDED_BY(mutex_) = 0;
  std::uint64_t path_bytes_left_ GUARDED_BY(mutex_);
  std::optional<Error> last_unavailable_ GUARDED_BY(mutex_);
};

}  // namespace coppice::maintenance
