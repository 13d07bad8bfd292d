// What a host keeps of its plans' runs, what a person types for a snapshot, and what a vault says of itself before any key is there.
#pragma once

#include "foundation/check.h"
#include "fuzz/named_decoder.h"
#include "storage/memory_store.h"
#include "tasks/plan_state.h"
#include "tasks/snapshot_ref.h"
#include "tasks/vault_access.h"

namespace coppice::tasks::fuzz {

inline bool plan_state(ByteSpan in) {
  const auto state = parse_plan_state(as_text(in));
  if (!state) return false;
  const auto again = parse_plan_state(render_plan_state(*state));
  CHECK(again.has_value() && *again == *state);
  return true;
}

inline bool snapshot_ref(ByteSpan in) {
  const auto ref = parse_snapshot_ref(as_text(in));
  if (!ref) return false;
  CHECK(!ref->has_path || (ref->path.starts_with('/') && *clean_snapshot_path(ref->path) == ref->path));
  return true;
}

inline bool claimed_anchor(ByteSpan in) {
  storage::MemoryStore store;
  CHECK(store.put(format::kVaultObject, in).has_value());
  return read_claimed_anchor(store).has_value();
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {
    {"plan_state", plan_state}, {"snapshot_ref", snapshot_ref}, {"claimed_anchor", claimed_anchor}};

}  // namespace coppice::tasks::fuzz
