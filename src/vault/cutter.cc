#include "vault/cutter.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "crypto/hash.h"

namespace coppice::vault {
namespace {

// FastCDC's normalisation: a harder mask before the mean, an easier one after it, so that lengths crowd around the mean. Two bits of
// difference each way; the mean is 2^19. The gear hash shifts left, so its high bits depend on the last 64 bytes: masks take those.
// kMarkBits of the condition are the mark's, which is seen for many bytes at once; the gear hash is made where there is a mark.
constexpr int kMeanBits = 19, kMarkBits = 11;
constexpr std::uint64_t top_bits(int n) { return ~0ull << (64 - n); }
constexpr std::uint64_t kMaskBeforeMean = top_bits(kMeanBits + 2 - kMarkBits), kMaskAfterMean = top_bits(kMeanBits - 2 - kMarkBits);
static_assert(1u << kMeanBits == kCutBytesMean);
constexpr std::uint16_t kNoMark = 0xffff << (16 - kMarkBits) & 0xffff;   // a mark has none of these bits
constexpr std::size_t kMarkBytes = 32, kGearBytes = 64;
// Where the words lie that are summed: apart, for in text and tables the same eight bytes come again and again, and then many places
// could never be a mark.
constexpr std::size_t kWordAt[] = {0, 9, 19, 30};
static_assert(kCutBytesMin >= kGearBytes);
constexpr std::size_t kNoCut = SIZE_MAX;

using Words = std::uint16_t __attribute__((vector_size(16)));
constexpr std::size_t kStep = 64;   // places looked at in one go

// Eight little-endian words from `p` on.
Words load(const unsigned char* p) {
  Words words;
  std::memcpy(&words, p, sizeof words);
  return words;
}

}  // namespace

Cutter::Cutter(ByteSpan key) {
  Bytes table(255 * 32);
  crypto::hkdf(key, {}, as_bytes("coppice 1 gear"), table);
  // 255 * 32 bytes is HKDF's limit: 1,020 words, of which the table takes 256.
  for (std::size_t i = 0; i < gear_.size(); ++i) gear_[i] = load_le<std::uint64_t>(table, 8 * i);
  group_seed_ = load_le<std::uint64_t>(table, 8 * gear_.size());
  for (std::size_t i = 0; i < factors_.size(); ++i) factors_[i] = static_cast<std::uint16_t>(load_le<std::uint64_t>(table, 8 * (gear_.size() + 1 + i)) | 1);
  // One byte over and over, zeros most of all, must not be a mark everywhere. Of the 2^11 ranges of a sum that bytes could hit, they
  // hit 2^8 at most.
  const auto marks_a_run = [this] {
    for (unsigned byte = 0; byte < 256; ++byte) {
      unsigned char run[kMarkBytes];
      std::memset(run, static_cast<int>(byte), sizeof run);
      if (is_mark(run)) return true;
    }
    return false;
  };
  while (marks_a_run()) bias_ = static_cast<std::uint16_t>(bias_ + (1u << (16 - kMarkBits)));
}

bool Cutter::is_mark(const unsigned char* p) const {
  const ByteSpan window = std::as_bytes(std::span(p, kMarkBytes));
  unsigned sum = bias_;
  for (std::size_t i = 0; i < factors_.size(); ++i) sum += unsigned{factors_[i]} * load_le<std::uint16_t>(window, kWordAt[i]);
  return (sum & kNoMark) == 0;
}

// The length of the chunk that ends at the first place where there is a mark and the gear hash meets `mask`, of the places after byte `from` and before
// byte `end`; kNoCut when there is none. A mark takes four multiplications of 16 bits to see, and a vector of words holds every other place's: two
// such vectors are sixteen places.
std::size_t Cutter::find_cut(const unsigned char* p, std::size_t from, std::size_t end, std::uint64_t mask) const {
  std::uint64_t hash = 0;
  std::size_t hashed = 0;   // the hash is that of the bytes before this one
  const auto cuts_after = [&](std::size_t i) {
    std::size_t at = i + 1 - kGearBytes;
    if (hashed > at) at = hashed;   // what is older has been shifted out
    for (; at <= i; ++at) hash = (hash << 1) + gear_[p[at]];
    hashed = at;
    return (hash & mask) == 0;
  };
  const Words f0 = Words{} + factors_[0], f1 = Words{} + factors_[1], f2 = Words{} + factors_[2], f3 = Words{} + factors_[3], bias = Words{} + bias_;
  const auto unmarked = [&](const unsigned char* q) {
    return (bias + load(q + kWordAt[0]) * f0 + load(q + kWordAt[1]) * f1 + load(q + kWordAt[2]) * f2 + load(q + kWordAt[3]) * f3) & kNoMark;
  };
  std::size_t i = from;
  for (; i + kStep <= end; i += kStep) {
    // A byte for each place, all ones at a mark.
    std::uint64_t marks[kStep / 8], any = 0;
    for (std::size_t k = 0; k < kStep / 16; ++k) {
      const unsigned char* q = p + i + 16 * k + 1 - kMarkBytes;
      const Words even = reinterpret_cast<Words>(unmarked(q) == 0), odd = reinterpret_cast<Words>(unmarked(q + 1) == 0);
      const Words both = (even & 0x00ff) | (odd & 0xff00);
      std::memcpy(marks + 2 * k, &both, sizeof both);
    }
    for (const std::uint64_t eight : marks) any |= eight;
    if (any == 0) [[likely]] continue;
    for (std::size_t k = 0; k < kStep / 8; ++k) {
      for (std::uint64_t eight = marks[k]; eight != 0;) {
        const auto byte = static_cast<std::size_t>(std::countr_zero(eight)) / 8;
        const std::size_t place = i + 8 * k + byte;
        if (cuts_after(place)) return place + 1;
        eight &= byte == 7 ? 0 : ~0ull << (8 * byte + 8);
      }
    }
  }
  for (; i < end; ++i)
    if (is_mark(p + i + 1 - kMarkBytes) && cuts_after(i)) return i + 1;
  return kNoCut;
}

std::size_t Cutter::first_chunk(ByteSpan data, bool last, Search& search) const {
  const std::size_t end = std::min<std::size_t>(data.size(), kCutBytesMax), mean = std::min<std::size_t>(end, kCutBytesMean);
  const auto* p = reinterpret_cast<const unsigned char*>(data.data());
  std::size_t cut = kNoCut;
  if (end > kCutBytesMin) {
    search.at = std::max<std::size_t>(search.at, kCutBytesMin);
    if (search.at < mean) {
      cut = find_cut(p, search.at, mean, kMaskBeforeMean);
      search.at = mean;
    }
    if (cut == kNoCut) {
      cut = find_cut(p, search.at, end, kMaskAfterMean);
      search.at = end;
    }
  }
  if (cut != kNoCut) return cut;
  return last || end == kCutBytesMax ? end : 0;
}

bool Cutter::group_ends_after(ByteSpan file, std::size_t group_bytes) const {
  if (group_bytes < kGroupBytesMin) return false;
  // P(cut) = size / 384 KiB, decided by the file's own bytes: the same file cuts in the same place next time.
  constexpr std::uint64_t kSpan = 384u << 10;
  __extension__ using Wide = unsigned __int128;
  const Wide threshold = (Wide{1} << 64) * file.size() / kSpan;
  return Wide{crypto::xxh3_64(file, group_seed_)} < threshold;
}

}  // namespace coppice::vault
