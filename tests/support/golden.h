// Files under tests/golden: bytes as they are for ever. COPPICE_REWRITE_GOLDEN=1 writes them anew, and the test reports that it was skipped.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "foundation/bytes.h"

namespace coppice::testing {

inline bool rewriting_golden() { return std::getenv("COPPICE_REWRITE_GOLDEN") != nullptr; }
inline std::filesystem::path golden_path(const std::string& name) { return std::filesystem::path(COPPICE_TEST_SOURCE_DIR) / "golden" / name; }

inline std::string read_golden(const std::string& name) {
  std::ifstream in(golden_path(name), std::ios::binary);
  EXPECT_TRUE(in.good()) << golden_path(name) << " is missing";
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void expect_golden(const std::string& name, ByteSpan bytes) {
  const std::filesystem::path path = golden_path(name);
  if (rewriting_golden()) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good()) << path;
    GTEST_SKIP() << "wrote " << path << " instead of comparing with it";
  }
  EXPECT_TRUE(equal(as_bytes(read_golden(name)), bytes)) << name << ": format 1 has changed";
}

}  // namespace coppice::testing
