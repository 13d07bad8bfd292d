// Making a vault and changing who holds its keys, on a real directory; cut short at every operation.
#include "tasks/key_admin.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "foundation/encoding.h"
#include "platform/file.h"
#include "storage/directory_store.h"
#include "storage/fault_store.h"
#include "support/result.h"
#include "support/temp_directory.h"
#include "tasks/vault_access.h"

namespace coppice::tasks {
namespace {

using testing::TempDirectory;
constexpr crypto::Argon2Cost kCheap{.memory_kib = 8192, .passes = 1};
const std::string kPassphrase = "correct horse battery";

class KeyAdmin : public ::testing::Test {
 protected:
  void SetUp() override { crypto::initialise(); }

  InitRequest request(const std::string& at = "vault") {
    InitRequest request;
    request.location = directory_ / at;
    request.passphrase = crypto::SecretBytes::copy_of(as_bytes(kPassphrase));
    request.cost = kCheap;
    request.host_name = "host1";
    request.keys_directory = directory_ / "config/keys";
    request.recovery_file = directory_ / "sheet";
    return request;
  }
  InitResult init(const InitRequest& request) {
    auto made = init_vault(request, platform::system_clock(), platform::system_entropy());
    EXPECT_OK(made);
    return std::move(*made);
  }
  Environment environment() {
    return [this](const char* name) -> std::optional<std::string> {
      if (std::string_view(name) == "COPPICE_CONFIG_DIR") return directory_ / "config";
      if (std::string_view(name) == "COPPICE_STATE_DIR") return directory_ / "state";
      return std::nullopt;
    };
  }
  AccessOptions access(const std::string& at = "vault") { return {.vault = directory_ / at}; }
  AccessOptions as_owner() {
    AccessOptions options = access();
    std::ofstream(directory_ / "passphrase") << kPassphrase << "\n";
    options.passphrase_file = directory_ / "passphrase";
    options.owner = true;
    return options;
  }
  Result<OpenedVault> open(const AccessOptions& options) { return open_vault(options, environment(), false); }
  std::size_t count(const std::string& below) {
    std::size_t count = 0;
    if (!std::filesystem::exists(directory_ / below)) return 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_ / below))
      count += entry.is_regular_file();
    return count;
  }

  TempDirectory directory_;
};

TEST_F(KeyAdmin, ANewVaultOpensByEachOfItsCredentials) {
  const InitResult made = init(request());
  struct stat st{};
  ASSERT_EQ(stat(made.key_file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_EQ(stat((directory_ / "sheet").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);

  auto daily = open(access());  // this host's key file is found by the vault's id
  ASSERT_OK(daily);
  EXPECT_EQ(daily->vault->keys().role, format::Role::kReader);
  EXPECT_TRUE(daily->vault->keys().can_read());
  auto owner = open(as_owner());
  ASSERT_OK(owner);
  EXPECT_TRUE(owner->vault->keys().root.has_value());
  AccessOptions by_sheet = access();
  by_sheet.recovery_sheet = directory_ / "sheet";
  auto sheet = open(by_sheet);
  ASSERT_OK(sheet);
  EXPECT_TRUE(sheet->vault->keys().root.has_value());
  ASSERT_EQ(daily->vault->roster().members.size(), 2u);
  EXPECT_EQ(daily->vault->roster().members[1].name, "host1");
}

TEST_F(KeyAdmin, WhatDoesNotFitIsRefusedInWords) {
  init(request());
  AccessOptions wrong = as_owner();
  std::ofstream(directory_ / "wrong") << "another passphrase\n";
  wrong.passphrase_file = directory_ / "wrong";
  auto opened = open(wrong);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kDenied) << opened.error().message();

  AccessOptions other_print = access();
  other_print.fingerprint = "0000 0000 0000 0000 0000 0000 0000 0000";
  opened = open(other_print);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kUnauthentic);

  InitRequest second = request("vault2");
  second.recovery_file = directory_ / "sheet2";
  const InitResult other = init(second);
  AccessOptions foreign = access();
  foreign.key_file = other.key_file;
  opened = open(foreign);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kDenied);
  AccessOptions foreign_sheet = access();
  foreign_sheet.recovery_sheet = directory_ / "sheet2";
  EXPECT_FALSE(open(foreign_sheet));

  std::filesystem::permissions(other.key_file, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  AccessOptions readable = access("vault2");
  opened = open(readable);
  ASSERT_FALSE(opened) << "a key file that others can read is not used";
  EXPECT_EQ(opened.error().kind(), ErrorKind::kDenied);

  AccessOptions narrow = as_owner();
  narrow.memory_bytes = 8u << 20;
  opened = open(narrow);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kExhausted);

  opened = open(access("nowhere"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kNotFound);
}

TEST_F(KeyAdmin, InitTouchesNothingThatIsThere) {
  const InitResult first = init(request());
  const std::size_t objects = count("vault");
  InitRequest again = request();
  again.recovery_file = directory_ / "sheet2";
  auto made = init_vault(again, platform::system_clock(), platform::system_entropy());
  EXPECT_TRUE(testing::failed_as(made, ErrorKind::kConflict));
  EXPECT_EQ(count("vault"), objects);
  EXPECT_EQ(count("config"), 1u) << "the key file of the vault that was not made is gone again";
  EXPECT_FALSE(std::filesystem::exists(directory_ / "sheet2"));

  std::filesystem::create_directory(directory_ / "full");
  std::ofstream(directory_ / "full/letter") << "dear";
  InitRequest full = request("full");
  full.recovery_file = directory_ / "sheet2";
  made = init_vault(full, platform::system_clock(), platform::system_entropy());
  EXPECT_TRUE(testing::failed_as(made, ErrorKind::kConflict));
  EXPECT_EQ(count("full"), 1u);

  InitRequest taken_sheet = request("third");  // the sheet's file is there already
  made = init_vault(taken_sheet, platform::system_clock(), platform::system_entropy());
  EXPECT_TRUE(testing::failed_as(made, ErrorKind::kConflict));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "third")) << "a failed init leaves no half of a vault";
  EXPECT_EQ(count("config"), 1u);
  EXPECT_OK(open(access()));
}

