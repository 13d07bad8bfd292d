// A snapshot as a tar stream: pax format, written by libarchive. One pass over the tree; a directory's files come before its
// subdirectories, so what waits is one list of subdirectories per level.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <memory>

#include <fmt/format.h>

#include "restore/restore.h"

namespace coppice::restore {
namespace {

using format::EntryType;

constexpr std::size_t kWarningsMax = 1000;
constexpr std::size_t kLinksMax = 1u << 20;   // beyond it, further names of a file are stored as files of their own

struct ArchiveDeleter {
  void operator()(struct archive* a) const { archive_write_free(a); }
};
struct EntryDeleter {
  void operator()(struct archive_entry* e) const { archive_entry_free(e); }
};

mode_t type_mode(EntryType type) {
  switch (type) {
    case EntryType::kFile: return S_IFREG;
    case EntryType::kDirectory: return S_IFDIR;
    case EntryType::kSymlink: return S_IFLNK;
    case EntryType::kCharDevice: return S_IFCHR;
    case EntryType::kBlockDevice: return S_IFBLK;
    case EntryType::kFifo: return S_IFIFO;
    case EntryType::kSocket: return S_IFSOCK;
  }
  return 0;
}

class TarStream {
 public:
  TarStream(vault::ChunkReader& reader, int fd, RestoreProgress& progress, const CancelToken& cancel)
      : reader_(reader), progress_(progress), cancel_(cancel), archive_(archive_write_new()), fd_(fd) {}

  Result<RestoreReport> run(const vault::FoundEntry& from, std::string_view name) {
    archive_write_set_format_pax_restricted(archive_.get());
    archive_write_set_bytes_in_last_block(archive_.get(), 1);
    if (archive_write_open_fd(archive_.get(), fd_) != ARCHIVE_OK) return failed("opening the tar stream");
    if (from.entry.type == EntryType::kDirectory) {
      TRY(tree(from.entry, ""));
    } else {
      TRY(put(from.entry, from.chunks, std::string(name)));
    }
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) return failed("ending the tar stream");
    return std::move(report_);
  }

 private:
  std::unexpected<Error> failed(std::string_view what) {
    const int error = archive_errno(archive_.get());
    if (error == EPIPE) return fail(ErrorKind::kCancelled, "the reader of the tar stream has gone");
    return fail_errno(error > 0 ? error : EIO, what);
  }
  void warn(const std::string& path, std::string what) {
    ++report_.warnings_total;
    if (report_.warnings.size() < kWarningsMax) report_.warnings.push_back({"/" + path, std::move(what)});
  }

  Result<> tree(const format::Entry& root, std::string path) {
    struct Waiting {
      std::string path;
      format::ChunkRef node;
    };
    std::vector<Waiting> stack;
    if (root.child) stack.push_back({std::move(path), *root.child});
    while (!stack.empty()) {
      const Waiting at = std::move(stack.back());
      stack.pop_back();
      std::vector<Waiting> below;
      const Result<> read = vault::read_directory(reader_, at.node, [&](const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) -> Result<> {
        if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
        const std::string name = at.path.empty() ? entry.name : at.path + "/" + entry.name;
        TRY(put(entry, chunks, name));
        if (entry.type == EntryType::kDirectory && entry.child) below.push_back({name, *entry.child});
        return {};
      });
      if (!read) {
        // Damage costs this directory; a stream that cannot be written, or a wish to stop, ends the run.
        if (stream_failed_ || read.error().kind() == ErrorKind::kCancelled) return read;
        ++report_.failed;
        warn(at.path, read.error().message());
      }
      std::ranges::move(below.rbegin(), below.rend(), std::back_inserter(stack));
    }
    return {};
  }

