#include "decoders.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  coppice::format::fuzz::extent_page({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
