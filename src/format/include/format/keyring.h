// Who holds which keys: vault.json, the roster, and the wrapped slots. Encodings only; layer keys gives them meaning.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/ids.h"
#include "foundation/time.h"

namespace coppice::format {

// vault.json, the one text object: {"format": "coppice vault", "version": 1, "id": hex, "owner": hex,
// "features": {"read": [], "write": [], "ignorable": []}, "created": RFC 3339}. Written once. Its SHA-256 stands in every roster.
struct VaultDescription {
  std::uint32_t version = kFormatVersion;
  VaultId id{};
  PublicKey owner{};             // Ed25519, derived from the root seed
  Timestamp created;
  std::vector<std::string> read_features, write_features, ignorable_features;
  bool operator==(const VaultDescription&) const = default;
};

// The text ends with a newline. `created` is kept in whole seconds. kUnsupported names both versions, or the unknown read feature;
// kCorrupt for anything that is not such a text. Keys that format 1 does not have are passed over only when a write or ignorable feature is named.
inline constexpr std::uint32_t kVaultDescriptionBytesMax = 65536, kVaultFeaturesMax = 64, kVaultFeatureBytesMax = 64;
Bytes encode_vault_description(const VaultDescription& description);
Result<VaultDescription> decode_vault_description(ByteSpan bytes);

// DO NOT CHANGE THESE ENUM VALUES
enum class Role : std::uint8_t { kOwner = 1, kReader = 2, kWriter = 3, kKeeper = 4 };
enum class SlotKind : std::uint8_t { kPassphrase = 1, kKeyFile = 2, kRecipient = 3 };

struct SessionRange {
  SessionId first;
  std::uint32_t count = 0;       // at least 1
  bool operator==(const SessionRange&) const = default;
};

// One key holder. Stays in the roster after revocation, so that what it signed before can still be verified.
struct Member {
  MemberId id{};
  std::string name;              // 1..64 bytes of printable UTF-8, unique among those not revoked
  Role role = Role::kReader;
  SlotKind slot = SlotKind::kKeyFile;
  PublicKey signing_key{};       // Ed25519
  PublicKey slot_key{};          // X25519: new bundles are sealed to it without asking anybody
  Timestamp added;
  std::optional<SessionId> revoked_from;   // its commits at this session or later are void...
  std::vector<SessionRange> open_then;     // ...and at these earlier ones, which had no commit then; ascending, with others between
  bool is_void(SessionId session) const;   // when revoked
  bool operator==(const Member&) const = default;
};

struct EpochRecord {
  std::uint32_t number = 0;
  PublicKey public_key{};        // X25519
  bool operator==(const EpochRecord&) const = default;
};

// roster/<n>: an envelope signed by the owner key (signer id zero).
struct Roster {
  std::uint32_t version = 0;
  Digest vault_description{};    // SHA-256 of vault.json
  Digest previous{};             // SHA-256 of roster/<n-1>; zero for 0
  std::vector<Member> members;
  std::vector<EpochRecord> epochs;         // ascending; the last is used for new data
  bool operator==(const Roster&) const = default;
};
Bytes encode_roster(const Roster& roster);
Result<Roster> decode_roster(ByteSpan body);
inline constexpr std::uint32_t kRosterMembersMax = 4096, kRosterEpochsMax = 4096, kMemberNameBytesMax = 64, kRosterOpenRangesMax = 1u << 18;

// keys/<member>[.<epoch>]: the slot. The X25519 private half is wrapped by what the holder has; the bundle is sealed to the public half.
// magic "CPSLOT01" | u8 kind | u8 role | member id | slot public key | wrapped private half | sealed bundle
struct KeySlot {
  SlotKind kind = SlotKind::kKeyFile;
  Role role = Role::kReader;
  MemberId member{};
  PublicKey slot_key{};
  // kPassphrase: Argon2id cost and salt (zero otherwise). wrapped_private is kSlotWrappedPassphraseBytes long: commitment tag (32), then
  // AEAD (16 more) of vault id | owner public key | private half, so that a holder who has only a passphrase has the trust anchor too.
  std::uint32_t argon2_memory_kib = 0, argon2_passes = 0;
  std::array<std::byte, 16> argon2_salt{};
  Bytes wrapped_private;         // kPassphrase and kKeyFile; empty for kRecipient, whose holder has the private half itself
  Bytes sealed_bundle;           // crypto::seal_to(slot_key, owner's signature (64) | bundle): layer keys, slot.h
  bool operator==(const KeySlot&) const = default;
};
inline constexpr std::size_t kSlotWrappedPassphraseBytes = 32 + (16 + 32 + 32) + 16, kSlotWrappedBytesMax = 4096,
                             kSlotBundleBytesMax = 256u << 10;   // a reader's, of kRosterEpochsMax epochs, fits
// As crypto/password.h has them: a hostile slot must not make us allocate or compute without bound.
inline constexpr std::uint32_t kSlotArgon2MemoryKibMin = 8192, kSlotArgon2MemoryKibMax = 1048576, kSlotArgon2PassesMax = 16;
Bytes encode_key_slot(const KeySlot& slot);
Result<KeySlot> decode_key_slot(ByteSpan bytes);

// The opened bundle (encoded and decoded by keys/bundle.h, in locked memory):
// u8 version 1 | u8 role | vault id (16) | owner public key (32) | member id (16) | signing seed (32) | then by role:
// owner: root seed (32), u32 newest epoch; reader: id key (32), index key (32), u32 n, n (u32 epoch, private (32)), ascending;
// writer: id key, index key, u32 epoch, epoch public key (32); keeper: nothing more.

}  // namespace coppice::format
