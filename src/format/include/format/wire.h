// The two halves of every encoding: a writer that appends little-endian fields to bytes, and a reader that never reads past
// its end. The reader remembers its first failure and from then on returns zeros, so that a decoder checks once, at the end.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "foundation/bytes.h"
#include "foundation/result.h"

namespace coppice::format {

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}
  void u8(std::uint8_t v) { out_.push_back(std::byte{v}); }
  void u16(std::uint16_t v) { fixed(v); }
  void u32(std::uint32_t v) { fixed(v); }
  void u64(std::uint64_t v) { fixed(v); }
  void varint(std::uint64_t v) {  // LEB128, shortest form
    while (v >= 0x80) {
      u8(static_cast<std::uint8_t>(v | 0x80));
      v >>= 7;
    }
    u8(static_cast<std::uint8_t>(v));
  }
  void zigzag(std::int64_t v) {
    varint((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
  }
  void bytes(ByteSpan b) { append(out_, b); }                       // no length
  void sized(ByteSpan b) { varint(b.size()); bytes(b); }            // varint length, then the bytes
  void text(std::string_view s) { sized(as_bytes(s)); }

 private:
  template <class T>
  void fixed(T v) {
    std::array<std::byte, sizeof(T)> raw;
    store_le<T>(raw, 0, v);
    bytes(raw);
  }
  Bytes& out_;
};

class Reader {
 public:
  explicit Reader(ByteSpan in) : in_(in) {}
  std::uint8_t u8() {
    if (at_ >= in_.size()) return fail(), 0;
    return static_cast<std::uint8_t>(in_[at_++]);
  }
  std::uint16_t u16() { return fixed<std::uint16_t>(); }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::uint64_t u64() { return fixed<std::uint64_t>(); }
  std::uint64_t varint() {  // fails on more than 64 bits and on a form that is not the shortest
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ >= in_.size()) return fail(), 0;
      const auto b = static_cast<std::uint8_t>(in_[at_++]);
      if ((shift == 63 && b > 1) || (b == 0 && shift != 0)) return fail(), 0;
      v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if (!(b & 0x80)) return v;
    }
    return fail(), 0;
  }
  std::int64_t zigzag() {
    const std::uint64_t v = varint();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  std::uint64_t varint_max(std::uint64_t max) {  // fails above max
    const std::uint64_t v = varint();
    if (v > max) return fail(), 0;
    return v;
  }
  ByteSpan bytes(std::size_t n) {
    if (n > in_.size() - at_) return fail(), ByteSpan{};
    const ByteSpan b = in_.subspan(at_, n);
    at_ += n;
    return b;
  }
  ByteSpan sized(std::uint64_t max) { return bytes(varint_max(max)); }
  std::string text(std::uint64_t max) { return std::string(as_text(sized(max))); }
  template <std::size_t N>
  std::array<std::byte, N> array() {
    std::array<std::byte, N> a{};
    const ByteSpan b = bytes(N);
    if (b.size() == N) std::memcpy(a.data(), b.data(), N);
    return a;
  }
  void expect(bool condition) {  // a rule of the format that the bytes must keep
    if (!condition) fail();
  }
  std::size_t position() const { return at_; }
  std::size_t remaining() const { return in_.size() - at_; }
  bool failed() const { return failed_; }
  // Nothing failed and nothing is left over.
  bool complete() const { return !failed_ && at_ == in_.size(); }

 private:
  void fail() {
    failed_ = true;
    at_ = in_.size();
  }
  template <class T>
  T fixed() {
    const ByteSpan b = bytes(sizeof(T));
    return b.size() == sizeof(T) ? load_le<T>(b) : T{};
  }
  ByteSpan in_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace coppice::format
