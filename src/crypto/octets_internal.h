// The bytes of C libraries, which call them unsigned char.
#pragma once

#include <cstddef>

namespace coppice::crypto {

inline unsigned char* octets(std::byte* p) { return reinterpret_cast<unsigned char*>(p); }
inline const unsigned char* octets(const std::byte* p) { return reinterpret_cast<const unsigned char*>(p); }

}  // namespace coppice::crypto
