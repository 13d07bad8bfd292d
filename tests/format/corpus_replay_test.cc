// The seed corpora of the fuzz targets (and what fuzzing found), and the golden files, through every decoder: none may crash, and
// what is accepted must be canonical. COPPICE_REWRITE_GOLDEN=1 writes the seeds anew.

#include <filesystem>
#include <fstream>
#include <iterator>

#include "format/random_values.h"
#include "fuzz/decoders.h"
#include "format/samples.h"

namespace coppice::format {
namespace {

const std::filesystem::path kTests = COPPICE_TEST_SOURCE_DIR;

std::vector<std::pair<std::filesystem::path, std::string>> files_under(const std::filesystem::path& directory) {
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  for (const auto& item : std::filesystem::recursive_directory_iterator(directory)) {
    if (!item.is_regular_file()) continue;
    std::ifstream in(item.path(), std::ios::binary);
    files.emplace_back(item.path(), std::string{std::istreambuf_iterator<char>(in), {}});
  }
  return files;
}

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
  for (const auto& decoder : fuzz::kDecoders) {
    const auto directory = kTests / "fuzz/corpus" / decoder.name;
    ASSERT_TRUE(std::filesystem::is_directory(directory)) << directory;
    int accepted = 0;
    for (const auto& [path, bytes] : files_under(directory)) accepted += decoder.accepts(as_bytes(bytes));
    EXPECT_GT(accepted, 0) << decoder.name;
  }
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
