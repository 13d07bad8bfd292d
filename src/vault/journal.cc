#include "journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "crypto/hash.h"
#include "foundation/encoding.h"

namespace coppice::vault {
namespace {

constexpr std::string_view kMagic = "CPJRNL01";
constexpr std::uint64_t kRecordBytesMax = 64u << 20;
constexpr std::uint64_t kJournalBytesMax = 4ull << 30;
constexpr int kCreateAttemptsMax = 16;

constexpr std::string_view kTemporaryPrefix = "new-journal-";
std::string file_prefix(const format::MemberId& writer) { return "journal-" + render_hex(writer).substr(0, 16) + "-"; }

// record: magic | u32 payload bytes | XXH3-64 of the payload | payload
Bytes encode_record(const JournalRecord& record) {
  Bytes payload;
  format::Writer p(payload);
  format::encode_birth(p, {.pack = record.pack.name, .ordinal = 0});
  p.u64(record.pack.bytes);
  p.bytes(record.pack.hash);
  p.varint(record.chunks.size());
  for (const format::IndexEntry& e : record.chunks) format::encode_index_entry(e, payload);
  Bytes out;
  format::Writer w(out);
  w.bytes(as_bytes(kMagic));
  w.u32(static_cast<std::uint32_t>(payload.size()));
  w.u64(crypto::xxh3_64(payload));
  w.bytes(payload);
  return out;
}

constexpr std::size_t kRecordHead = 8 + 4 + 8;

bool decode_payload(ByteSpan payload, JournalRecord& record) {
  format::Reader r(payload);
  record.pack.name = format::decode_birth(r).pack;
  record.pack.bytes = r.u64();
  record.pack.hash = r.array<32>();
  const std::uint64_t count = r.varint_max(kRecordBytesMax / format::kIndexEntryBytes);
  const ByteSpan entries = r.bytes(count * format::kIndexEntryBytes);
  if (!r.complete()) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    // A page of one entry is decoded like any other.
    Result<std::vector<format::IndexEntry>> one = format::decode_index_page(entries.subspan(i * format::kIndexEntryBytes, format::kIndexEntryBytes), 1);
    if (!one) return false;
    record.chunks.push_back(one->front());
  }
  return true;
}

// False when somebody else has the lock, or the file lost its name before we had it.
bool lock_if_named(int fd) {
  struct stat st;
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &st) == 0 && st.st_nlink > 0;
}

}  // namespace

// Under a name that no session adopts until it is locked: an adopter that came in between would take a living session for a dead one.
Result<Journal> Journal::create(const std::string& directory, const format::MemberId& writer, format::SessionId session) {
  if (directory.empty()) return Journal("", platform::Fd());
  const std::string path = platform::join_path(directory, fmt::format("{}{}.{}", file_prefix(writer), session.generation, session.slot));
  for (int attempt = 0; attempt < kCreateAttemptsMax; ++attempt) {
    // Another name each time: whoever looks for orphans may hold this one, and be stopped.
    const std::string temporary = platform::join_path(directory, fmt::format("{}{}.{}.{}", kTemporaryPrefix, session.generation, session.slot, attempt));
    platform::Fd fd = TRY(within(platform::open_at(AT_FDCWD, temporary.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600), temporary));
    if (!lock_if_named(fd.get())) continue;   // swept before the lock was ours
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      const int error_number = errno;
      ::unlink(temporary.c_str());
      return fail_errno(error_number, path);
    }
    return Journal(path, std::move(fd));
  }
  return fail(ErrorKind::kUnavailable, path + ": what shall become it is swept away as soon as it is made");
}

Result<> Journal::append(const JournalRecord& record) {
  if (!fd_) return {};
  return within(platform::write_full(fd_.get(), encode_record(record)), path_);
}

void Journal::remove() {
  if (fd_) ::unlink(path_.c_str());
  fd_.reset();
}

Result<std::vector<Journal>> Journal::orphans(const std::string& directory, const format::MemberId& writer) {
  std::vector<Journal> journals;
  if (directory.empty()) return journals;
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(directory.c_str())) {
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name.starts_with(file_prefix(writer)) || name.starts_with(kTemporaryPrefix)) names.emplace_back(name);
    }
    ::closedir(dir);
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    const std::string path = platform::join_path(directory, name);
    Result<platform::Fd> fd = platform::open_at(AT_FDCWD, path.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW);
    if (!fd || !lock_if_named(fd->get())) continue;   // its session lives, or it was adopted and removed just now
    if (name.starts_with(kTemporaryPrefix))
      ::unlink(path.c_str());   // of a session killed before its first record
    else
      journals.push_back(Journal(path, std::move(*fd)));
  }
  return journals;
}

Result<std::optional<JournalRecord>> Journal::next() {
  std::array<std::byte, kRecordHead> head;
  if (offset_ >= kJournalBytesMax || TRY(platform::pread_full(fd_.get(), head, offset_)) < head.size()) return std::nullopt;
  const auto size = load_le<std::uint32_t>(head, 8);
  if (as_text(ByteSpan(head).first(8)) != kMagic || size > kRecordBytesMax) return std::nullopt;
  Bytes payload(size);
  if (TRY(platform::pread_full(fd_.get(), payload, offset_ + head.size())) < size) return std::nullopt;
  JournalRecord record;
  if (crypto::xxh3_64(payload) != load_le<std::uint64_t>(head, 12) || !decode_payload(payload, record)) return std::nullopt;
  offset_ += head.size() + size;
  return record;
}

}  // namespace coppice::vault
