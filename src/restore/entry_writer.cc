// Files with content: pieces of a decoded block, written to where they belong.

#include "entry_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace coppice::restore {
namespace {

// From here a file without holes gets its space at once: its blocks may be written in any order, and a full disk is
// known early.
constexpr std::uint64_t kPreallocateBytesMin = 64u << 20;

int open_restarting(int dir, const char* name, int flags, mode_t mode = 0) {
  for (;;) {
    const int fd = ::openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

}  // namespace

void EntryWriter::write_block(const Window& window, const BlockGroup& group) {
  window_ = &window;
  chunk_ = 0xffffffff;
  const Piece* begin = window.pieces.data() + group.begin;
  const Piece* end = window.pieces.data() + group.end;
  if (run_.collector.stopped()) return fail_pieces(begin, end, Error(ErrorKind::kCancelled, "stopped"));
  auto block = group.keep ? run_.reader.block(group.birth) : run_.reader.block_uncached(group.birth);
  if (!block) return fail_pieces(begin, end, block.error());
  block_ = std::move(*block);
  while (begin != end) {
    const Piece* next = begin;
    while (next != end && next->record == begin->record) ++next;
    write_run(*begin->record, begin, next);
    begin = next;
  }
  flush_pending();
  block_.reset();
}

void EntryWriter::write_run(Record& record, const Piece* begin, const Piece* end) {
  if (record.action == Action::kCheck) return compare_existing(record, begin, end);
  if (record.shared) return write_shared(record, begin, end);
  write_alone(record, begin, end);
}

void EntryWriter::fail_pieces(const Piece* begin, const Piece* end, const Error& error) {
  while (begin != end) {
    const Piece* next = begin;
    while (next != end && next->record == begin->record) ++next;
    Record& record = *begin->record;
    fail(record, "its content cannot be read from the vault: " + error.message());
    if (record.shared) {
      finish_pieces(record, static_cast<std::uint64_t>(next - begin));
    } else {
      settle(record, nullptr);
      close_record(record);
    }
    begin = next;
  }
}

// The whole content lies in this block: one descriptor, from creation to the last attribute.
void EntryWriter::write_alone(Record& record, const Piece* begin, const Piece* end) {
  if (run_.collector.stopped() || !enter(record.directory, &record, record.where())) {
    settle(record, nullptr);
    return close_record(record);
  }
  Target target = target_of(record);
  auto fd = create_file(record, target, run_.metadata.creation_mode(record.attributes));
  if (!fd) {
    settle(record, nullptr);
    return close_record(record);
  }
  if (prepare_size(record, fd->get()) && write_pieces(record, fd->get(), begin, end) && run_.options.verify) {
    ::sync_file_range(fd->get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    pending_.push_back({&record, std::move(*fd), target, begin, end});
    if (pending_.size() >= run_.pending_max) flush_pending();
    return;
  }
  finish_file(record, std::move(*fd), target, 0);
  close_record(record);
}

void EntryWriter::write_shared(Record& record, const Piece* begin, const Piece* end) {
  const auto count = static_cast<std::uint64_t>(end - begin);
  const int fd = acquire_shared(record);
  if (fd < 0) return finish_pieces(record, count);
  if (write_pieces(record, fd, begin, end)) {
    std::uint64_t bytes = 0;
    for (const Piece* p = begin; p != end; ++p) bytes += p->length;
    record.shared->shown.fetch_add(bytes, std::memory_order_relaxed);
    run_.collector.show_bytes(bytes);
    if (run_.options.verify) {
      ::sync_file_range(fd, static_cast<off64_t>(begin->at), 0, SYNC_FILE_RANGE_WRITE);
      pending_.push_back({&record, {}, {}, begin, end});
      if (pending_.size() >= run_.pending_max) flush_pending();
      return;
    }
  }
  release_shared(record);
  finish_pieces(record, count);
}

Result<ByteSpan> EntryWriter::bytes_of(const Piece& piece) {
  if (piece.chunk != chunk_) {
    chunk_bytes_ = TRY(block_->chunk(window_->chunks[piece.chunk]));
    chunk_ = piece.chunk;
  }
  if (piece.offset > chunk_bytes_.size() || piece.length > chunk_bytes_.size() - piece.offset)
    return coppice::fail(ErrorKind::kCorrupt, "the snapshot names bytes past the end of a chunk");
  return chunk_bytes_.subspan(piece.offset, piece.length);
}

// What is large is on its way to the disk at once, and its pages are free for what comes next: a restore touches little fresh memory, whose
// every page costs the kernel and the hypervisor, and leaves the host's cache as it is.
ssize_t EntryWriter::write_at(int fd, ByteSpan bytes, std::uint64_t at) {
  constexpr std::size_t kUncachedBytesMin = 256u << 10;
  constexpr int kDontCache = 0x80;   // RWF_DONTCACHE, for which the headers of Debian 12 have no name
  if (bytes.size() >= kUncachedBytesMin && run_.uncached.load(std::memory_order_relaxed)) {
    const iovec vector{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    const ssize_t n = ::pwritev2(fd, &vector, 1, static_cast<off_t>(at), kDontCache);
    if (n >= 0 || errno != EOPNOTSUPP) return n;
    run_.uncached.store(false, std::memory_order_relaxed);
  }
  return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
}

// Pieces that lie one behind the other in the block and in the file go out with one call.
bool EntryWriter::write_pieces(Record& record, int fd, const Piece* begin, const Piece* end) {
  while (begin != end) {
    auto first = bytes_of(*begin);
    if (!first) return fail(record, first.error().message()), false;
    ByteSpan bytes = *first;
    const std::uint64_t at = begin->at;
    for (++begin; begin != end && begin->at == at + bytes.size(); ++begin) {
      auto more = bytes_of(*begin);
      if (!more) return fail(record, more.error().message()), false;
      if (more->data() != bytes.data() + bytes.size()) break;
      bytes = ByteSpan(bytes.data(), bytes.size() + more->size());
    }
    std::uint64_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = write_at(fd, bytes.subspan(done), at + done);
      if (n > 0) {
        done += static_cast<std::uint64_t>(n);
      } else if (n == 0 || errno != EINTR) {
        return fail_errno(record, "cannot be written", n == 0 ? EIO : errno), false;
      }
    }
  }
  return true;
}

// ---- creating and finishing ----

Result<platform::Fd> EntryWriter::create_file(Record& record, Target& target, mode_t mode) {
  const int flags = (run_.options.verify ? O_RDWR : O_WRONLY) | O_CREAT | O_EXCL;
  if (!may_replace(record, target)) return coppice::fail_errno(EPERM, "create");
  int fd = open_restarting(target.directory_fd, target.name(), flags, mode);
  if (fd < 0 && errno == EEXIST && !target.temporary && record.directory->existed) {  // it came since the walk looked
    record.action = Action::kReplace;
    target = target_of(record);
    fd = open_restarting(target.directory_fd, target.name(), flags, mode);
  }
  if (fd < 0 && errno == EEXIST && target.temporary) {
    take_other_temporary(record, target);
    fd = open_restarting(target.directory_fd, target.name(), flags, mode);
  }
  if (fd < 0) {
    const int error = errno;
    if (error == EEXIST && !target.temporary)
      fail(record, "another entry of the snapshot has this name here already (a file system that ignores case?)");
    else
      fail_errno(record, "cannot be created", error);
    return coppice::fail_errno(error, "create");
  }
  run_.metadata.apply_early_flags(fd, record.attributes);
  return platform::Fd(fd);
}

// For reading. What its owner may not read is opened all the same; its mode is back before anything else happens.
platform::Fd EntryWriter::open_existing(const char* name) {
  const int flags = O_RDONLY | O_NONBLOCK;
  const int fd = open_restarting(pin_.fd(), name, flags);
  if (fd >= 0 || errno != EACCES) return platform::Fd(fd);
  const platform::Fd path(open_restarting(pin_.fd(), name, O_PATH));
  struct stat st {};
  if (!path || ::fstat(path.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != run_.metadata.euid() ||
      ::chmod(ProcPath(path.get()).text, (st.st_mode & 07777) | S_IRUSR) != 0) {
    errno = EACCES;
    return {};
  }
  platform::Fd opened(::open(ProcPath(path.get()).text, flags | O_CLOEXEC));
  const int error = errno;
  ::chmod(ProcPath(path.get()).text, st.st_mode & 07777);
  errno = error;
  return opened;
}

bool EntryWriter::prepare_size(Record& record, int fd) {
  const auto size = static_cast<off_t>(record.attributes.size);
  if (record.has_holes) {
    if (::ftruncate(fd, size) != 0) return fail_errno(record, "cannot be made as long as it was", errno), false;
  } else if (record.attributes.size >= kPreallocateBytesMin) {
    if (::fallocate(fd, 0, 0, size) != 0 && (errno == ENOSPC || errno == EDQUOT))
      return fail_errno(record, "no room for", errno), false;
  }
  return true;
}

void EntryWriter::finish_file(Record& record, platform::Fd fd, Target& target, std::uint64_t shown) {
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) fail_errno(record, "fstat", errno);
  const Where where = record.where();
  bool placed = false;
  if (!record.failed && !run_.collector.stopped()) {
    bool right = run_.metadata.apply(fd.get(), HandleKind::kOpen, st, record.attributes,
                                     {.inherited_acl = record.directory->inherits_acl,
                                      .inherited_flags = record.directory->inherits_flags},
                                     where);
    placed = place(target, st, where);
    if (placed) {
      target.temporary.reset();
      if (!record.link) right &= run_.metadata.apply_flags(fd.get(), record.attributes, record.directory->inherits_flags, where);
    }
    if (!placed || !right) run_.collector.count_failed();
  }
  if (::close(fd.release()) != 0 && errno != EINTR && placed) {  // network file systems write here
    fail_errno(record, "cannot be written", errno);
    placed = false;
  }
  if (!placed) {
    discard(target, st.st_dev, st.st_ino);
    return settle(record, nullptr);
  }
  settle(record, &st);
  if (run_.options.verify && record.attributes.size > 0) run_.collector.count_verified();
  run_.collector.count_file(record.attributes.size, shown, Collector::How::kWritten);
}

// ---- files in several blocks ----

platform::Fd EntryWriter::open_shared(Record& record, SharedFile& shared) {
  if (!enter(record.directory, &record, record.where())) return {};
  Target target = target_of(record);
  struct stat st {};
  platform::Fd fd;
  const bool existing = shared.created || record.action == Action::kCheck;
  if (existing) {
    fd = record.action == Action::kCheck ? open_existing(record.name)
                                         : platform::Fd(open_restarting(target.directory_fd, target.name(), O_RDWR));
    if (!fd) return fail_errno(record, "cannot be opened", errno), platform::Fd();
  } else {
    auto created = create_file(record, target, 0600);
    if (!created) return {};
    fd = std::move(*created);
  }
  if (::fstat(fd.get(), &st) != 0) return fail_errno(record, "fstat", errno), platform::Fd();
  if (shared.created && (st.st_dev != shared.device || st.st_ino != shared.inode))
    return fail(record, "somebody else put another file in its place during the restore"), platform::Fd();
  if (!S_ISREG(st.st_mode))
    return fail(record, "it is no file any more: somebody else changed it during the restore"), platform::Fd();
  shared.created = true;
  shared.device = st.st_dev;
  shared.inode = st.st_ino;
  if (!existing) prepare_size(record, fd.get());
  return fd;
}

int EntryWriter::acquire_shared(Record& record) {
  if (run_.collector.stopped()) record.failed = true;
  SharedFile& shared = *record.shared;
  MutexLock lock(shared.mutex);
  if (record.failed) return -1;
  if (!shared.fd) {
    shared.fd = open_shared(record, shared);
    if (!shared.fd) return -1;
    run_.open_files.fetch_add(1, std::memory_order_relaxed);
    if (record.failed) return -1;
  }
  ++shared.users;
  return shared.fd.get();
}

void EntryWriter::release_shared(Record& record) {
  SharedFile& shared = *record.shared;
  MutexLock lock(shared.mutex);
  if (--shared.users > 0 || run_.open_files.load(std::memory_order_relaxed) <= run_.open_files_max) return;
  run_.open_files.fetch_sub(1, std::memory_order_relaxed);
  if (::close(shared.fd.release()) != 0 && errno != EINTR) fail_errno(record, "cannot be written", errno);
}

void EntryWriter::finish_pieces(Record& record, std::uint64_t count) {
  if (record.shared->pieces_left.fetch_sub(count, std::memory_order_acq_rel) != count) return;
  finish_shared(record);
  close_record(record);
}

void EntryWriter::finish_shared(Record& record) {
  SharedFile& shared = *record.shared;
  MutexLock lock(shared.mutex);  // nobody else is there any more; for the order of memory, and for the analysis
  platform::Fd fd;
  if (shared.fd) {
    fd = std::move(shared.fd);
    run_.open_files.fetch_sub(1, std::memory_order_relaxed);
  } else if (!record.failed && !run_.collector.stopped()) {
    fd = open_shared(record, shared);
  }
  if (record.action == Action::kCheck) return finish_checked(record, std::move(fd));
  if (fd && enter(record.directory, &record, record.where())) {
    Target target = target_of(record);
    return finish_file(record, std::move(fd), target, shared.shown.load(std::memory_order_relaxed));
  }
  if (shared.created && enter(record.directory, &record, record.where()))
    discard(target_of(record), shared.device, shared.inode);
  settle(record, nullptr);
}

}  // namespace coppice::restore
