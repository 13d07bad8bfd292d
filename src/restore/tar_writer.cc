#include "tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "foundation/encoding.h"
#include "platform/file.h"
#include "posix_acl.h"

namespace coppice::restore {
namespace {

using format::EntryType;

int acl_tag(AclTag tag) {
  switch (tag) {
    case AclTag::kUserObject:
      return ARCHIVE_ENTRY_ACL_USER_OBJ;
    case AclTag::kUser:
      return ARCHIVE_ENTRY_ACL_USER;
    case AclTag::kGroupObject:
      return ARCHIVE_ENTRY_ACL_GROUP_OBJ;
    case AclTag::kGroup:
      return ARCHIVE_ENTRY_ACL_GROUP;
    case AclTag::kMask:
      return ARCHIVE_ENTRY_ACL_MASK;
    case AclTag::kOther:
      return ARCHIVE_ENTRY_ACL_OTHER;
  }
  return 0;
}

unsigned file_type(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return AE_IFREG;
    case EntryType::kDirectory:
      return AE_IFDIR;
    case EntryType::kSymlink:
      return AE_IFLNK;
    case EntryType::kCharDevice:
      return AE_IFCHR;
    case EntryType::kBlockDevice:
      return AE_IFBLK;
    case EntryType::kFifo:
      return AE_IFIFO;
    case EntryType::kSocket:
      return AE_IFSOCK;
  }
  return 0;
}

// libarchive prints seconds, a point, nanoseconds: -4.7 for five seconds before the epoch and 0.7 after that. Readers
// take that for the decimal that it looks like (POSIX says they should), so it must be given what prints right. Within
// the last second before 1970 nothing does.
Timestamp printable(const Timestamp& t) {
  if (t.seconds >= 0 || t.nanoseconds == 0) return t;
  if (t.seconds == -1) return {.seconds = -1, .nanoseconds = 0};
  return {.seconds = t.seconds + 1, .nanoseconds = 1'000'000'000 - t.nanoseconds};
}

// The archive's writer counts a hole's bytes and does not look at them, and a hole can be terabytes: so that they are few calls, as many
// zeros as address space allows, which take no memory.
ByteSpan many_zeros() {
  constexpr std::size_t kBytes = 1u << 30;
  static constexpr std::array<std::byte, 64 << 10> kFew{};
  void* const mapped = ::mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapped == MAP_FAILED ? ByteSpan(kFew) : ByteSpan(static_cast<const std::byte*>(mapped), kBytes);
}

}  // namespace

Utf8Locale::Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
  if (locale_) before_ = ::uselocale(locale_);
}

Utf8Locale::~Utf8Locale() {
  if (!locale_) return;
  ::uselocale(before_);
  ::freelocale(locale_);
}

TarWriter::TarWriter(int fd, std::string prefix, Collector& collector)
    : fd_(fd),
      prefix_(std::move(prefix)),
      collector_(collector),
      archive_(archive_write_new()),
      entry_(archive_entry_new()) {}

TarWriter::~TarWriter() {
  archive_entry_free(entry_);
  archive_write_free(archive_);
}

Result<> TarWriter::open() {
  archive_write_set_format_pax(archive_);
  archive_write_set_options(archive_, "xattrheader=SCHILY");
  // Names are bytes, and most of them UTF-8, which is what tar wants. libarchive takes them for text of the locale: in
  // that of Utf8Locale it leaves what is UTF-8 alone, and marks the rest as binary.
  if (!locale_.holds()) archive_write_set_options(archive_, "hdrcharset=BINARY");
  archive_write_set_bytes_per_block(archive_, 512 << 10);
  archive_write_set_bytes_in_last_block(archive_, 10240);
  if (archive_write_open(archive_, this, nullptr, &TarWriter::write, nullptr) != ARCHIVE_OK) return broken();
  return {};
}

