// See directory_store.h for what it promises, publish_internal.h for how a file gets its name.
#include "storage/directory_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>

#include "directory_tree_internal.h"
#include "platform/file.h"
#include "publish_internal.h"

namespace coppice::storage {
namespace {

using platform::Fd;

struct CloseDir {
  void operator()(DIR* d) const { closedir(d); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDir>;

Result<DirectoryStream> open_stream(Fd directory) {
  DirectoryStream stream(fdopendir(directory.get()));
  if (!stream) return fail_errno(errno, "fdopendir");
  (void)directory.release();  // now the stream's
  return stream;
}

// Calls `each` with every entry but "." and "..".
template <class Each>
Result<> for_each_entry(DIR* stream, Each each) {
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream);
    if (entry == nullptr) {
      if (errno != 0) return fail_errno(errno, "readdir");
      return {};
    }
    const std::string name = entry->d_name;
    if (name != "." && name != "..") TRY(each(name));
  }
}

struct OpenObject {
  Fd file;
  std::uint64_t size = 0;
};

class DirectoryStore : public ObjectStore {
 public:
  DirectoryStore(std::string path, Fd root) : path_(std::move(path)), tree_(std::move(root)) {}

  Result<> put(std::string_view name, ByteSpan bytes) override {
    TRY(check_call(name));
    return within(put_checked(split_name(name), bytes, {}), name);
  }

  Result<> put_paced(std::string_view name, ByteSpan bytes, const Pace& pace) override {
    TRY(check_call(name));
    return within(put_checked(split_name(name), bytes, pace), name);
  }

  Result<Bytes> get(std::string_view name, std::uint64_t bytes_max) override {
    const OpenObject object = TRY(open_object(name));
    if (object.size > bytes_max)
      return fail(ErrorKind::kInvalid, fmt::format("{}: {} bytes, more than {}", name, object.size, bytes_max));
    Bytes bytes(object.size);
    TRY(read_exactly(name, object, 0, bytes));
    return bytes;
  }

  Result<> get_range(std::string_view name, std::uint64_t offset, MutableByteSpan into) override {
    const OpenObject object = TRY(open_object(name));
    return read_exactly(name, object, offset, into);
  }

  void announce(std::string_view name, std::uint64_t offset, std::uint64_t bytes) override {
    if (const Result<OpenObject> object = open_object(name)) ask_kernel(*object, offset, bytes, POSIX_FADV_WILLNEED);
  }

  Result<std::uint64_t> size(std::string_view name) override { return TRY(open_object(name)).size; }

  // A directory at a time, read as a stream: memory holds the subdirectories still to visit, never the objects.
  Result<> list(std::string_view prefix, const std::function<Result<>(const ObjectInfo&)>& each) override {
    TRY(check_usable());
    TRY(check_list_prefix(prefix));
    std::vector<std::string> pending{std::string(prefix)};
    while (!pending.empty()) {
      const std::string directory = std::move(pending.back());
      pending.pop_back();
      TRY(list_directory(directory, pending, each));
    }
    return {};
  }

  Result<> remove(std::string_view name) override {
    TRY(check_call(name));
    return within(remove_checked(split_name(name)), name);
  }

  Result<std::uint64_t> free_bytes() override { return platform::free_bytes(path_); }

  std::string describe() const override { return path_; }

  // Whether this file system can give a name only if it is free, found out by doing it.
  Result<> probe() {
    const std::string name = new_temporary_name();
    TRY(publish_file(tree_.root(), name, {}));
    const Result<> again = publish_file(tree_.root(), name, {});
    unlinkat(tree_.root(), name.c_str(), 0);
    if (again) return fail(ErrorKind::kUnsupported, "the file system let one name be given twice");
    if (again.error().kind() != ErrorKind::kConflict) return again;
    return {};
  }

 private:
  Result<> check_usable() const {
    if (sync_failed_.load()) return fail(ErrorKind::kUnavailable, path_ + ": an earlier fsync failed; open the store anew");
    return {};
  }

  Result<> check_call(std::string_view name) const {
    TRY(check_usable());
    return check_object_name(name);
  }

