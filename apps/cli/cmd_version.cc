// coppice version: of the program, of the formats it knows, of the libraries that it runs with.
#include <archive.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <xxhash.h>
#include <zstd.h>

#include "cli.h"
#include "crypto/aead.h"

namespace coppice::cli {

namespace {
int run_version(const Common& common) {
  const std::string fmt_version =
      fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100);
  const std::string xxhash =
      fmt::format("{}.{}.{}", XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100);
  const bool aes = crypto::preferred_suite() == crypto::Suite::kAes256Gcm;
  const std::string cipher = aes ? "AES-256-GCM" : "ChaCha20-Poly1305";
  if (common.json) {
    emit({{"type", "version"},
          {"version", COPPICE_VERSION},
          {"format_read_max", format::kFormatVersion},
          {"format_written", format::kFormatVersion},
          {"cipher", cipher},
          {"libraries",
           {{"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
            {"libsodium", sodium_version_string()},
            {"zstd", ZSTD_versionString()},
            {"xxhash", xxhash},
            {"libarchive", archive_version_details()},
            {"fmt", fmt_version},
            {"cli11", CLI11_VERSION}}}});
    return kDone;
  }
  print(fmt::format("coppice {}\nvault format {} (reads 1 to {})\nnew blocks are sealed with {} on this machine\n",
                    COPPICE_VERSION, format::kFormatVersion, format::kFormatVersion, cipher));
  print(fmt::format("OpenSSL {}, libsodium {}, zstd {}, xxHash {}, {}, fmt {}, CLI11 {}\n",
                    OpenSSL_version(OPENSSL_VERSION_STRING), sodium_version_string(), ZSTD_versionString(), xxhash,
                    archive_version_string(), fmt_version, CLI11_VERSION));
  return kDone;
}
}  // namespace

void add_version(Cli& cli) {
  CLI::App* command = add_command(cli.app, "version", "Show versions of the program, its format and its libraries",
                                  {"coppice version", "coppice version --json"});
  add_common_options(cli, command, Access::kNone);
  command->callback([&cli] { cli.action = [&cli] { return run_version(cli.common); }; });
}

}  // namespace coppice::cli
