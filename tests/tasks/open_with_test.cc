// Opening a vault while its keys change, and by a list that is behind.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "platform/file.h"
#include "storage/directory_store.h"
#include "support/result.h"
#include "support/temp_directory.h"
#include "tasks/key_admin.h"
#include "tasks/vault_access.h"

namespace coppice::tasks {
namespace {

// Lists nothing that was put since it was made.
class BehindStore : public storage::ObjectStore {
 public:
  explicit BehindStore(storage::ObjectStore& inner) : inner_(inner) {
    EXPECT_OK(inner.list("", [&](const storage::ObjectInfo& info) -> Result<> {
      listed_.push_back(info);
      return {};
    }));
  }
  Result<> put(std::string_view name, ByteSpan bytes) override { return inner_.put(name, bytes); }
  Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override { return inner_.get(name, bytes_max); }
  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override { return inner_.get_range(name, offset, into); }
  Result<std::uint64_t> size(std::string_view name) override { return inner_.size(name); }
  Result<> list(std::string_view prefix, const std::function<Result<>(const storage::ObjectInfo&)>& each) override {
    for (const storage::ObjectInfo& info : listed_)
      if (info.name.starts_with(prefix)) TRY(each(info));
    return {};
  }
  Result<> remove(std::string_view name) override { return inner_.remove(name); }
  Result<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }
  std::string describe() const override { return inner_.describe(); }

 private:
  storage::ObjectStore& inner_;
  std::vector<storage::ObjectInfo> listed_;
};

class OpenWith : public ::testing::Test {
 protected:
  void SetUp() override {
    crypto::initialise();
    InitRequest request{.location = directory_ / "vault", .passphrase = crypto::SecretBytes::copy_of(as_bytes("correct horse battery")),
                        .cost = {.memory_kib = 8192, .passes = 1}, .host_name = "host1", .keys_directory = directory_ / "keys",
                        .recovery_file = directory_ / "sheet"};
    auto made = init_vault(request, platform::system_clock(), platform::system_entropy());
    ASSERT_OK(made);
    key_file_ = made->key_file;
    auto store = storage::open_directory_store(directory_ / "vault");
    ASSERT_OK(store);
    store_ = std::move(*store);
  }
  keys::KeyFile host_key() { return keys::parse_key_file(*platform::read_file(key_file_, 4096)).value(); }
  Result<std::unique_ptr<vault::Vault>> open_as_owner(storage::ObjectStore& store) {
    const Bytes words = *platform::read_file(directory_ / "sheet", 64u << 10);
    const auto sheet = parse_recovery_sheet(words, host_key().anchor).value();
    return vault::Vault::open(store, keys::bundle_from_root(sheet.root, sheet.vault, keys::kFirstEpoch), "", platform::system_clock(),
                              platform::system_entropy());
  }
  void rotate() {
    const auto owner = open_as_owner(*store_);
    ASSERT_OK(owner);
    EXPECT_OK(rotate_epoch(**owner));
  }
  testing::TempDirectory directory_;
  std::string key_file_;
  std::unique_ptr<storage::ObjectStore> store_;
};

TEST_F(OpenWith, ARotationBetweenTheSlotAndTheRosterIsNotTheHoldersFault) {
  const BundleSource by_slot = source_by_slot(*store_, host_key(), {}, "this key file", "");
  int looks = 0;
  const auto vault = open_with(
      *store_,
      [&]() -> Result<keys::KeyBundle> {
        auto bundle = by_slot();
        if (looks++ == 0) rotate();
        return bundle;
      },
      "", platform::system_clock(), platform::system_entropy());
  ASSERT_OK(vault);
  EXPECT_EQ(looks, 2);
  EXPECT_EQ((*vault)->keys().newest_epoch().number, 2u);
}

// A member that was added after the list, a rotation that was cut short, and the rotation: none of them is in the list.
TEST_F(OpenWith, ARotationByAListThatIsBehindLeavesNobodyOut) {
  BehindStore behind(*store_);
  {
    const auto owner = open_as_owner(*store_);
    ASSERT_OK(owner);
    ASSERT_OK(add_member(**owner, {.name = "late", .role = format::Role::kReader, .by = NewMember::ByKeyFile{directory_ / "late.key"}},
                         {.memory_kib = 8192, .passes = 1}));
  }
  {
    const auto owner = open_as_owner(*store_);
    ASSERT_OK(owner);
    // Dies after two new slots.
    struct Dying : BehindStore {
      using BehindStore::BehindStore;
      Result<> put(std::string_view name, ByteSpan bytes) override {
        return puts++ < 2 ? BehindStore::put(name, bytes) : fail(ErrorKind::kUnavailable, "gone");
      }
      int puts = 0;
    } dying(*store_);
    const auto doomed = open_as_owner(dying);
    ASSERT_OK(doomed);
    ASSERT_FALSE(rotate_epoch(**doomed));
  }
  const auto owner = open_as_owner(behind);
  ASSERT_OK(owner);
  const auto rotation = rotate_epoch(**owner);
  ASSERT_OK(rotation);
  EXPECT_EQ(rotation->epoch, 3u);
  EXPECT_EQ(rotation->renewed, (std::vector<std::string>{"owner", "host1", "late"}));
  EXPECT_TRUE(rotation->without_slot.empty());
  const auto late = open_with(behind, source_by_slot(behind, keys::parse_key_file(*platform::read_file(directory_ / "late.key", 4096)).value(), {}, "it", ""),
                              "", platform::system_clock(), platform::system_entropy());
  ASSERT_OK(late);
  EXPECT_EQ((*late)->keys().epochs.size(), 3u);
}

// The slot that a dead rotation had put appears between the look at the slots and the put.
TEST_F(OpenWith, ASlotThatArrivesLateIsOneMoreEpoch) {
  struct Late : BehindStore {
    using BehindStore::BehindStore;
    Result<> put(std::string_view name, ByteSpan bytes) override {
      if (puts++ == 1) {
        EXPECT_OK(BehindStore::put(name, as_bytes("a slot of the same name")));
      }
      return BehindStore::put(name, bytes);
    }
    int puts = 0;
  } late(*store_);
  const auto owner = open_as_owner(late);
  ASSERT_OK(owner);
  const auto rotation = rotate_epoch(**owner);
  ASSERT_OK(rotation);
  EXPECT_EQ(rotation->epoch, 3u);
  const auto vault = open_with(*store_, source_by_slot(*store_, host_key(), {}, "this key file", ""), "", platform::system_clock(), platform::system_entropy());
  ASSERT_OK(vault);
  EXPECT_EQ((*vault)->keys().newest_epoch().number, 3u);
}

TEST_F(OpenWith, SlotsAndRostersThatAListLacksAreAskedForByName) {
  BehindStore behind(*store_);
  rotate();
  rotate();
  const auto vault = open_with(behind, source_by_slot(behind, host_key(), {}, "this key file", ""), "", platform::system_clock(), platform::system_entropy());
  ASSERT_OK(vault);
  EXPECT_EQ((*vault)->keys().newest_epoch().number, 3u);
}

}  // namespace
}  // namespace coppice::tasks
