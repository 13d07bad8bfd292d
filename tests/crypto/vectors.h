// Published vectors are hexadecimal text.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "crypto/secret.h"
#include "foundation/encoding.h"

namespace coppice::crypto {

inline Bytes hex(std::string_view text) { return parse_hex(text).value(); }

template <std::size_t N = 32>
std::array<std::byte, N> hex_array(std::string_view text) {
  const Bytes bytes = hex(text);
  EXPECT_EQ(bytes.size(), N);
  std::array<std::byte, N> out{};
  std::copy_n(bytes.begin(), std::min(N, bytes.size()), out.begin());
  return out;
}

inline Key hex_key(std::string_view text) { return Key(std::span<const std::byte, 32>(hex_array<32>(text))); }

}  // namespace coppice::crypto
