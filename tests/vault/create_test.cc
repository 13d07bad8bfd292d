// Goal: whenever vault.json is there, the vault is whole and opens; whenever it is not, nothing opens, and the next
// init says so.
#include "vault/create.h"

#include <gtest/gtest.h>

#include <optional>

#include "crypto/hash.h"
#include "format/snapshot.h"
#include "keys/roster.h"
#include "keys/slot.h"
#include "storage/fault_store.h"
#include "storage/memory_store.h"
#include "support/result.h"

namespace coppice::vault {
namespace {

constexpr crypto::Argon2Cost kCheapest{.memory_kib = crypto::kArgon2MemoryKibMin, .passes = 1};

// Everything that an init needs, from one seed.
struct Init {
  NewVault vault;
  std::vector<format::Member> members;
  std::vector<format::KeySlot> slots;
  platform::ManualClock clock{{.seconds = 1795334400}};

  explicit Init(std::uint64_t seed) {
    platform::SeededEntropy entropy(seed);
    const keys::Random random = [&](MutableByteSpan into) { entropy.fill(into); };
    random(vault.id);
    random(vault.root.writable());
    const crypto::Key owner_seed = keys::derive_owner_seed(vault.root, vault.id);
    const auto bundle = [&](format::Role role) {
      format::MemberId id;
      random(id);
      crypto::Key signing;
      random(signing.writable());
      return keys::make_bundle(vault.root, vault.id, role, id, std::move(signing), keys::kFirstEpoch);
    };
    const keys::KeyBundle owner = bundle(format::Role::kOwner), host = bundle(format::Role::kWriter);
    slots.push_back(*keys::make_passphrase_slot(owner, owner_seed, as_bytes("open sesame"), kCheapest, random));
    slots.push_back(keys::make_key_file_slot(host, owner_seed, random).slot);
    members.push_back(keys::describe_member(owner, slots[0], "owner", clock.now()));
    members.push_back(keys::describe_member(host, slots[1], "host", clock.now()));
  }

