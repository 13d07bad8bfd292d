#include "packs/session.h"

#include <algorithm>

namespace coppice::packs {

Result<ClaimedSlot> claim_slot(storage::ObjectStore& store, std::uint32_t generation,
                               const std::function<Bytes(format::SessionId)>& make_claim,
                               const std::function<Result<>(format::SessionId, ByteSpan)>& is_claim) {
  ClaimedSlot claimed;
  // The list is a hint: it only says where to start looking. Too far is impossible (a listed name exists), too early costs a few gets.
  std::uint32_t slot = 0;
  const std::string prefix = format::slot_object({generation, 0});
  TRY(store.list(prefix.substr(0, prefix.rfind('/') + 1), [&](const storage::ObjectInfo& object) -> Result<> {
    if (const auto id = format::parse_slot_object(object.name); id && id->generation == generation) slot = std::max(slot, id->slot + 1);
    return {};
  }));
  for (;; ++slot) {
    if (slot > 0) {
      const format::SessionId before{generation, slot - 1};
      const std::string name = format::slot_object(before);
      const Result<Bytes> object = store.get(name, format::kControlObjectBytesMax);
      if (!object && object.error().kind() == ErrorKind::kNotFound) {
        slot -= 2;  // the hint was wrong: step back
        continue;
      }
      // What is too large to be one, is no file or not ours, or cannot be read (a bad sector) and yet is there, stands at its slot like any
      // other garbage.
      const auto is_there = [&] {
        const ErrorKind kind = object.error().kind();
        return kind == ErrorKind::kInvalid || kind == ErrorKind::kDenied || store.size(name);
      };
      if (!object && !is_there())
        return std::unexpected(object.error().within("reading the claim before ours"));
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