  // After a failed flush the names are in memory and perhaps nowhere else, and a later get would find them there. So that no
  // one takes that for stored, the store answers nothing more.
  Result<> sync_directory(int dir_fd) {
    Result<> synced = platform::sync_fd(dir_fd);
    if (!synced) sync_failed_.store(true);
    return synced;
  }

  Result<> put_checked(SplitName name, ByteSpan bytes, const Pace& pace) {
    Result<Fd> made = tree_.make(name.parent, [this](int dir_fd) { return sync_directory(dir_fd); });
    if (!made && made.error().kind() == ErrorKind::kDenied && is_read_only()) return not_writable();
    const Fd directory = TRY(std::move(made));
    const std::string base(name.base);
    struct stat status {};
    // A look first saves writing the whole object in vain when a put is repeated.
    const bool exists = fstatat(directory.get(), base.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    // get() finds nothing there, so a caller would try it for ever.
    if (exists && S_ISDIR(status.st_mode)) return fail(ErrorKind::kInvalid, "a directory stands where this object belongs: take it away");
    const Result<> published = exists ? fail(ErrorKind::kConflict, "the name is taken")
                                      : publish_file(directory.get(), base, bytes, pace);
    if (!published && published.error().kind() == ErrorKind::kDenied) return not_writable();
    if (!published && published.error().kind() != ErrorKind::kConflict) return published;
    // On conflict too: the winner may be about to flush, and the loser may take the object for stored if it has his bytes.
    TRY(sync_directory(directory.get()));
    return published;
  }

  bool is_read_only() const {
    struct statvfs status {};
    return fstatvfs(tree_.root(), &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
  }

  // The system's own words would name a temporary file.
  std::unexpected<Error> not_writable() const {
    return fail(ErrorKind::kDenied, fmt::format("{} {}", path_, is_read_only() ? kReadOnly : kNotOurs));
  }

  Result<> remove_checked(SplitName name) {
    const Result<Fd> directory = tree_.open(name.parent);
    if (!directory && is_absence(directory.error())) return {};
    if (!directory) return std::unexpected<Error>(directory.error());
    if (unlinkat(directory->get(), std::string(name.base).c_str(), 0) != 0) {
      if (errno == ENOENT || errno == EISDIR) return {};  // a directory is no object
      return fail_errno(errno, "unlink");
    }
    return sync_directory(directory->get());
  }

  // A file where a directory was looked for (kInvalid) holds no objects either.
  static bool is_absence(const Error& error) {
    return error.kind() == ErrorKind::kNotFound || error.kind() == ErrorKind::kInvalid;
  }

  Result<OpenObject> open_object(std::string_view name) const {
    TRY(check_call(name));
    const auto absent = [&] { return fail(ErrorKind::kNotFound, fmt::format("{}: no such object", name)); };
    const SplitName split = split_name(name);
    const std::string base(split.base);
    const Result<Fd> directory = tree_.open(split.parent);
    if (!directory && is_absence(directory.error())) return absent();
    if (!directory) return std::unexpected<Error>(directory.error().within(name));
    // O_NONBLOCK: a FIFO planted here must not hang us.
    Result<Fd> file = platform::open_at(directory->get(), base.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat status {};
    if (!file) {
      if (file.error().kind() == ErrorKind::kNotFound) return absent();
      if (fstatat(directory->get(), base.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
        return fail(ErrorKind::kDenied, fmt::format("{}: a symbolic link, not followed", name));
      return std::unexpected<Error>(file.error().within(name));
    }
    if (fstat(file->get(), &status) != 0) return fail_errno(errno, name);
    if (S_ISDIR(status.st_mode)) return absent();
    if (!S_ISREG(status.st_mode)) return fail(ErrorKind::kDenied, fmt::format("{}: not a regular file", name));
    OpenObject object;
    object.file = std::move(*file);
    object.size = static_cast<std::uint64_t>(status.st_size);
    return object;
  }

  static void ask_kernel(const OpenObject& object, std::uint64_t offset, std::uint64_t bytes, int advice) {
    posix_fadvise(object.file.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes), advice);
  }

  static Result<> read_exactly(std::string_view name, const OpenObject& object, std::uint64_t offset, MutableByteSpan into) {
    const auto ends_early = [&](std::uint64_t size) {
      return fail(ErrorKind::kCorrupt, fmt::format("{}: ends at {}, wanted {} bytes at {}", name, size, into.size(), offset));
    };
    if (offset > object.size || into.size() > object.size - offset) return ends_early(object.size);
    // What is large is asked for in one go, where the kernel's own read-ahead would wait for it piece by piece; and it is read once: its pages
    // serve the next read instead of filling the host's cache, and finding fresh ones would cost as much as decoding.
    constexpr std::size_t kLargeBytes = 128u << 10;
    if (into.size() >= kLargeBytes) ask_kernel(object, offset, into.size(), POSIX_FADV_WILLNEED);
    const std::size_t count = TRY(within(platform::pread_full(object.file.get(), into, offset), name));
    if (into.size() >= kLargeBytes) ask_kernel(object, offset, into.size(), POSIX_FADV_DONTNEED);
    if (count != into.size()) return ends_early(offset + count);  // it was cut while we read
    return {};
  }

  // `directory` is "" or ends in '/'.
  Result<> list_directory(const std::string& directory, std::vector<std::string>& pending,
                          const std::function<Result<>(const ObjectInfo&)>& each) const {
    const std::string_view path = directory.empty() ? std::string_view() : std::string_view(directory).substr(0, directory.size() - 1);
    Result<Fd> opened = tree_.open(path);
    if (!opened && is_absence(opened.error())) return {};
    if (!opened) return std::unexpected<Error>(opened.error().within(path_));
    const DirectoryStream stream = TRY(open_stream(std::move(*opened)));
    const int fd = dirfd(stream.get());
    return for_each_entry(stream.get(), [&](const std::string& entry) -> Result<> {
      if (entry.starts_with(kTemporaryPrefix)) sweep_temporary(fd, entry);
      const std::string name = directory + entry;
      if (!check_object_name(name)) return {};  // dot files, lost+found: not ours
      struct stat status {};
      if (fstatat(fd, entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return {};  // removed meanwhile
        return fail_errno(errno, name);
      }
      if (S_ISDIR(status.st_mode)) pending.push_back(name + "/");
      if (!S_ISREG(status.st_mode)) return {};
      return each({name, static_cast<std::uint64_t>(status.st_size)});
    });
  }

  const std::string path_;
  DirectoryTree tree_;
  std::atomic<bool> sync_failed_{false};
};

Result<Fd> open_root(const std::string& path) {
  return platform::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
}

// A file system's own lost+found does not count: a disk of its own is a good place for a vault.
Result<> check_empty(const std::string& path) {
  Fd directory = TRY(open_root(path));
  const DirectoryStream stream = TRY(open_stream(std::move(directory)));
  return for_each_entry(stream.get(), [&](const std::string& entry) -> Result<> {
    if (entry == "lost+found") return {};
    return fail(ErrorKind::kConflict, path + ": exists and is not empty");
  });
}

}  // namespace

Result<> check_vacant(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return check_empty(path);
  if (errno != ENOENT) return fail_errno(errno, path);
  const std::string parent = std::filesystem::path(path + "/..").lexically_normal().string();
  return ::stat(parent.c_str(), &status) == 0 ? Result<>() : Result<>(fail_errno(errno, parent));
}

Result<std::unique_ptr<ObjectStore>> create_directory_store(const std::string& path) {
  const bool is_new = mkdir(path.c_str(), 0700) == 0;
  if (!is_new) {
    if (errno != EEXIST) return fail_errno(errno, path);
    TRY(check_empty(path));
  }
  Fd root = TRY(open_root(path));
  if (is_new) {  // what was there before is as durable as its maker wanted, and its parent may not be ours to open
    const Fd parent = TRY(within(platform::open_at(root.get(), "..", O_RDONLY | O_DIRECTORY), path));
    TRY(within(platform::sync_fd(parent.get()), path));
  }
  auto store = std::make_unique<DirectoryStore>(path, std::move(root));
  TRY(within(store->probe(), path));
  return store;
}

Result<std::unique_ptr<ObjectStore>> open_directory_store(const std::string& path) {
  Fd root = TRY(open_root(path));
  return std::make_unique<DirectoryStore>(path, std::move(root));
}

}  // namespace coppice::storage
