// --verify: what was written is read back from the device and compared; what looked right before is compared instead of
// trusted.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "entry_writer.h"

namespace coppice::restore {
namespace {

constexpr std::size_t kCompareBytes = 256u << 10;

bool all_zero(ByteSpan bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

// Whether the file holds the pieces' bytes; else why not.
Result<> EntryWriter::read_back(int fd, const Piece* begin, const Piece* end) {
  compare_buffer_.resize(kCompareBytes);
  for (; begin != end; ++begin) {
    const ByteSpan bytes = TRY(bytes_of(*begin));
    for (std::size_t done = 0; done < bytes.size();) {
      const std::size_t part = std::min(kCompareBytes, bytes.size() - done);
      const std::size_t n =
          TRY(platform::pread_full(fd, MutableByteSpan(compare_buffer_).first(part), begin->at + done));
      if (n != part || std::memcmp(compare_buffer_.data(), bytes.data() + done, part) != 0)
        return coppice::fail(ErrorKind::kCorrupt, "it is not what was written: do not trust this device");
      done += part;
    }
  }
  return {};
}

void EntryWriter::flush_pending() {
  // Many files in one go: a flush of each would cost a round trip to the device.
  constexpr std::size_t kFlushedOneByOne = 4;
  std::vector<dev_t> flushed;   // file systems
  const auto is_flushed = [&](int fd) {
    struct stat st {};
    if (pending_.size() <= kFlushedOneByOne || ::fstat(fd, &st) != 0) return false;
    if (std::ranges::find(flushed, st.st_dev) != flushed.end()) return true;
    if (::syncfs(fd) != 0) return false;
    flushed.push_back(st.st_dev);
    return true;
  };
  for (Pending& p : pending_) {
    Record& record = *p.record;
    const bool alone = static_cast<bool>(p.fd);
    int fd = p.fd.get();
    if (!alone) {
      MutexLock lock(record.shared->mutex);
      fd = record.shared->fd.get();  // ours until release_shared()
    }
    // Clean pages can be dropped, so that the bytes come from the device and not from memory.
    if (!is_flushed(fd) && ::fdatasync(fd) != 0) fail_errno(record, "cannot be written", errno);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (!record.failed)
      if (auto same = read_back(fd, p.begin, p.end); !same)
        fail(record, "read back from the target: " + same.error().message());
    if (alone) {
      if (enter(record.directory, &record, record.where())) {
        p.target.directory_fd = pin_.fd();
        finish_file(record, std::move(p.fd), p.target, 0);
      } else {
        settle(record, nullptr);
      }
      close_record(record);
    } else {
      release_shared(record);
      finish_pieces(record, static_cast<std::uint64_t>(p.end - p.begin));
    }
  }
  pending_.clear();
}

void EntryWriter::compare_existing(Record& record, const Piece* begin, const Piece* end) {
  const auto compare = [&](int fd) {
    if (!record.mismatch && !read_back(fd, begin, end))
      record.mismatch = true;  // unreadable too: a new file may lie in a better place
  };
  if (record.shared) {
    if (const int fd = acquire_shared(record); fd >= 0) {
      compare(fd);
      release_shared(record);
    }
    return finish_pieces(record, static_cast<std::uint64_t>(end - begin));
  }
  platform::Fd fd;
  if (!run_.collector.stopped() && enter(record.directory, &record, record.where())) {
    fd = open_existing(record.name);
    if (fd)
      compare(fd.get());
    else
      fail_errno(record, "cannot be opened", errno);
  }
  finish_checked(record, std::move(fd));
  close_record(record);
}

// What has other names, and would be changed: it may be somebody else's file (planning.cc has the same rule when it
// looks).
bool EntryWriter::is_foreign(const struct stat& st, const Attributes& a) const {
  return st.st_nlink > 1 && !owner_and_mode_are(st, a.uid, a.gid, a.mode, run_.metadata.root());
}

void EntryWriter::finish_checked(Record& record, platform::Fd fd) {
  struct stat st {};
  if (fd && !record.failed && !record.mismatch &&
      (::fstat(fd.get(), &st) != 0 || is_foreign(st, record.attributes) || !holes_are_zero(record, fd.get())))
    record.mismatch = true;
  if (record.mismatch && !record.failed && !run_.collector.stopped()) {
    run_.collector.warn(record.where().path(),
                        "its size and time are right but its content is not: it is restored again");
    DirectoryTree::hold(record.directory);
    if (record.link) record.link->references.fetch_add(1, std::memory_order_relaxed);
    return run_.again.add({record.directory, std::string(record.name, record.name_bytes), record.link, AgainList::Why::kWrong});
  }
  if (!fd || record.failed || run_.collector.stopped()) return settle(record, nullptr);
  const Where where = record.where();
  bool right = true;
  const bool refresh = !run_.metadata.is_right(fd.get(), HandleKind::kOpen, st, record.attributes);
  if (refresh) {
    if (!lift_guards(record, fd.get())) return settle(record, &st);
    right = run_.metadata.apply(fd.get(), HandleKind::kOpen, st, record.attributes, {.existed = true}, where);
  }
  settle(record, &st);
  if (refresh && !record.link) right &= run_.metadata.apply_flags(fd.get(), record.attributes, true, where);
  if (!right) run_.collector.count_failed();
  run_.collector.count_verified();
  run_.collector.count_file(record.attributes.size, 0, refresh && right ? Collector::How::kMetadata : Collector::How::kAlready);
}

bool EntryWriter::holes_are_zero(Record& record, int fd) {
  compare_buffer_.resize(kCompareBytes);
  for (const Hole* hole = record.holes; hole; hole = hole->next) {
    const std::uint64_t end = hole->at + hole->length;
    for (std::uint64_t at = hole->at; at < end;) {
      const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // nothing but a hole up to the end
      if (data >= 0) at = std::max(at, static_cast<std::uint64_t>(data));
      if (at >= end) break;
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(kCompareBytes, end - at));
      auto n = platform::pread_full(fd, MutableByteSpan(compare_buffer_).first(part), at);
      if (!n || *n != part || !all_zero(ByteSpan(compare_buffer_).first(part))) return false;
      at += part;
    }
  }
  return true;
}

}  // namespace coppice::restore
