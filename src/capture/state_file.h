// The source state's storage: an append-only file of sealed pages, and a small head that says which file counts.
//
// Body:  magic (8) | salt (32) | zero (24) | pages: AEAD(64 KiB of the stream), the last one shorter. Key = HKDF(local key, salt), nonce = page number.
// Head:  magic (8) | salt (32) | AEAD(fields). Replaced durably after the commit it belongs to.
//
// The local key never leaves this host; a thief of the state file alone learns its size. A state that does not open is no state: the
// next run reads everything again and stores nothing twice.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "crypto/aead.h"
#include "crypto/secret.h"
#include "format/ids.h"
#include "foundation/mutex.h"
#include "foundation/time.h"
#include "platform/entropy.h"
#include "platform/file.h"

namespace coppice::capture {

inline constexpr std::size_t kStatePageBytes = 64u << 10;

// <state>/local.key, made at first use (0600).
Result<crypto::Key> load_local_key(const std::string& state_directory, platform::Entropy& entropy);

// Not thread-safe.
class StateWriter {
 public:
  // A new file, locked (flock) as long as the writer lives.
  static Result<StateWriter> create(const std::string& path, const crypto::Key& local_key, platform::Entropy& entropy);
  // Where `bytes` begin in the stream. A failure (no space) makes the writer broken: finish() reports it.
  std::uint64_t append(ByteSpan bytes);
  Result<std::uint64_t> finish();   // in stable storage on return; the length of the stream

 private:
  StateWriter(platform::Fd fd, crypto::Key key) : fd_(std::move(fd)), key_(std::move(key)) {}
  void flush_page();
  platform::Fd fd_;
  crypto::Key key_;
  crypto::Aead aead_;
  Bytes page_, sealed_;
  std::uint64_t pages_ = 0;
  Result<> status_;
};

// Thread-safe; keeps a few megabytes of opened pages.
class StateReader {
 public:
  static Result<std::unique_ptr<StateReader>> open(const std::string& path, const crypto::Key& local_key, std::uint64_t stream_bytes);
  Result<> read(std::uint64_t offset, MutableByteSpan into);
  std::uint64_t bytes() const { return stream_bytes_; }

 private:
  using Page = std::shared_ptr<const Bytes>;
  StateReader(platform::Fd fd, crypto::Key key, std::uint64_t stream_bytes) : fd_(std::move(fd)), key_(std::move(key)), stream_bytes_(stream_bytes) {}
  Result<Page> page(std::uint64_t number);
  platform::Fd fd_;
  crypto::Key key_;
  std::uint64_t stream_bytes_;
  Mutex mutex_;
  std::list<std::pair<std::uint64_t, Page>> recent_ GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, std::list<std::pair<std::uint64_t, Page>>::iterator> by_number_ GUARDED_BY(mutex_);
};

struct StateHead {
  std::string body;                  // file name beside the head
  std::uint64_t stream_bytes = 0;
  std::uint64_t root_record = 0;     // offset + 1; 0: an empty tree
  format::Digest base{};             // hash of the commit that this is the state of
  Timestamp started;                 // when that run began to look
  std::uint64_t files = 0, bytes = 0;   // of that snapshot: what progress reckons with
};
Bytes encode_state_head(const StateHead& head);
Result<StateHead> decode_state_head(ByteSpan plain);
Result<> write_state_head(const std::string& path, const crypto::Key& local_key, platform::Entropy& entropy, const StateHead& head);
// kNotFound when there is none.
Result<StateHead> read_state_head(const std::string& path, const crypto::Key& local_key);

}  // namespace coppice::capture