  Result<> run(storage::ObjectStore& store) const { return create_vault(store, vault, members, slots, clock); }
};

// Opens the vault as a stranger with the passphrase would: the anchor comes from the slot, all else is checked against
// it.
void expect_opens(storage::ObjectStore& store, const Init& init) {
  const auto description = store.get(format::kVaultObject, format::kControlObjectBytesMax);
  const auto roster_bytes = store.get(format::roster_object(0), format::kControlObjectBytesMax);
  const auto slot_bytes = store.get(format::key_object(init.members[0].id), format::kControlObjectBytesMax);
  ASSERT_OK(description);
  ASSERT_OK(roster_bytes);
  ASSERT_OK(slot_bytes);
  const auto slot = keys::read_slot_object(*slot_bytes);
  ASSERT_OK(slot);
  EXPECT_TRUE(slot->intact);
  auto bundle = keys::open_slot(slot->slot, keys::Passphrase{crypto::SecretBytes::copy_of(as_bytes("open sesame"))});
  ASSERT_OK(bundle);
  const auto roster = keys::verify_roster(*roster_bytes, bundle->anchor(), crypto::sha256(*description));
  ASSERT_OK(roster);
  EXPECT_OK(keys::reconcile_bundle(*roster, *bundle));
  EXPECT_EQ(roster->members.size(), 2u);
  const auto decoded = format::decode_vault_description(*description);
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded->id, init.vault.id);
  EXPECT_EQ(decoded->owner, bundle->owner);
  for (const auto& [object, magic] :
       {std::pair(format::plan_object(0), format::kPlanMagic), std::pair(format::seal_object(0), format::kSealMagic)}) {
    const auto bytes = store.get(object, format::kControlObjectBytesMax);
    ASSERT_OK(bytes);
    const auto body = keys::verify_envelope(magic, *bytes, bundle->anchor(), *roster, {0, 0});
    ASSERT_OK(body);
    EXPECT_EQ(*format::decode_empty_generation(body->body), 0u);
  }
}

bool has_vault(storage::ObjectStore& store) { return store.size(format::kVaultObject).has_value(); }

std::size_t count_objects(storage::ObjectStore& store) {
  std::size_t count = 0;
  EXPECT_OK(store.list("", [&](const storage::ObjectInfo&) -> Result<> { return ++count, Result<>{}; }));
  return count;
}

TEST(CreateVault, MakesAVaultThatOpens) {
  storage::MemoryStore store;
  const Init init(1);
  ASSERT_OK(init.run(store));
  expect_opens(store, init);
  EXPECT_EQ(count_objects(store), 6u);
}

TEST(CreateVault, RefusesWhereAVaultIs) {
  storage::MemoryStore store;
  const Init first(1), second(2);
  ASSERT_OK(first.run(store));
  const auto refused = second.run(store);
  EXPECT_FAILS(refused, kConflict);
  EXPECT_NE(refused.error().message().find("there is a vault"), std::string::npos);
  expect_opens(store, first);
}

TEST(CreateVault, RefusesMembersAndSlotsThatDoNotBelongTogether) {
  storage::MemoryStore store;
  Init missing(1), other_key(2), other_role(3), no_owner(4);
  missing.slots.pop_back();
  other_key.members[1].slot_key[0] ^= std::byte{1};
  other_role.members[1].role = format::Role::kReader;
  no_owner.members.erase(no_owner.members.begin());
  no_owner.slots.erase(no_owner.slots.begin());
  for (const Init* init : {&missing, &other_key, &other_role, &no_owner}) EXPECT_FAILS(init->run(store), kInvalid);
  EXPECT_EQ(count_objects(store), 0u);
}

// The process dies at every operation in turn; for each, by several seeds, the put at that point is stored or not.
TEST(CreateVault, ACrashLeavesNoHalfVault) {
  const Init init(1), next(2);
  storage::MemoryStore counted;
  storage::FaultStore counter(counted, {});
  ASSERT_OK(init.run(counter));
  for (std::int64_t at = 0; at < counter.operations(); ++at) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      storage::MemoryStore store;
      storage::FaultStore faulty(store, {.seed = seed, .crash_at = at});
      EXPECT_FALSE(init.run(faulty));
      const bool there = has_vault(store);
      const bool empty = count_objects(store) == 0;
      if (there) expect_opens(store, init);
      const auto again = next.run(store);
      if (empty) {
        EXPECT_OK(again);
        expect_opens(store, next);
        continue;
      }
      EXPECT_FAILS(again, kConflict);
      EXPECT_NE(again.error().message().find(there ? "there is a vault" : "empty memory and try again"),
                std::string::npos)
          << again.error().message();
      EXPECT_EQ(has_vault(store), there);
    }
  }
}

TEST(CreateVault, SurvivesLostAcknowledgements) {
  const Init init(1);
  storage::MemoryStore store;
  storage::FaultStore faulty(store, {.seed = 7, .lost_acknowledgement = 1000});
  EXPECT_OK(init.run(faulty));
  expect_opens(store, init);
}

TEST(CreateVault, AFullStoreLeavesNoVault) {
  const Init init(1);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    storage::MemoryStore store;
    storage::FaultStore faulty(store, {.seed = seed, .no_space = 300});
    const auto made = init.run(faulty);
    EXPECT_EQ(made.has_value(), has_vault(store));
    if (made) expect_opens(store, init);
  }
}

// The list says "empty" though another init has begun: the first put decides.
class BlindStore : public storage::MemoryStore {
 public:
  Result<> list(std::string_view, const std::function<Result<>(const storage::ObjectInfo&)>&) override { return {}; }
};

TEST(CreateVault, OfTwoAtOnceTheSecondStoresNothing) {
  const Init first(1), second(2);
  for (std::int64_t at = 3; at < 8; ++at) {  // after its plan is stored
    BlindStore store;
    storage::FaultStore stopped(store, {.seed = 1, .crash_at = at});
    EXPECT_FALSE(first.run(stopped));
    ASSERT_OK(store.size(format::plan_object(0)));
    EXPECT_FAILS(second.run(store), kConflict);
    EXPECT_FAILS(store.size(format::key_object(second.members[0].id)), kNotFound);
  }
}

}  // namespace
}  // namespace coppice::vault
