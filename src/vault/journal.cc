#include "journal.h"

#include <dirent.h>
#include <fcntl.h>
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

}  // namespace

Result<Journal> Journal::create(const std::string& directory, const format::MemberId& writer, format::SessionId session) {
  if (directory.empty()) return Journal("", platform::Fd());
  const std::string path = platform::join_path(directory, fmt::format("{}{}.{}", file_prefix(writer), session.generation, session.slot));
  platform::Fd fd = TRY(within(platform::open_at(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600), path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno(errno, path + ": lock");
  return Journal(path, std::move(fd));
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
    while (const dirent* entry = ::readdir(dir))
      if (std::string_view(entry->d_name).starts_with(file_prefix(writer))) names.emplace_back(entry->d_name);
    ::closedir(dir);
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    const std::string path = platform::join_path(directory, name);
    Result<platform::Fd> fd = platform::open_at(AT_FDCWD, path.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW);
    if (!fd) continue;                                                // removed by its adopter just now
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) continue;          // its session lives
    struct stat st;
    if (::fstat(fd->get(), &st) != 0 || st.st_nlink == 0) continue;    // adopted and removed between open and lock
    journals.push_back(Journal(path, std::move(*fd)));
  }
  return journals;
}

Result<std::vector<JournalRecord>> Journal::read() const {
  std::vector<JournalRecord> records;
  std::uint64_t offset = 0;
  while (offset < kJournalBytesMax) {
    std::array<std::byte, kRecordHead> head;
    if (TRY(platform::pread_full(fd_.get(), head, offset)) < head.size()) break;
    const auto size = load_le<std::uint32_t>(head, 8);
    if (as_text(ByteSpan(head).first(8)) != kMagic || size > kRecordBytesMax) break;
    Bytes payload(size);
    if (TRY(platform::pread_full(fd_.get(), payload, offset + head.size())) < size) break;
    JournalRecord record;
    if (crypto::xxh3_64(payload) != load_le<std::uint64_t>(head, 12) || !decode_payload(payload, record)) break;
    records.push_back(std::move(record));
    offset += head.size() + size;
  }
  return records;
}

}  // namespace coppice::vault
