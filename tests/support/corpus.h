// The corpora of the fuzz targets (seeds, and what fuzzing found), through the decoders of a layer.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "fuzz/named_decoder.h"

namespace coppice::testing {

inline const std::filesystem::path kTests = COPPICE_TEST_SOURCE_DIR;

inline std::vector<std::pair<std::filesystem::path, std::string>> files_under(const std::filesystem::path& directory) {
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  for (const auto& item : std::filesystem::recursive_directory_iterator(directory)) {
    if (!item.is_regular_file()) continue;
    std::ifstream in(item.path(), std::ios::binary);
    files.emplace_back(item.path(), std::string{std::istreambuf_iterator<char>(in), {}});
  }
  return files;
}

// Every decoder survives its corpus, and accepts something of it.
inline void replay(std::span<const fuzz::NamedDecoder> decoders) {
  for (const auto& decoder : decoders) {
    const auto directory = kTests / "fuzz/corpus" / decoder.name;
    ASSERT_TRUE(std::filesystem::is_directory(directory)) << directory;
    int accepted = 0;
    for (const auto& [path, bytes] : files_under(directory)) {
      SCOPED_TRACE(path);
      accepted += decoder.accepts(as_bytes(bytes));
    }
    EXPECT_GT(accepted, 0) << decoder.name;
  }
}

}  // namespace coppice::testing