Result<> TarWriter::item(const StreamItem& item) {
  if (auto* entry = std::get_if<StreamEntry>(&item)) return begin(*entry);
  if (auto* part = std::get_if<StreamPart>(&item)) return content(*part);
  const auto& told = std::get<StreamProblem>(item);
  if (std::string path = full_path(told.path); in_file_ && path == path_)
    problem(told.what);
  else
    collector_.fail(std::move(path), told.what);
  return {};
}

Result<> TarWriter::finish() {
  TRY(end_file());
  if (archive_write_close(archive_) != ARCHIVE_OK) return broken();
  return {};
}

ssize_t TarWriter::write(archive* a, void* self, const void* bytes, std::size_t count) {
  auto& writer = *static_cast<TarWriter*>(self);
  auto written = platform::write_full(writer.fd_, ByteSpan(static_cast<const std::byte*>(bytes), count));
  if (written) return static_cast<ssize_t>(count);
  archive_set_error(a, EIO, "%s", written.error().message().c_str());
  writer.output_error_ = written.error();
  return -1;
}

std::unexpected<Error> TarWriter::broken() const {
  if (output_error_) return std::unexpected<Error>(output_error_->within("the tar stream"));
  const char* text = archive_error_string(archive_);
  return fail(ErrorKind::kUnavailable, fmt::format("the tar stream: {}", text ? text : "unknown error"));
}

std::string TarWriter::full_path(const std::string& path) const {
  if (path.empty() || path == ".") return prefix_.empty() ? "/" : prefix_;
  return prefix_ + "/" + path;
}

// False when it is none that tar could hold.
bool TarWriter::add_acl(const format::Xattr& xattr) {
  if (xattr.name != kAccessAclName && xattr.name != kDefaultAclName) return false;
  const auto entries = parse_posix_acl(xattr.value);
  if (!entries) return false;
  const int type =
      xattr.name == kAccessAclName ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
  for (const AclEntry& e : *entries) {
    const bool named = e.tag == AclTag::kUser || e.tag == AclTag::kGroup;
    archive_entry_acl_add_entry(entry_, type, static_cast<int>(e.permissions), acl_tag(e.tag),
                                named ? static_cast<int>(e.id) : -1, nullptr);
  }
  return true;
}

void TarWriter::add_xattrs(const format::Entry& e) {
  for (const auto& x : e.xattrs)
    if (!add_acl(x)) archive_entry_xattr_add_entry(entry_, x.name.c_str(), x.value.data(), x.value.size());
}

