// COPPICE_REWRITE_GOLDEN=1 writes the seeds anew.
#include "support/corpus.h"

#include "fuzz/keys/decoders.h"
#include "keys/fixture.h"

namespace coppice::keys {
namespace {

void write_seed(std::string_view decoder, std::string_view name, ByteSpan bytes) {
  const auto directory = testing::kTests / "fuzz/corpus" / decoder;
  std::filesystem::create_directories(directory);
  std::ofstream(directory / name, std::ios::binary) << as_text(bytes);
}

TEST(CorpusReplay, EveryBundleAndText) {
  if (std::getenv("COPPICE_REWRITE_GOLDEN")) {
    using format::Role;
    for (const Role role : {Role::kOwner, Role::kReader, Role::kWriter, Role::kKeeper})
      write_seed("bundle", role_name(role), encode_bundle(bundle_of(role, 1, 2)).view());
    const Identity identity = make_identity(seeded("identity"));
    write_seed("key_file", "seed", render_key_file(make_key_file_slot(bundle_of(Role::kReader), fixed_owner_seed(), seeded("slot")).file).view());
    write_seed("identity", "seed", render_identity(identity).view());
    write_seed("recipient", "seed", as_bytes(render_recipient(identity.public_key)));
    write_seed("recovery_words", "sheet", render_recovery_sheet(fixed_vault(), fixed_root(), "/vault", {.seconds = 1795334400}).view());
    GTEST_SKIP() << "wrote the seeds instead of reading them";
  }
  testing::replay(fuzz::kDecoders);
}

}  // namespace
}  // namespace coppice::keys
