// The seed corpora of the fuzz targets (and what fuzzing found), and the golden files, through every decoder: none may crash, and
// what is accepted must be canonical. COPPICE_REWRITE_GOLDEN=1 writes the seeds anew.

#include "format/random_values.h"
#include "format/samples.h"
#include "fuzz/decoders.h"
#include "support/corpus.h"

namespace coppice::format {
namespace {

using testing::files_under;
using testing::kTests;

TEST(CorpusReplay, EveryDecoderHasSeedsThatItAccepts) {
  if (std::getenv("COPPICE_REWRITE_GOLDEN")) {
    for (int i = 0; i < 3; ++i) {
      Random random(static_cast<std::uint64_t>(i));
      for (const Sample& sample : samples(random)) {
        const auto directory = kTests / "fuzz/corpus" / sample.decoder;
        std::filesystem::create_directories(directory);
        std::ofstream out(directory / fmt::format("seed-{}", i), std::ios::binary);
        out.write(reinterpret_cast<const char*>(sample.bytes.data()), static_cast<std::streamsize>(sample.bytes.size()));
        ASSERT_TRUE(out.good()) << directory;
      }
    }
    GTEST_SKIP() << "wrote the seeds instead of reading them";
  }
  testing::replay(fuzz::kDecoders);
}

TEST(CorpusReplay, EveryFileThroughEveryDecoder) {
  if (std::getenv("COPPICE_REWRITE_GOLDEN")) GTEST_SKIP() << "the files are being written";
  for (const char* directory : {"fuzz/corpus", "golden/format1"})
    for (const auto& [path, bytes] : files_under(kTests / directory)) {
      SCOPED_TRACE(path);
      for (const auto& decoder : fuzz::kDecoders) decoder.accepts(as_bytes(bytes));
    }
}

}  // namespace
}  // namespace coppice::format