Result<> TarWriter::begin(const StreamEntry& item) {
  TRY(end_file());
  const format::Entry& e = item.entry;
  path_ = full_path(item.path);
  if (item.path != "." && !format::is_valid_name(e.name)) {
    collector_.fail(path_, "a name that no file can have: left out");
    return {};
  }
  if (e.type == EntryType::kSocket) {
    collector_.warn(path_, "a socket: a tar archive cannot hold it");
    return {};
  }
  const bool file = e.type == EntryType::kFile && item.link_to.empty();
  const bool unreadable = (e.marks & format::kMarkUnreadable) != 0;
  if (unreadable)
    collector_.fail(path_, "it could not be read when it was backed up: only its metadata is there");
  else if (e.marks & format::kMarkChangedWhileRead)
    collector_.warn(path_, "it changed while it was backed up: its content may mix two states");
  else if (e.marks & format::kMarkIncomplete)
    collector_.warn(path_, kIncomplete);

  archive_entry* to = archive_entry_clear(entry_);
  archive_entry_copy_pathname(to, item.path.c_str());
  archive_entry_set_filetype(to, file_type(e.type));
  archive_entry_set_perm(to, e.mode & 07777);
  archive_entry_set_uid(to, e.owner.uid);
  archive_entry_set_gid(to, e.owner.gid);
  if (!e.owner.user.empty()) archive_entry_copy_uname(to, e.owner.user.c_str());
  if (!e.owner.group.empty()) archive_entry_copy_gname(to, e.owner.group.c_str());
  const Timestamp mtime = printable(e.mtime), atime = printable(e.atime);
  archive_entry_set_mtime(to, static_cast<time_t>(mtime.seconds), static_cast<long>(mtime.nanoseconds));
  archive_entry_set_atime(to, static_cast<time_t>(atime.seconds), static_cast<long>(atime.nanoseconds));
  if (e.type == EntryType::kCharDevice || e.type == EntryType::kBlockDevice)
    archive_entry_set_rdev(to, static_cast<dev_t>(e.rdev));
  add_xattrs(e);
  if (e.flags != 0) archive_entry_set_fflags(to, e.flags, 0);
  if (e.project != 0) collector_.note_once("project", path_, "project ids have no place in a tar archive (said once)");
  if (!item.link_to.empty())
    archive_entry_copy_hardlink(to, item.link_to.c_str());
  else if (e.type == EntryType::kSymlink)
    archive_entry_copy_symlink(to, e.target.c_str());
  file_bytes_ = file && !unreadable ? e.size : 0;
  archive_entry_set_size(to, static_cast<la_int64_t>(file_bytes_));
  if (file_bytes_ > 0 && item.sparse) {
    for (const DataRegion& r : item.regions)
      archive_entry_sparse_add_entry(to, static_cast<la_int64_t>(r.at), static_cast<la_int64_t>(r.length));
    if (item.regions.empty()) archive_entry_sparse_add_entry(to, static_cast<la_int64_t>(file_bytes_), 0);
  }

  if (const int r = archive_write_header(archive_, to); r != ARCHIVE_OK) {
    if (r == ARCHIVE_FATAL) return broken();
    const char* text = archive_error_string(archive_);
    const bool binary = !(is_utf8(item.path) && is_utf8(item.link_to) && is_utf8(e.target) && is_utf8(e.owner.user) &&
                          is_utf8(e.owner.group));
    if (r != ARCHIVE_WARN || !binary)  // else it says that a name is marked as binary
      collector_.warn(path_, fmt::format("tar: {}", text ? text : "unknown problem"));
    if (r == ARCHIVE_FAILED) return collector_.count_failed(), Result<>{};
  }
  if (file) {
    in_file_ = true;
    file_left_ = file_bytes_;
    file_failed_ = unreadable;
  } else if (e.type == EntryType::kDirectory) {
    collector_.count_directory();
  } else if (e.type == EntryType::kFile) {
    collector_.count_file(0, 0, Collector::How::kWritten);
  } else {
    collector_.count_other();
  }
  return {};
}

Result<> TarWriter::content(const StreamPart& part) {
  if (!in_file_) return {};
  const std::uint64_t length = std::min(part.length, file_left_);
  if (length != part.length) problem("the snapshot's list of its content does not add up");
  file_left_ -= length;
  if (!part.slot) return zeros(length);
  const auto bytes = part_bytes(part);
  if (bytes) return data(bytes->first(static_cast<std::size_t>(length)));
  problem("its content cannot be read from the vault (zeros in its place): " + bytes.error().message());
  return zeros(length);
}

Result<> TarWriter::zeros(std::uint64_t length) {
  static const ByteSpan kZeros = many_zeros();
  while (length > 0) {
    if (collector_.stopped()) return fail(ErrorKind::kCancelled, "cancelled");
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length, kZeros.size()));
    TRY(data(kZeros.first(n)));
    length -= n;
  }
  return {};
}

Result<> TarWriter::data(ByteSpan bytes) {
  while (!bytes.empty()) {
    const la_ssize_t n = archive_write_data(archive_, bytes.data(), bytes.size());
    if (n <= 0) return broken();
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

void TarWriter::problem(std::string what) {
  if (!std::exchange(file_failed_, true)) collector_.fail(path_, std::move(what));
}

Result<> TarWriter::end_file() {
  if (!std::exchange(in_file_, false)) return {};
  if (file_left_ > 0) {
    problem("the snapshot's list of its content does not add up");
    TRY(zeros(file_left_));
  }
  if (!file_failed_) collector_.count_file(file_bytes_, 0, Collector::How::kWritten);
  return {};
}

}  // namespace coppice::restore
