#include "format/keyring.h"

#include <algorithm>
#include <set>

#include "codec_internal.h"

namespace coppice::format {
namespace {

constexpr std::string_view kSlotMagic = "CPSLOT01";
constexpr std::size_t kMemberBytesMin = 16 + 2 + 1 + 1 + 32 + 32 + 2 + 1;

bool is_role(std::uint8_t v) { return v >= 1 && v <= 4; }
bool is_slot_kind(std::uint8_t v) { return v >= 1 && v <= 3; }

// Null when the roster keeps every rule that its encoding does not show.
const char* roster_breach(const Roster& roster) {
  if (roster.version == 0 && roster.previous != Digest{}) return "version 0 names a previous one";
  std::set<MemberId> ids;
  std::set<std::string_view> names;
  for (const Member& member : roster.members) {
    if (!is_role(static_cast<std::uint8_t>(member.role))) return "a member has an unknown role";
    if (!is_slot_kind(static_cast<std::uint8_t>(member.slot))) return "a member has an unknown kind of slot";
    if (member.name.empty() || member.name.size() > kMemberNameBytesMax || !is_printable_utf8(member.name))
      return "a member's name is not 1 to 64 bytes of printable UTF-8";
    if (!ids.insert(member.id).second) return "a member's id stands there twice";
    if (!member.revoked_from && !member.open_then.empty()) return "a member has void sessions and is not revoked";
    for (std::size_t i = 0; i < member.open_then.size(); ++i) {
      const SessionRange& range = member.open_then[i];
      const std::uint64_t end = std::uint64_t{range.first.slot} + range.count;
      const SessionId next = i + 1 < member.open_then.size() ? member.open_then[i + 1].first : *member.revoked_from;
      if (range.count == 0 || range.first.generation != next.generation || end + (i + 1 < member.open_then.size() ? 1 : 0) > next.slot)
        return "a member's void sessions do not ascend, or reach its revocation";
    }
    if (!member.revoked_from && !names.insert(member.name).second) return "two members bear one name";
  }
  for (std::size_t i = 1; i < roster.epochs.size(); ++i)
    if (roster.epochs[i - 1].number >= roster.epochs[i].number) return "its epochs do not ascend";
  return nullptr;
}

const char* slot_breach(const KeySlot& slot) {
  if (!is_slot_kind(static_cast<std::uint8_t>(slot.kind))) return "unknown kind of slot";
  if (!is_role(static_cast<std::uint8_t>(slot.role))) return "unknown role";
  const std::size_t wrapped = slot.wrapped_private.size();
  if (slot.kind == SlotKind::kPassphrase) {
    if (slot.argon2_memory_kib < kSlotArgon2MemoryKibMin || slot.argon2_memory_kib > kSlotArgon2MemoryKibMax ||
        slot.argon2_passes < 1 || slot.argon2_passes > kSlotArgon2PassesMax)
      return "the cost of its passphrase is out of bounds";
    if (wrapped != kSlotWrappedPassphraseBytes) return "the wrapped key has a wrong length";
  } else if (slot.argon2_memory_kib != 0 || slot.argon2_passes != 0 || slot.argon2_salt != std::array<std::byte, 16>{}) {
    return "a cost stands there without a passphrase";
  }
  if (slot.kind == SlotKind::kKeyFile && (wrapped == 0 || wrapped > kSlotWrappedBytesMax))
    return "the wrapped key has a wrong length";
  if (slot.kind == SlotKind::kRecipient && wrapped != 0) return "a recipient's slot holds a wrapped key";
  if (slot.sealed_bundle.empty() || slot.sealed_bundle.size() > kSlotBundleBytesMax)
    return "the length of the sealed bundle is out of bounds";
  return nullptr;
}

}  // namespace

bool Member::is_void(SessionId session) const {
  if (!revoked_from) return false;
  if (session >= *revoked_from) return true;
  const auto after = std::ranges::upper_bound(open_then, session, {}, &SessionRange::first);
  if (after == open_then.begin()) return false;
  const SessionRange& range = *std::prev(after);
  return range.first.generation == session.generation && session.slot - range.first.slot < range.count;
}

Bytes encode_roster(const Roster& roster) {
  CHECK(roster.members.size() <= kRosterMembersMax && roster.epochs.size() <= kRosterEpochsMax);
  CHECK(roster_breach(roster) == nullptr);
  for (const Member& member : roster.members) CHECK(member.open_then.size() <= kRosterOpenRangesMax);
  Bytes out;
  Writer w(out);
  w.u32(roster.version);
  w.bytes(roster.vault_description);
  w.bytes(roster.previous);
  w.varint(roster.members.size());
  for (const Member& member : roster.members) {
    w.bytes(member.id);
    w.text(member.name);
    w.u8(static_cast<std::uint8_t>(member.role));
    w.u8(static_cast<std::uint8_t>(member.slot));
    w.bytes(member.signing_key);
    w.bytes(member.slot_key);
    encode_timestamp(w, member.added);
    w.u8(!member.revoked_from ? 0 : member.open_then.empty() ? 1 : 2);
    if (!member.revoked_from) continue;
    encode_session(w, *member.revoked_from);
    if (member.open_then.empty()) continue;
    w.varint(member.open_then.size());
    for (const SessionRange& range : member.open_then) {
      encode_session(w, range.first);
      w.varint(range.count);
    }
  }
  w.varint(roster.epochs.size());
  for (const EpochRecord& epoch : roster.epochs) {
    w.u32(epoch.number);
    w.bytes(epoch.public_key);
  }
  return out;
}

Result<Roster> decode_roster(ByteSpan body) {
  Decoder d("roster", body);
  if (body.size() > kControlObjectBytesMax) return std::unexpected(d.corrupt("it is longer than a control object may be"));
  Roster roster;
  roster.version = d.u32();
  roster.vault_description = d.array<32>();
  roster.previous = d.array<32>();
  const std::uint64_t members = d.count(kRosterMembersMax, kMemberBytesMin);
  roster.members.reserve(members);
  for (std::uint64_t i = 0; i < members && !d.going_wrong(); ++i) {
    Member& member = roster.members.emplace_back();
    member.id = d.array<16>();
    member.name = d.text(kMemberNameBytesMax);
    member.role = static_cast<Role>(d.u8());
    member.slot = static_cast<SlotKind>(d.u8());
    member.signing_key = d.array<32>();
    member.slot_key = d.array<32>();
    member.added = decode_timestamp(d);
    const std::uint8_t revoked = d.u8();
    d.rule(revoked <= 2, "a flag is none of 0, 1 and 2");
    if (revoked == 0) continue;
    member.revoked_from = decode_session(d);
    if (revoked == 1) continue;
    const std::uint64_t open = d.count(kRosterOpenRangesMax, 3);
    d.rule(open > 0, "a list of void sessions is empty");
    for (std::uint64_t k = 0; k < open && !d.going_wrong(); ++k) {
      const SessionId first = decode_session(d);
      member.open_then.push_back({first, static_cast<std::uint32_t>(d.varint_max(UINT32_MAX))});
    }
  }
  const std::uint64_t epochs = d.count(kRosterEpochsMax, 4 + 32);
  roster.epochs.reserve(epochs);
  for (std::uint64_t i = 0; i < epochs; ++i) {
    EpochRecord& epoch = roster.epochs.emplace_back();
    epoch.number = d.u32();
    epoch.public_key = d.array<32>();
  }
  if (!d.going_wrong())
    if (const char* breach = roster_breach(roster)) d.rule(false, breach);
  TRY(d.complete());
  return roster;
}

Bytes encode_key_slot(const KeySlot& slot) {
  CHECK(slot_breach(slot) == nullptr);
  Bytes out;
  Writer w(out);
  w.bytes(as_bytes(kSlotMagic));
  w.u8(static_cast<std::uint8_t>(slot.kind));
  w.u8(static_cast<std::uint8_t>(slot.role));
  w.bytes(slot.member);
  w.bytes(slot.slot_key);
  if (slot.kind == SlotKind::kPassphrase) {
    w.u32(slot.argon2_memory_kib);
    w.u32(slot.argon2_passes);
    w.bytes(slot.argon2_salt);
  }
  w.sized(slot.wrapped_private);
  w.sized(slot.sealed_bundle);
  return out;
}

Result<KeySlot> decode_key_slot(ByteSpan bytes) {
  Decoder d("key slot", bytes);
  d.rule(equal(d.bytes(kSlotMagic.size()), as_bytes(kSlotMagic)), "the magic is not CPSLOT01");
  KeySlot slot;
  slot.kind = static_cast<SlotKind>(d.u8());
  slot.role = static_cast<Role>(d.u8());
  slot.member = d.array<16>();
  slot.slot_key = d.array<32>();
  if (slot.kind == SlotKind::kPassphrase) {
    slot.argon2_memory_kib = d.u32();
    slot.argon2_passes = d.u32();
    slot.argon2_salt = d.array<16>();
  }
  slot.wrapped_private = to_bytes(d.sized(kSlotWrappedBytesMax));
  slot.sealed_bundle = to_bytes(d.sized(kSlotBundleBytesMax));
  if (!d.going_wrong())
    if (const char* breach = slot_breach(slot)) d.rule(false, breach);
  TRY(d.complete());
  return slot;
}

}  // namespace coppice::format
