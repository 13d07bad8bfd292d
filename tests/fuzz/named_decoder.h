// A decoder as a function of bytes: false when it refuses them. A value that it accepts must hold what the decoder promises, or the
// program stops. Used by the fuzz targets, by the tests that replay corpora, and by those that damage good encodings.
#pragma once

#include <string_view>

#include "foundation/bytes.h"

namespace coppice::fuzz {

struct NamedDecoder {
  std::string_view name;   // of the fuzz target and of its corpus directory
  bool (*accepts)(ByteSpan);
};

}  // namespace coppice::fuzz

// The body of a fuzz target.
#define COPPICE_FUZZ_TARGET(function)                                            \
  extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) { \
    function({reinterpret_cast<const std::byte*>(data), size});                  \
    return 0;                                                                    \
  }
