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
constexpr std::size_t kNoCut = SIZE_MAX;

}  // namespace

Cutter::Cutter(ByteSpan key) {
  Bytes table(255 * 32);
  crypto::hkdf(key, {}, as_bytes("coppice 1 gear"), table);
  // 255 * 32 bytes is HKDF's limit: 1,020 words, of which the table takes 256.
  for (std::size_t i = 0; i < gear_.size(); ++i) gear_[i] = load_le<std::uint64_t>(table, 8 * i);
  group_seed_ = load_le<std::uint64_t>(table, 8 * gear_.size());
}

// The length of the chunk that ends where the hash first meets `mask`, looking at bytes [from, end); kNoCut when it does not. One byte's hash needs the
// one before it, two cycles a byte; so four are taken at a time: their own sums do not depend on what came before, and only
// one shift and one addition are left between one four and the next.
std::size_t Cutter::find_cut(const unsigned char* p, std::size_t from, std::size_t end, std::uint64_t mask, std::uint64_t& hash) const {
  std::uint64_t h = hash;
  std::size_t i = from;
  for (; i + 4 <= end; i += 4) {
    const std::uint64_t s1 = gear_[p[i]], s2 = (s1 << 1) + gear_[p[i + 1]], s3 = (s2 << 1) + gear_[p[i + 2]], s4 = (s3 << 1) + gear_[p[i + 3]];
    const std::uint64_t h1 = (h << 1) + s1, h2 = (h << 2) + s2, h3 = (h << 3) + s3, h4 = (h << 4) + s4;
    if (!(h1 & mask) || !(h2 & mask) || !(h3 & mask) || !(h4 & mask)) [[unlikely]]
      return i + (!(h1 & mask) ? 1 : !(h2 & mask) ? 2 : !(h3 & mask) ? 3 : 4);
    h = h4;
  }
  for (; i < end; ++i) {
    h = (h << 1) + gear_[p[i]];
    if (!(h & mask)) return i + 1;
  }
  hash = h;
  return kNoCut;
}

std::size_t Cutter::first_chunk(ByteSpan data, bool last, Search& search) const {
  const std::size_t end = std::min<std::size_t>(data.size(), kCutBytesMax), mean = std::min<std::size_t>(end, kCutBytesMean);
  const auto* p = reinterpret_cast<const unsigned char*>(data.data());
  std::size_t cut = kNoCut;
  if (end > kCutBytesMin) {
    search.at = std::max<std::size_t>(search.at, kCutBytesMin);
    if (search.at < mean) {
      cut = find_cut(p, search.at, mean, kMaskBeforeMean, search.hash);
      search.at = mean;
    }
    if (cut == kNoCut) {
      cut = find_cut(p, search.at, end, kMaskAfterMean, search.hash);
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
