#include "decoders.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  coppice::format::fuzz::reference_leaf({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