TEST_F(KeyAdmin, HoldersComeAndGo) {
  init(request());
  auto owner = open(as_owner());
  ASSERT_OK(owner);
  NewMember writer{.name = "web1", .role = format::Role::kWriter, .by = NewMember::ByKeyFile{directory_ / "web1.key"}};
  ASSERT_OK(add_member(*owner->vault, std::move(writer), kCheap));

  owner = open(as_owner());  // each change starts from the roster as it stands
  NewMember twin{.name = "web1", .role = format::Role::kWriter, .by = NewMember::ByKeyFile{directory_ / "twin.key"}};
  EXPECT_TRUE(testing::failed_as(add_member(*owner->vault, std::move(twin), kCheap), ErrorKind::kConflict));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "twin.key"));

  AccessOptions as_writer = access();
  as_writer.key_file = directory_ / "web1.key";
  auto opened = open(as_writer);
  ASSERT_OK(opened);
  EXPECT_FALSE(opened->vault->keys().can_read());
  EXPECT_TRUE(testing::failed_as(remove_member(*opened->vault, "host1"), ErrorKind::kDenied)) << "only the owner may";

  ASSERT_OK(remove_member(*owner->vault, "web1"));
  EXPECT_FALSE(open(as_writer));
  owner = open(as_owner());
  EXPECT_TRUE(testing::failed_as(remove_member(*owner->vault, "web1"), ErrorKind::kNotFound));
  EXPECT_FALSE(remove_member(*owner->vault, "owner")) << "the last owner stays";
}

TEST_F(KeyAdmin, WhoeverLosesARaceLeavesNothingAndIsToldSo) {
  init(request());
  const auto first = open(as_owner()), second = open(as_owner());
  ASSERT_TRUE(first && second);
  ASSERT_OK(add_member(*first->vault, {.name = "a", .role = format::Role::kReader, .by = NewMember::ByKeyFile{directory_ / "a.key"}}, kCheap));
  const std::size_t slots = count("vault/keys");
  const auto lost = add_member(*second->vault, {.name = "b", .role = format::Role::kReader, .by = NewMember::ByKeyFile{directory_ / "b.key"}}, kCheap);
  ASSERT_TRUE(testing::failed_as(lost, ErrorKind::kConflict));
  EXPECT_NE(lost.error().message().find("somebody else changed the vault's keys just now"), std::string::npos) << lost.error().message();
  EXPECT_EQ(count("vault/keys"), slots);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "b.key"));
}

TEST_F(KeyAdmin, RotationReachesEveryLivingHolderAndNoOther) {
  init(request());
  auto owner = open(as_owner());
  NewMember writer{.name = "web1", .role = format::Role::kWriter, .by = NewMember::ByKeyFile{directory_ / "web1.key"}};
  ASSERT_OK(add_member(*owner->vault, std::move(writer), kCheap));
  NewMember reader{.name = "gone", .role = format::Role::kReader, .by = NewMember::ByKeyFile{directory_ / "gone.key"}};
  owner = open(as_owner());
  ASSERT_OK(add_member(*owner->vault, std::move(reader), kCheap));
  owner = open(as_owner());
  ASSERT_OK(remove_member(*owner->vault, "gone"));
  for (std::uint32_t epoch = 2; epoch <= 4; ++epoch) {
    owner = open(as_owner());
    ASSERT_OK(owner);
    const auto rotation = rotate_epoch(*owner->vault);
    ASSERT_OK(rotation);
    EXPECT_EQ(rotation->epoch, epoch);
    EXPECT_EQ(rotation->renewed, (std::vector<std::string>{"owner", "host1", "web1"}));
    const auto daily = open(access());
    ASSERT_OK(daily);
    EXPECT_EQ(daily->vault->keys().epochs.size(), epoch);
    AccessOptions as_writer = access();
    as_writer.key_file = directory_ / "web1.key";
    const auto opened = open(as_writer);
    ASSERT_OK(opened);
    EXPECT_EQ(opened->vault->keys().newest_epoch().number, epoch);
  }
  AccessOptions as_gone = access();
  as_gone.key_file = directory_ / "gone.key";
  EXPECT_FALSE(open(as_gone));
}

