// The names that stand in every other encoding, and the object names made of them. One type per kind of name.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "format/wire.h"

namespace coppice::format {

inline constexpr std::uint32_t kFormatVersion = 1;

using Digest = std::array<std::byte, 32>;      // SHA-256
using PublicKey = std::array<std::byte, 32>;
using Signature = std::array<std::byte, 64>;
using VaultId = std::array<std::byte, 16>;
using MemberId = std::array<std::byte, 16>;    // a key holder in the roster

// HMAC-SHA-256(id key, plaintext).
struct ChunkId {
  std::array<std::byte, 32> bytes{};
  auto operator<=>(const ChunkId&) const = default;
};

// One writer, or a reader's hold, at work: (generation, slot).
struct SessionId {
  std::uint32_t generation = 0;
  std::uint32_t slot = 0;
  auto operator<=>(const SessionId&) const = default;
};

// DO NOT CHANGE THESE ENUM VALUES
enum class PackKind : std::uint8_t { kData = 0, kTree = 1 };

struct PackName {
  SessionId session;
  PackKind kind = PackKind::kData;
  std::uint32_t sequence = 0;
  auto operator<=>(const PackName&) const = default;
};

// A block's name for life: the pack it was born in and its number there. Where it lies now is another matter.
struct Birth {
  PackName pack;
  std::uint16_t ordinal = 0;
  auto operator<=>(const Birth&) const = default;
};

// One chunk: what it is (id), and where it is kept (block, and its number in the block's chunk table).
struct ChunkRef {
  ChunkId id;
  Birth birth;
  std::uint16_t index = 0;
  std::uint32_t length = 0;   // plaintext bytes
  auto operator<=>(const ChunkRef&) const = default;
};

// Packs are numbered up to kPackSequenceMax; the number above it marks the block inside a commit, which lies in no pack.
inline constexpr std::uint32_t kPackSequenceMax = 0x7ffffffe, kSnapshotSequence = 0x7fffffff;

// varint generation, varint slot, varint (sequence << 1 | kind), varint ordinal. encode_birth also takes a commit's birth (the key of
// its block is derived from it); decode_birth does not, because nothing refers to that block.
void encode_birth(Writer& w, const Birth& birth);
Birth decode_birth(Reader& r);
// id (32), birth, varint index, varint length
void encode_chunk_ref(Writer& w, const ChunkRef& ref);
ChunkRef decode_chunk_ref(Reader& r);   // fails on length 0 or above kChunkBytesMax

// Named maxima. A decoder allocates nothing beyond them.
inline constexpr std::uint32_t kChunkBytesMax = 2u << 20;
inline constexpr std::uint32_t kBlockPlainBytesMax = 5u << 20;
inline constexpr std::uint32_t kBlockChunksMax = 16384;
inline constexpr std::uint32_t kPackBlocksMax = 128;           // so that a pack's references are one 128-bit set
inline constexpr std::uint64_t kPackBytesMax = 512ull << 20;
inline constexpr std::uint32_t kTreeNodeBytesMax = kChunkBytesMax;
inline constexpr std::uint64_t kControlObjectBytesMax = 16u << 20;   // vault.json, roster, slots, plan, seal, claims, snapshots

std::string pack_object(const PackName& name);                         // packs/0/3/1 or trees/0/3/1
Result<PackName> parse_pack_object(std::string_view object);
std::string index_object(SessionId session, std::uint32_t number);     // index/0/3/1
std::string slot_object(SessionId session);                            // generations/0/slots/3
Result<SessionId> parse_slot_object(std::string_view object);
std::string plan_object(std::uint32_t generation);                     // generations/0/plan
std::string seal_object(std::uint32_t generation);                     // generations/0/seal
std::string snapshot_object(SessionId session);                        // snapshots/0.3
Result<SessionId> parse_snapshot_object(std::string_view object);
// A place taken by what is no valid forget (damage, a vandal's work, one whose signer was removed) leaves the next to the wish.
inline constexpr std::uint32_t kForgetPlaces = 64;
std::string forget_object(SessionId session, std::uint32_t place = 0); // forgets/0.3, forgets/0.3.1
Result<SessionId> parse_forget_object(std::string_view object);
std::string list_object(const Digest& hash);                           // lists/<64 hex digits>
std::string roster_object(std::uint32_t version);                      // roster/0
std::string key_object(const MemberId& member);                        // keys/<32 hex digits>
inline constexpr std::string_view kVaultObject = "vault.json";

}  // namespace coppice::format
