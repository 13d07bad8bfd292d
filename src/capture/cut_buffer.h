// Where the content of large files is read into and cut from. Chunks share the buffer that they were read into, so nothing is copied but
// what was not decided yet when a buffer is full. Successive files go on in the same buffer: what waits in the pipeline holds
// little more memory than its own bytes. One thread.
#pragma once

#include <cstring>
#include <memory>

#include "foundation/check.h"
#include "vault/cutter.h"
#include "vault/writer.h"

namespace coppice::capture {

class CutBuffer {
 public:
  static constexpr std::size_t kBufferBytes = 4u << 20, kReadBytes = 1u << 20;
  static_assert(kBufferBytes >= vault::kCutBytesMax + 2 * kReadBytes);

  // Where the next bytes go: kReadBytes or more.
  MutableByteSpan room() {
    if (!buffer_ || kBufferBytes - end_ < kReadBytes) renew();
    return MutableByteSpan(*buffer_).subspan(end_).first(kReadBytes);
  }
  void filled(std::size_t bytes) { end_ += bytes; }
  // What was filled and not taken. Less than vault::kCutBytesMax must be left of it when room() is called again.
  ByteSpan pending() const { return buffer_ ? ByteSpan(*buffer_).subspan(begin_, end_ - begin_) : ByteSpan(); }
  vault::SharedBytes take(std::size_t bytes) {
    CHECK(bytes <= end_ - begin_);
    vault::SharedBytes taken{.owner = buffer_, .bytes = pending().first(bytes)};
    begin_ += bytes;
    return taken;
  }
  void drop_pending() { begin_ = end_; }

 private:
  void renew() {
    const ByteSpan rest = pending();
    CHECK(rest.size() < vault::kCutBytesMax);
    auto next = std::make_shared<Bytes>(kBufferBytes);
    if (!rest.empty()) std::memcpy(next->data(), rest.data(), rest.size());
    begin_ = 0;
    end_ = rest.size();
    buffer_ = std::move(next);
  }

  std::shared_ptr<Bytes> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace coppice::capture