// Whatever the operation at which a rotation dies: everybody can still open the vault, and the next rotation gives a
// key that no holder removed in between has seen.
TEST_F(KeyAdmin, ARotationCutShortHarmsNobody) {
  init(request());
  {
    auto owner = open(as_owner());
    NewMember reader{
        .name = "gone", .role = format::Role::kReader, .by = NewMember::ByKeyFile{directory_ / "gone.key"}};
    ASSERT_OK(add_member(*owner->vault, std::move(reader), kCheap));
  }
  const std::string pristine = directory_ / "pristine";
  std::filesystem::copy(directory_ / "vault", pristine, std::filesystem::copy_options::recursive);
  bool finished = false;
  for (std::int64_t round = 0; !finished; ++round) {
    const std::int64_t crash = round / 2;
    const int in_a_row = round % 2 == 0 ? 1 : 3;
    SCOPED_TRACE(crash);
    ASSERT_LT(crash, 60);
    std::filesystem::remove_all(directory_ / "vault");
    std::filesystem::remove_all(directory_ / "state");
    std::filesystem::copy(pristine, directory_ / "vault", std::filesystem::copy_options::recursive);
    bool begun = false;
    for (int cut = 0; cut < in_a_row; ++cut) {
      auto owner = open(as_owner());
      ASSERT_OK(owner);
      const auto sheet = read_recovery_sheet(directory_ / "sheet", owner->vault->keys().anchor());
      ASSERT_OK(sheet);
      storage::FaultStore dying(*owner->store, {.seed = static_cast<std::uint64_t>(crash), .crash_at = crash});
      auto doomed = vault::Vault::open(dying, keys::bundle_from_root(sheet->root, sheet->vault, keys::kFirstEpoch), "",
                                       platform::system_clock(), platform::system_entropy());
      if (!doomed) continue;  // it died before it began
      begun = true;
      finished = rotate_epoch(**doomed).has_value();
    }
    if (!begun) continue;
    AccessOptions as_gone = access();
    as_gone.key_file = directory_ / "gone.key";
    EXPECT_OK(open(access()));
    EXPECT_OK(open(as_gone));
    auto owner = open(as_owner());
    ASSERT_OK(owner);
    ASSERT_OK(remove_member(*owner->vault, "gone"));
    owner = open(as_owner());
    ASSERT_OK(owner);
    const auto objects = list_slots(*owner->store);
    ASSERT_OK(objects);
    std::uint32_t leaked = 1;
    for (const auto& object : *objects) leaked = std::max(leaked, object.epoch);
    const auto rotation = rotate_epoch(*owner->vault);
    ASSERT_OK(rotation);
    EXPECT_GT(rotation->epoch, leaked);
    EXPECT_EQ(rotation->renewed.size(), 2u);
    const auto daily = open(access());
    ASSERT_OK(daily);
    EXPECT_EQ(daily->vault->keys().newest_epoch().number, rotation->epoch);
    EXPECT_OK(open(as_owner()));
  }
}

TEST_F(KeyAdmin, ARecipientOpensWithTheFingerprint) {
  const InitResult made = init(request());
  const keys::Identity identity = keys::make_identity(random_of(platform::system_entropy()));
  ASSERT_OK(write_new_secret_file(directory_ / "identity", keys::render_identity(identity).view()));
  auto owner = open(as_owner());
  ASSERT_OK(
      add_member(*owner->vault, {.name = "safe", .role = format::Role::kOwner, .by = identity.public_key}, kCheap));
  AccessOptions options = access();
  options.key_file = directory_ / "identity";
  EXPECT_TRUE(testing::failed_as(open(options), ErrorKind::kInvalid)) << "the store alone does not say whom to trust";
  options.fingerprint = keys::render_fingerprint(made.anchor);
  const auto opened = open(options);
  ASSERT_OK(opened);
  EXPECT_TRUE(opened->vault->keys().root.has_value());
}

TEST(KeyNames, HostNamesBecomeNamesThatTheRosterTakes) {
  EXPECT_EQ(member_name_of("web1.example.org"), "web1.example.org");
  EXPECT_EQ(member_name_of("a b\n\xff"), "a-b--");
  EXPECT_EQ(member_name_of(""), "host");
  EXPECT_EQ(member_name_of(std::string(100, 'x')).size(), 64u);
}

}  // namespace
}  // namespace coppice::tasks
