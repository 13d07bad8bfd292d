#include "vault/cutter.h"

#include <algorithm>

#include "crypto/hash.h"

namespace coppice::vault {
namespace {

// FastCDC's normalisation: a harder mask before the mean, an easier one after it, so that lengths crowd around the mean. Two bits of
// difference each way; the mean is 2^19. The gear hash shifts left, so its high bits depend on the last 64 bytes: masks take those.
constexpr int kMeanBits = 19;
constexpr std::uint64_t top_bits(int n) { return ~0ull << (64 - n); }
constexpr std::uint64_t kMaskBeforeMean = top_bits(kMeanBits + 2), kMaskAfterMean = top_bits(kMeanBits - 2);
static_assert(1u << kMeanBits == kCutBytesMean);

}  // namespace

Cutter::Cutter(ByteSpan key) {
  Bytes table(255 * 32);
  crypto::hkdf(key, {}, as_bytes("coppice 1 gear"), table);
  // 255 * 32 bytes is HKDF's limit: 1,020 words, of which the table takes 256.
  for (std::size_t i = 0; i < gear_.size(); ++i) gear_[i] = load_le<std::uint64_t>(table, 8 * i);
  group_seed_ = load_le<std::uint64_t>(table, 8 * gear_.size());
}

std::size_t Cutter::first_chunk(ByteSpan data) const {
  const std::size_t end = std::min<std::size_t>(data.size(), kCutBytesMax);
  if (end <= kCutBytesMin) return end;
  const std::size_t mean = std::min<std::size_t>(end, kCutBytesMean);
  const auto* p = reinterpret_cast<const unsigned char*>(data.data());
  std::uint64_t hash = 0;
  std::size_t i = kCutBytesMin;
  for (; i < mean; ++i) {
    hash = (hash << 1) + gear_[p[i]];
    if (!(hash & kMaskBeforeMean)) return i + 1;
  }
  for (; i < end; ++i) {
    hash = (hash << 1) + gear_[p[i]];
    if (!(hash & kMaskAfterMean)) return i + 1;
  }
  return end;
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
