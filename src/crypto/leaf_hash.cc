#include "crypto/leaf_hash.h"

#include "foundation/check.h"
#include "multi_buffer.h"

namespace coppice::crypto {
namespace {

std::size_t leaves_of(std::size_t bytes) { return (bytes + kHashLeafBytes - 1) / kHashLeafBytes; }

ByteSpan leaf(ByteSpan bytes, std::size_t i) {
  return bytes.subspan(i * kHashLeafBytes, std::min(kHashLeafBytes, bytes.size() - i * kHashLeafBytes));
}

#ifdef COPPICE_HAS_IPSEC_MB

void hash_in_lanes(IMB_MGR* manager, ByteSpan bytes, std::span<Digest> digests) {
  std::size_t done = 0;
  const auto count = [&](const IMB_JOB* job) {
    for (; job; job = IMB_GET_COMPLETED_JOB(manager)) {
      CHECK(job->status == IMB_STATUS_COMPLETED);
      ++done;
    }
  };
  for (std::size_t i = 0; i < digests.size(); ++i) {
    const ByteSpan part = leaf(bytes, i);
    IMB_JOB* job = IMB_GET_NEXT_JOB(manager);
    *job = {};
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->src = reinterpret_cast<const std::uint8_t*>(part.data());
    job->msg_len_to_hash_in_bytes = part.size();
    job->auth_tag_output = reinterpret_cast<std::uint8_t*>(digests[i].data());
    job->auth_tag_output_len_in_bytes = digests[i].size();
    count(IMB_SUBMIT_JOB(manager));
  }
  while (const IMB_JOB* job = IMB_FLUSH_JOB(manager)) count(job);
  CHECK(done == digests.size());
}

#endif

// The outer input: the length, then the leaves' digests.
ByteSpan outer_input(ByteSpan bytes) {
  static_assert(sizeof(Digest) == 32);
  constexpr std::size_t kLengthBytes = 8;
  thread_local std::vector<Digest> room;   // the length in the last bytes of the first element, so that the digests stay aligned
  const std::size_t leaves = leaves_of(bytes.size());
  room.resize(1 + leaves);
  const std::span<Digest> digests = std::span(room).subspan(1);
  store_le<std::uint64_t>(MutableByteSpan(room.front()).last(kLengthBytes), 0, bytes.size());
#ifdef COPPICE_HAS_IPSEC_MB
  constexpr std::size_t kLeavesWorthwhile = 4;   // fewer leave most lanes empty
  if (IMB_MGR* manager = leaves >= kLeavesWorthwhile ? multi_buffer_manager() : nullptr) {
    hash_in_lanes(manager, bytes, digests);
    return std::as_bytes(std::span(room)).subspan(sizeof(Digest) - kLengthBytes);
  }
#endif
  for (std::size_t i = 0; i < leaves; ++i) digests[i] = sha256(leaf(bytes, i));
  return std::as_bytes(std::span(room)).subspan(sizeof(Digest) - kLengthBytes);
}

}  // namespace

Digest leaf_hash(ByteSpan bytes) { return sha256(outer_input(bytes)); }
Digest LeafMac::mac(ByteSpan bytes) const { return hmac_.mac(outer_input(bytes)); }

}  // namespace coppice::crypto
