// Beginning a session (docs/ARCHITECTURE.md, "Sessions"): the claim of a slot, decided by put-if-absent alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "format/snapshot.h"
#include "storage/object_store.h"

namespace coppice::packs {

// The first session of `after.generation`, from `after` on, that nobody has begun: `after` is the first behind all valid commits that are
// known. Sessions are begun one after the other, so what else stands beyond a free one (a name that a vandal put far ahead) is none, and
// moves no session to come. A number whose claim was lost and whose commit or packs are there is taken.
Result<format::SessionId> find_free_session(storage::ObjectStore& store, format::SessionId after);

// What follows the last number is the first: then the first free one has to do.
inline format::SessionId session_after(format::SessionId session) { return {session.generation, session.slot + 1}; }

struct ClaimedSlot {
  format::SessionId session;
  std::vector<std::string> notices;   // slots before it that hold no claim, and why
};

// Claims the first free slot of `after.generation`, from `after` on: a slot is tried only after the one before it was read. `make_claim` returns the whole
// signed object for a slot; `is_claim` judges another's. Durable on return.
//
// A name is never reused, so whatever stands at a slot takes it for ever: garbage there (damage, a bad sector, or the work of a vandal) is
// told and passed over, because stopping for it would let one flipped bit stop every writer. kUnavailable and the like: the store does not
// even say whether there is anything at the slot before ours.
Result<ClaimedSlot> claim_slot(storage::ObjectStore& store, format::SessionId after,
                               const std::function<Bytes(format::SessionId)>& make_claim,
                               const std::function<Result<>(format::SessionId, ByteSpan)>& is_claim);

}  // namespace coppice::packs
