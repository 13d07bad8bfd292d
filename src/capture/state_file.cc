#include "state_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "crypto/hash.h"

namespace coppice::capture {
namespace {

constexpr std::string_view kBodyMagic = "CPSTATE2", kHeadMagic = "CPSTHEAD";
constexpr std::size_t kPreambleBytes = 64, kSaltBytes = 32;
constexpr std::size_t kSealedPageBytes = kStatePageBytes + crypto::kAeadTagBytes;
constexpr std::size_t kPagesCached = 64;   // four megabytes

crypto::Key page_key(const crypto::Key& local_key, ByteSpan salt, std::string_view info) { return crypto::hkdf_key(local_key.view(), salt, info); }

std::array<std::byte, crypto::kAeadNonceBytes> nonce_of(std::uint64_t number) {
  std::array<std::byte, crypto::kAeadNonceBytes> nonce{};
  store_le<std::uint64_t>(nonce, 0, number);
  return nonce;
}

}  // namespace

Result<crypto::Key> load_local_key(const std::string& state_directory, platform::Entropy& entropy) {
  const std::string path = platform::join_path(state_directory, "local.key");
  for (int attempt = 0;; ++attempt) {
    Result<Bytes> found = platform::read_file(path, 4096);
    if (found && found->size() == 32) {
      crypto::Key key(std::span<const std::byte, 32>(found->data(), 32));
      crypto::wipe(*found);
      return key;
    }
    if (found) return fail(ErrorKind::kCorrupt, path + ": not a local key; remove it, and the next backup reads everything again");
    if (found.error().kind() != ErrorKind::kNotFound || attempt > 0) return std::unexpected(std::move(found).error());
    crypto::Key fresh;
    entropy.fill(fresh.writable());
    TRY(within(platform::write_file_durably(path, fresh.view(), 0600), path));   // and read back: two first runs agree on the last
  }
}

Result<StateWriter> StateWriter::create(const std::string& path, const crypto::Key& local_key, platform::Entropy& entropy) {
  platform::Fd fd = TRY(within(platform::open_at(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600), path));
  struct stat st;
  const bool locked = ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;   // else a sweeper holds it, who may be stopped
  if ((!locked && errno != EWOULDBLOCK) || ::fstat(fd.get(), &st) != 0) return fail_errno(errno, path);
  if (!locked || st.st_nlink == 0) return fail(ErrorKind::kConflict, path + ": a sweep came before it was locked");
  Bytes preamble(kPreambleBytes, std::byte{0});
  std::memcpy(preamble.data(), kBodyMagic.data(), kBodyMagic.size());
  entropy.fill(MutableByteSpan(preamble).subspan(8, kSaltBytes));
  TRY(within(platform::write_full(fd.get(), preamble), path));
  return StateWriter(std::move(fd), page_key(local_key, ByteSpan(preamble).subspan(8, kSaltBytes), "coppice 1 state body"));
}

void StateWriter::flush_page() {
  sealed_.resize(page_.size() + crypto::kAeadTagBytes);
  aead_.seal(crypto::preferred_suite(), key_.view(), nonce_of(pages_++), as_bytes(kBodyMagic), page_, sealed_);
  page_.clear();
  if (status_) status_ = platform::write_full(fd_.get(), sealed_);
}

std::uint64_t StateWriter::append(ByteSpan bytes) {
  const std::uint64_t at = pages_ * kStatePageBytes + page_.size();
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), kStatePageBytes - page_.size());
    coppice::append(page_, bytes.first(n));
    bytes = bytes.subspan(n);
    if (page_.size() == kStatePageBytes) flush_page();
  }
  return at;
}

Result<std::uint64_t> StateWriter::finish() {
  const std::uint64_t length = pages_ * kStatePageBytes + page_.size();
  if (!page_.empty()) flush_page();
  TRY(status_);
  TRY(platform::sync_fd(fd_.get()));
  return length;
}

Result<std::unique_ptr<StateReader>> StateReader::open(const std::string& path, const crypto::Key& local_key, std::uint64_t stream_bytes) {
  platform::Fd fd = TRY(within(platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NOFOLLOW), path));
  Bytes preamble(kPreambleBytes);
  if (TRY(platform::pread_full(fd.get(), preamble, 0)) != kPreambleBytes || as_text(ByteSpan(preamble).first(8)) != kBodyMagic)
    return fail(ErrorKind::kCorrupt, path + ": not a source state");
  crypto::Key key = page_key(local_key, ByteSpan(preamble).subspan(8, kSaltBytes), "coppice 1 state body");
  return std::unique_ptr<StateReader>(new StateReader(std::move(fd), std::move(key), stream_bytes));
}

