#include "packs/session.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace coppice::packs {
namespace {

// Whether a session has been at work under this number: its claim may have been lost since.
Result<bool> has_traces(storage::ObjectStore& store, format::SessionId session) {
  if (TRY(storage::is_taken(store, format::slot_object(session))) || TRY(storage::is_taken(store, format::snapshot_object(session)))) return true;
  bool found = false;
  for (const char* kind : {"packs", "trees", "index"}) {
    const std::string prefix = fmt::format("{}/{}/{}/", kind, session.generation, session.slot);
    TRY(store.list(prefix, [&](const storage::ObjectInfo& object) -> Result<> {
      found = found || object.name.starts_with(prefix);
      return {};
    }));
  }
  return found;
}

}  // namespace

Result<format::SessionId> find_free_session(storage::ObjectStore& store, format::SessionId after) {
  std::vector<std::uint32_t> listed;
  const std::string prefix = format::slot_object(after);
  TRY(store.list(prefix.substr(0, prefix.rfind('/') + 1), [&](const storage::ObjectInfo& object) -> Result<> {
    if (const auto id = format::parse_slot_object(object.name); id && id->generation == after.generation) listed.push_back(id->slot);
    return {};
  }));
  std::ranges::sort(listed);
  const auto last = std::ranges::unique(listed).begin();
  format::SessionId free = after;
  // The list is a hint: what it lacks is asked for.
  for (auto it = listed.begin();; ++free.slot) {
    while (it != last && *it < free.slot) ++it;
    if (it != last && *it == free.slot) continue;
    if (!TRY(has_traces(store, free))) return free;
    if (free.slot == UINT32_MAX) return fail(ErrorKind::kCorrupt, "no session number is free");
  }
}

Result<ClaimedSlot> claim_slot(storage::ObjectStore& store, format::SessionId after,
                               const std::function<Bytes(format::SessionId)>& make_claim,
                               const std::function<Result<>(format::SessionId, ByteSpan)>& is_claim) {
  ClaimedSlot claimed;
  std::uint32_t slot = TRY(within(find_free_session(store, after), "looking for a free session")).slot;
  const std::uint32_t generation = after.generation;
  for (;; ++slot) {
    if (slot > after.slot) {
      const format::SessionId before{generation, slot - 1};
      const std::string name = format::slot_object(before);
      const Result<Bytes> object = store.get(name, format::kControlObjectBytesMax);
      if (!object && object.error().kind() == ErrorKind::kNotFound && !TRY(has_traces(store, before))) {
        slot -= 2;  // it was listed and is not there: step back
        continue;
      }
      // What is too large to be one, is no file or not ours, or cannot be read (a bad sector) and yet is there, stands at its slot like any
      // other garbage.
      if (!object && object.error().kind() != ErrorKind::kNotFound) {
        const Result<bool> taken = storage::is_taken(store, name);
        if (!taken || !*taken) return std::unexpected(object.error().within("reading the claim before ours"));
      }
      if (const Result<> judged = object ? is_claim(before, *object) : std::unexpected(object.error()); !judged)
        claimed.notices.push_back(name + (object ? " holds no claim" : " cannot be read") + ", and was passed over: " + judged.error().message());
    }
    claimed.session = {generation, slot};
    const Result<> put = storage::put_or_confirm(store, format::slot_object(claimed.session), make_claim(claimed.session));
    if (put) return claimed;
    if (put.error().kind() != ErrorKind::kConflict) return std::unexpected(put.error().within("claiming a session"));
  }
}

}  // namespace coppice::packs
