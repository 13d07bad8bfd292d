// Beginning a session (docs/ARCHITECTURE.md, "Sessions"): the claim of a slot, decided by put-if-absent alone.
#pragma once

#include <functional>

#include "format/snapshot.h"
#include "storage/object_store.h"

namespace coppice::packs {

// Claims the first free slot of `generation`: a slot is tried only after the one before it was read and found to be a claim.
// `make_claim` returns the whole signed object for a slot; `is_claim` judges another's. Durable on return.
// kCorrupt when a slot holds something that is no claim.
Result<format::SessionId> claim_slot(storage::ObjectStore& store, std::uint32_t generation,
                                     const std::function<Bytes(format::SessionId)>& make_claim,
                                     const std::function<Result<>(format::SessionId, ByteSpan)>& is_claim);

}  // namespace coppice::packs