Result<StateReader::Page> StateReader::page(std::uint64_t number) {
  {
    MutexLock lock(mutex_);
    if (const auto it = by_number_.find(number); it != by_number_.end()) {
      recent_.splice(recent_.begin(), recent_, it->second);
      return it->second->second;
    }
  }
  const std::size_t plain_bytes = std::min<std::uint64_t>(kStatePageBytes, stream_bytes_ - number * kStatePageBytes);
  thread_local Bytes sealed;
  thread_local crypto::Aead aead;
  sealed.resize(plain_bytes + crypto::kAeadTagBytes);
  if (TRY(platform::pread_full(fd_.get(), sealed, kPreambleBytes + number * kSealedPageBytes)) != sealed.size())
    return fail(ErrorKind::kCorrupt, "the source state is cut short");
  auto plain = std::make_shared<Bytes>(plain_bytes);
  TRY(aead.open(crypto::preferred_suite(), key_.view(), nonce_of(number), as_bytes(kBodyMagic), sealed, *plain));
  MutexLock lock(mutex_);
  if (!by_number_.contains(number)) {
    recent_.emplace_front(number, plain);
    by_number_[number] = recent_.begin();
    if (recent_.size() > kPagesCached) {
      by_number_.erase(recent_.back().first);
      recent_.pop_back();
    }
  }
  return Page(plain);
}

Result<> StateReader::read(std::uint64_t offset, MutableByteSpan into) {
  if (offset > stream_bytes_ || into.size() > stream_bytes_ - offset) return fail(ErrorKind::kCorrupt, "the source state points past its end");
  while (!into.empty()) {
    const Page from = TRY(page(offset / kStatePageBytes));
    const std::size_t at = offset % kStatePageBytes;
    const std::size_t n = std::min(into.size(), from->size() - at);
    std::memcpy(into.data(), from->data() + at, n);
    into = into.subspan(n);
    offset += n;
  }
  return {};
}

Bytes encode_state_head(const StateHead& head) {
  Bytes plain;
  format::Writer w(plain);
  w.text(head.body);
  w.u64(head.stream_bytes);
  w.u64(head.root_record);
  w.bytes(head.base);
  w.u64(static_cast<std::uint64_t>(head.started.seconds));
  w.u32(head.started.nanoseconds);
  w.u64(head.files);
  w.u64(head.bytes);
  return plain;
}

Result<StateHead> decode_state_head(ByteSpan plain) {
  format::Reader r(plain);
  StateHead head{.body = r.text(4096), .stream_bytes = r.u64(), .root_record = r.u64(), .base = r.array<32>()};
  head.started.seconds = static_cast<std::int64_t>(r.u64());
  head.started.nanoseconds = r.u32();
  head.files = r.u64();
  head.bytes = r.u64();
  if (!r.complete() || head.body.find('/') != std::string::npos) return fail(ErrorKind::kCorrupt, "not the head of a source state");
  return head;
}

Result<> write_state_head(const std::string& path, const crypto::Key& local_key, platform::Entropy& entropy, const StateHead& head) {
  const Bytes plain = encode_state_head(head);
  Bytes out = to_bytes(as_bytes(kHeadMagic));
  out.resize(8 + kSaltBytes + plain.size() + crypto::kAeadTagBytes);
  entropy.fill(MutableByteSpan(out).subspan(8, kSaltBytes));
  const crypto::Key key = page_key(local_key, ByteSpan(out).subspan(8, kSaltBytes), "coppice 1 state head");
  crypto::Aead aead;
  aead.seal(crypto::preferred_suite(), key.view(), nonce_of(0), as_bytes(kHeadMagic), plain, MutableByteSpan(out).subspan(8 + kSaltBytes));
  return platform::write_file_durably(path, out, 0600);
}

Result<StateHead> read_state_head(const std::string& path, const crypto::Key& local_key) {
  const Bytes file = TRY(platform::read_file(path, 64u << 10));
  if (file.size() < 8 + kSaltBytes + crypto::kAeadTagBytes || as_text(ByteSpan(file).first(8)) != kHeadMagic)
    return fail(ErrorKind::kCorrupt, path + ": not the head of a source state");
  const crypto::Key key = page_key(local_key, ByteSpan(file).subspan(8, kSaltBytes), "coppice 1 state head");
  Bytes plain(file.size() - 8 - kSaltBytes - crypto::kAeadTagBytes);
  crypto::Aead aead;
  TRY(aead.open(crypto::preferred_suite(), key.view(), nonce_of(0), as_bytes(kHeadMagic), ByteSpan(file).subspan(8 + kSaltBytes), plain));
  return within(decode_state_head(plain), path);
}

}  // namespace coppice::capture