  Result<> put(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks, const std::string& path) {
    if (entry.type == EntryType::kSocket) {
      warn(path, "tar has no sockets: left out");
      return {};
    }
    if (entry.marks & format::kMarkUnreadable) warn(path, "could not be read when it was backed up: only its metadata is there");
    const std::unique_ptr<struct archive_entry, EntryDeleter> e(archive_entry_new());
    archive_entry_set_pathname(e.get(), path.c_str());
    archive_entry_set_mode(e.get(), type_mode(entry.type) | entry.mode);
    archive_entry_set_uid(e.get(), entry.owner.uid);
    archive_entry_set_gid(e.get(), entry.owner.gid);
    if (!entry.owner.user.empty()) archive_entry_set_uname(e.get(), entry.owner.user.c_str());
    if (!entry.owner.group.empty()) archive_entry_set_gname(e.get(), entry.owner.group.c_str());
    archive_entry_set_mtime(e.get(), entry.mtime.seconds, static_cast<long>(entry.mtime.nanoseconds));
    archive_entry_set_atime(e.get(), entry.atime.seconds, static_cast<long>(entry.atime.nanoseconds));
    for (const format::Xattr& x : entry.xattrs) archive_entry_xattr_add_entry(e.get(), x.name.c_str(), x.value.data(), x.value.size());
    if (entry.type == EntryType::kSymlink) archive_entry_set_symlink(e.get(), entry.target.c_str());
    if (entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice) archive_entry_set_rdev(e.get(), entry.rdev);
    bool has_content = entry.type == EntryType::kFile && entry.size > 0 && !(entry.marks & format::kMarkUnreadable);
    if (entry.links > 1 && entry.type != EntryType::kDirectory) {
      const std::pair key(entry.device, entry.inode);
      if (const auto it = links_.find(key); it != links_.end()) {
        archive_entry_set_hardlink(e.get(), it->second.c_str());
        has_content = false;
      } else if (links_.size() < kLinksMax) {
        links_[key] = path;
      }
    }
    archive_entry_set_size(e.get(), has_content ? static_cast<la_int64_t>(entry.size) : 0);
    if (archive_write_header(archive_.get(), e.get()) < ARCHIVE_WARN) return broken(path);
    if (has_content) TRY(content(entry, chunks, path));
    (entry.type == EntryType::kFile ? report_.files : entry.type == EntryType::kDirectory ? report_.directories : report_.others) += 1;
    if (entry.type == EntryType::kFile) ++progress_.files;
    return {};
  }

  // The header promised entry.size bytes: what is damaged comes as zeros, told as failed.
  Result<> content(const format::Entry& entry, const std::vector<format::ChunkRef>& chunks, const std::string& path) {
    std::uint64_t written = 0;
    const Result<> read = vault::read_slices(reader_, entry, chunks, [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
      if (cancel_.cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
      if (!ref) {
        TRY(zeros(slice.length, path));
      } else {
        const auto chunk = TRY(reader_.chunk(*ref));
        if (slice.offset > chunk.bytes.size() || slice.length > chunk.bytes.size() - slice.offset)
          return fail(ErrorKind::kCorrupt, "the snapshot names bytes past the end of a chunk");
        TRY(data(chunk.bytes.subspan(slice.offset, slice.length), path));
      }
      written += slice.length;
      progress_.bytes += slice.length;
      report_.bytes += slice.length;
      return {};
    });
    if (read) return {};
    if (stream_failed_ || read.error().kind() == ErrorKind::kCancelled) return read;
    ++report_.failed;
    warn(path, read.error().message() + "; the rest of it is zeros in the stream");
    return zeros(entry.size - written, path);
  }

  Result<> data(ByteSpan bytes, const std::string& path) {
    if (archive_write_data(archive_.get(), bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size())) return broken(path);
    return {};
  }
  Result<> zeros(std::uint64_t n, const std::string& path) {
    static const Bytes zero = [] {
      Bytes z(64u << 10);
      std::memset(z.data(), 0, z.size());
      return z;
    }();
    for (; n > 0; n -= std::min<std::uint64_t>(n, zero.size())) TRY(data(ByteSpan(zero).first(std::min<std::uint64_t>(n, zero.size())), path));
    return {};
  }
  std::unexpected<Error> broken(const std::string& path) {
    stream_failed_ = true;
    return failed("writing " + path + " to the tar stream");
  }

  vault::ChunkReader& reader_;
  RestoreProgress& progress_;
  const CancelToken& cancel_;
  std::unique_ptr<struct archive, ArchiveDeleter> archive_;
  int fd_;
  bool stream_failed_ = false;
  RestoreReport report_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> links_;
};

}  // namespace

Result<RestoreReport> write_tar(vault::ChunkReader& reader, const format::SnapshotBody& body, std::string_view sub_path, int fd,
                                RestoreProgress& progress, const CancelToken& cancel) {
  const vault::FoundEntry from = TRY(vault::find_entry(reader, body, sub_path));
  progress.files_total = sub_path.empty() || sub_path == "/" ? body.files : 0;
  progress.bytes_total = sub_path.empty() || sub_path == "/" ? body.bytes : 0;
  return TarStream(reader, fd, progress, cancel).run(from, from.entry.name);
}

}  // namespace coppice::restore
