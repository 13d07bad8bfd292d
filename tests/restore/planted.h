// Snapshots made of values, and of directories on disk, without the capture layer: a tree of nodes goes into a vault in
// memory.
//
// Small contents are grouped into shared chunks, larger ones cut at a fixed length, and long slice lists get extent
// pages, so that all forms of a file's content come up.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "platform/file_flags.h"
#include "restore/restore.h"
#include "support/test_vault.h"

namespace coppice::testing {

struct Run {  // the rest of a content is holes
  std::uint64_t offset = 0;
  std::string bytes;
  bool operator==(const Run&) const = default;
};

struct Node {
  format::Entry entry;
  std::vector<Run> content;
  std::vector<Node> children;
  std::string forged_name;  // as long as the name: stands in its place in the page, against the rules

  Node& add(Node child) {
    children.push_back(std::move(child));
    return children.back();
  }
};

inline Node directory_node(std::string name, std::vector<Node> children = {}) {
  Node node;
  node.entry = {.name = std::move(name),
                .type = format::EntryType::kDirectory,
                .mode = 0755,
                .mtime = {1'600'000'000, 5},
                .atime = {1'600'000'001, 6}};
  node.entry.owner.uid = geteuid();
  node.entry.owner.gid = getegid();
  node.children = std::move(children);
  return node;
}

inline Node file_node(std::string name, std::string content) {
  Node node;
  node.entry = {.name = std::move(name),
                .mode = 0644,
                .size = content.size(),
                .mtime = {1'500'000'000, 123'456'789},
                .atime = {1'500'000'001, 1}};
  node.entry.owner.uid = geteuid();
  node.entry.owner.gid = getegid();
  if (!content.empty()) node.content.push_back({0, std::move(content)});
  return node;
}

inline Node symlink_node(std::string name, std::string target) {
  Node node = file_node(std::move(name), "");
  node.entry.type = format::EntryType::kSymlink;
  node.entry.mode = 0777;
  node.entry.target = std::move(target);
  return node;
}

struct PlantOptions {
  std::size_t chunk_bytes = 100'000;  // files are cut at this length
  std::size_t group_bytes = 60'000;   // small files share a chunk up to this
  std::size_t leaf_entries_max = 100;
  std::size_t inline_slices_max = format::kSlicesInlineMax;
  bool read_inodes_once = true;  // else their content is stored for each name, in places of its own
};

class Planter {
 public:
  Planter(vault::Writer& writer, PlantOptions options) : writer_(writer), options_(options) {}

  format::ChunkRef plant(Node& directory) {
    std::ranges::sort(directory.children, {}, [](const Node& n) { return n.entry.name; });
    for (Node& child : directory.children) {
      if (child.entry.type == format::EntryType::kDirectory) {
        if (!child.children.empty()) child.entry.child = plant(child);
      } else {
        stage(child);
      }
    }
    flush_group();
    EXPECT_OK(writer_.drain());
    return write_leaves(directory);
  }

 private:
  struct Staged {
    std::uint64_t length = 0;
    vault::ChunkTicketPtr ticket;  // null: a hole
    std::uint32_t offset = 0;
  };

  void stage(Node& node) {
    auto& slices = staged_[&node];
    if (options_.read_inodes_once && node.entry.links > 1) {
      auto& first = inodes_[{node.entry.device, node.entry.inode}];
      if (first.node && first.node->content == node.content && first.node->entry.size == node.entry.size) {
        slices = first.slices;
        return;
      }
      stage_content(node, slices);
      first = {std::make_shared<Node>(node), slices};
      return;
    }
    stage_content(node, slices);
  }

  void stage_content(const Node& node, std::vector<Staged>& slices) {
    std::uint64_t at = 0;
    const auto hole_to = [&](std::uint64_t end) {
      if (end > at) slices.push_back({end - at, nullptr, 0});
      at = end;
    };
    for (const Run& run : node.content) {
      hole_to(run.offset);
      if (run.bytes.size() <= options_.group_bytes / 2) {
        if (group_.size() + run.bytes.size() > options_.group_bytes) flush_group();
        if (!group_ticket_) group_ticket_ = std::make_shared<vault::ChunkTicket>();
        slices.push_back({run.bytes.size(), group_ticket_, static_cast<std::uint32_t>(group_.size())});
        append(group_, as_bytes(run.bytes));
      } else {
        for (std::size_t done = 0; done < run.bytes.size(); done += options_.chunk_bytes) {
          const auto part = std::string_view(run.bytes).substr(done, options_.chunk_bytes);
          slices.push_back({part.size(), put(to_bytes(as_bytes(part)), std::make_shared<vault::ChunkTicket>()), 0});
        }
      }
      at += run.bytes.size();
    }
    if (!node.content.empty() || !(node.entry.marks & format::kMarkUnreadable)) hole_to(node.entry.size);
  }

  vault::ChunkTicketPtr put(Bytes chunk, vault::ChunkTicketPtr ticket) {
    EXPECT_OK(writer_.put_data(vault::share(std::move(chunk)), ticket));
    return ticket;
  }
  void flush_group() {
    if (group_ticket_) put(std::exchange(group_, {}), std::exchange(group_ticket_, nullptr));
  }

  format::ChunkRef write_leaves(Node& directory) {
    std::vector<format::IndexPageEntry> pages;
    format::LeafBuilder leaf;
    std::vector<const Node*> in_leaf;
    const auto finish = [&] {
      Bytes page = leaf.finish();
      for (const Node* n : in_leaf) forge(page, *n);
      auto ref = writer_.put_tree(page);
      EXPECT_OK(ref);
      pages.push_back({in_leaf.empty() ? "" : in_leaf.front()->entry.name, *ref});
      in_leaf.clear();
    };
    for (Node& node : directory.children) {
      format::Entry entry = node.entry;
      const auto it = staged_.find(&node);
      if (it != staged_.end() && it->second.size() > options_.inline_slices_max) {
        entry.extents = write_extents(it->second);
      } else if (it != staged_.end()) {
        for (const Staged& s : it->second)
          entry.slices.push_back({.chunk = s.ticket ? leaf.add_chunk(refer(s)) : format::Slice::kHole,
                                  .offset = s.offset,
                                  .length = s.length});
      }
      staged_.erase(&node);
      std::ranges::sort(entry.xattrs, {}, [](const format::Xattr& x) { return x.name; });
      leaf.add_entry(entry);
      in_leaf.push_back(&node);
      if (leaf.entries() >= options_.leaf_entries_max) finish();
    }
    if (leaf.entries() > 0 || pages.empty()) finish();
    if (pages.size() == 1) return pages.front().page;
    auto ref = writer_.put_tree(format::encode_index_page(pages));
    EXPECT_OK(ref);
    return *ref;
  }

  std::vector<format::ChunkRef> write_extents(const std::vector<Staged>& slices) {
    std::vector<format::ChunkRef> pages;
    for (std::size_t first = 0; first < slices.size(); first += 100) {
      format::ExtentPage page;
      for (std::size_t i = first; i < std::min(first + 100, slices.size()); ++i) {
        format::Slice slice{.offset = slices[i].offset, .length = slices[i].length};
        if (slices[i].ticket) {
          const format::ChunkRef ref = refer(slices[i]);
          auto it = std::ranges::find(page.chunks, ref);
          slice.chunk = static_cast<std::uint32_t>(it - page.chunks.begin());
          if (it == page.chunks.end()) page.chunks.push_back(ref);
        }
        page.slices.push_back(slice);
      }
      auto ref = writer_.put_tree(format::encode_extent_page(page));
      EXPECT_OK(ref);
      pages.push_back(*ref);
    }
    return pages;
  }

  format::ChunkRef refer(const Staged& s) {
    EXPECT_TRUE(s.ticket->ready());
    writer_.refer(s.ticket->ref());
    return s.ticket->ref();
  }

  static void forge(Bytes& page, const Node& node) {
    if (node.forged_name.empty()) return;
    const std::string_view text = as_text(page);
    const std::size_t at = text.find(node.entry.name);
    CHECK(at != std::string_view::npos && node.forged_name.size() == node.entry.name.size());
    std::memcpy(page.data() + at, node.forged_name.data(), node.forged_name.size());
  }

  vault::Writer& writer_;
  const PlantOptions options_;
  struct Inode {
    std::shared_ptr<const Node> node;  // the first of its names
    std::vector<Staged> slices;
  };
  std::map<const Node*, std::vector<Staged>> staged_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Inode> inodes_;
  Bytes group_;
  vault::ChunkTicketPtr group_ticket_;
};

inline void count(const Node& node, format::SnapshotBody& body) {
  for (const Node& child : node.children) {
    if (child.entry.type == format::EntryType::kFile)
      ++body.files, body.bytes += child.entry.size;
    else if (child.entry.type == format::EntryType::kDirectory)
      ++body.directories;
    else
      ++body.others;
    count(child, body);
  }
}

inline format::SnapshotBody plant(TestVault& v, Node root, PlantOptions options = {}) {
  auto opened = v.open();
  EXPECT_OK(opened);
  auto writer = vault::Writer::begin(**opened, "host /", {.workers = 1, .memory_bytes = 64u << 20});
  EXPECT_OK(writer);
  format::SnapshotBody body{.host = "host", .sources = {"/"}, .started = v.clock.now()};
  count(root, body);
  body.root = Planter(**writer, options).plant(root);
  auto snapshot = (*writer)->commit(body);
  EXPECT_OK(snapshot);
  v.clock.advance_seconds(3600);
  return *snapshot->body;
}

// ---- from disk ----

inline void read_xattrs(const std::string& path, format::Entry& entry) {
  char names[4096];
  const ssize_t n = llistxattr(path.c_str(), names, sizeof names);
  for (const char* name = names; n > 0 && name < names + n; name += std::strlen(name) + 1) {
    std::string value(65536, '\0');
    const ssize_t bytes = lgetxattr(path.c_str(), name, value.data(), value.size());
    if (bytes < 0) continue;
    value.resize(static_cast<std::size_t>(bytes));
    entry.xattrs.push_back({name, value});
  }
}

inline void read_flags(int fd, format::Entry& entry) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) entry.flags = static_cast<unsigned>(flags) & platform::kUserFileFlags;
}

inline void read_content(int dir, const std::string& name, Node& node) {
  const int fd = openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NOATIME);
  CHECK(fd >= 0);
  read_flags(fd, node.entry);
  off_t at = 0;
  const auto size = static_cast<off_t>(node.entry.size);
  while (at < size) {
    const off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0) break;
    const off_t end = lseek(fd, data, SEEK_HOLE);
    Run run{static_cast<std::uint64_t>(data), std::string(static_cast<std::size_t>(end - data), '\0')};
    CHECK(pread(fd, run.bytes.data(), run.bytes.size(), data) == static_cast<ssize_t>(run.bytes.size()));
    node.content.push_back(std::move(run));
    at = end;
  }
  close(fd);
}

inline Node node_of(int dir, const std::string& name) {
  struct stat st {};
  CHECK(fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0);
  Node node;
  format::Entry& e = node.entry;
  e.name = name;
  e.mode = st.st_mode & 07777;
  e.owner = {.uid = st.st_uid, .gid = st.st_gid};
  e.mtime = {st.st_mtim.tv_sec, static_cast<std::uint32_t>(st.st_mtim.tv_nsec)};
  e.atime = {st.st_atim.tv_sec, static_cast<std::uint32_t>(st.st_atim.tv_nsec)};
  e.device = st.st_dev;
  e.inode = st.st_ino;
  e.links = S_ISDIR(st.st_mode) ? 1 : static_cast<std::uint32_t>(st.st_nlink);
  const std::string path = "/proc/self/fd/" + std::to_string(dir) + "/" + name;
  read_xattrs(path, e);
  using format::EntryType;
  switch (st.st_mode & S_IFMT) {
    case S_IFREG:
      e.size = static_cast<std::uint64_t>(st.st_size);
      read_content(dir, name, node);
      break;
    case S_IFDIR: {
      e.type = EntryType::kDirectory;
      const int fd = openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME);
      CHECK(fd >= 0);
      read_flags(fd, e);
      DIR* list = fdopendir(fd);
      while (const dirent* d = readdir(list)) {
        const std::string child = d->d_name;
        if (child != "." && child != "..") node.children.push_back(node_of(fd, child));
      }
      closedir(list);
      break;
    }
    case S_IFLNK:
      e.type = EntryType::kSymlink;
      e.target.resize(4096);
      e.target.resize(static_cast<std::size_t>(readlinkat(dir, name.c_str(), e.target.data(), e.target.size())));
      break;
    case S_IFCHR:
    case S_IFBLK:
      e.type = S_ISCHR(st.st_mode) ? EntryType::kCharDevice : EntryType::kBlockDevice;
      e.rdev = st.st_rdev;
      break;
    case S_IFIFO:
      e.type = EntryType::kFifo;
      break;
    case S_IFSOCK:
      e.type = EntryType::kSocket;
      break;
    default:
      CHECK(false);
  }
  return node;
}

// The directory at `path` as the only entry of a root.
inline Node tree_of(const std::string& parent, const std::string& name) {
  const int fd = open(parent.c_str(), O_RDONLY | O_DIRECTORY);
  CHECK(fd >= 0);
  Node root;
  root.children.push_back(node_of(fd, name));
  close(fd);
  return root;
}

// ---- restoring ----

struct Restoring {
  explicit Restoring(TestVault& v) : vault(*v.open()) {
    reader = std::move(*vault::ChunkReader::create(*vault, 32u << 20));
  }
  Result<restore::RestoreReport> operator()(const format::SnapshotBody& body, restore::RestoreOptions options) {
    return restore::restore_snapshot(*reader, body, options, progress, cancel);
  }
  std::unique_ptr<vault::Vault> vault;
  std::unique_ptr<vault::ChunkReader> reader;
  restore::RestoreProgress progress;
  CancelToken cancel;
};

inline std::string all_warnings(const restore::RestoreReport& report) {
  std::string text;
  for (const auto& w : report.warnings) text += w.path + ": " + w.what + "\n";
  return text;
}

inline std::string content_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW);
  if (fd < 0) return "(cannot be opened: " + std::string(std::strerror(errno)) + ")";
  std::string text;
  char buffer[65536];
  ssize_t n;
  while ((n = ::read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return text;
}

inline void write_text(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  CHECK(fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(fd);
}

inline bool exists(const std::string& path) {
  struct stat st {};
  return lstat(path.c_str(), &st) == 0;
}

inline struct stat stat_of(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(lstat(path.c_str(), &st), 0) << path << ": " << std::strerror(errno);
  return st;
}

inline void set_mtime(const std::string& path, const Timestamp& t) {
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = t.seconds, .tv_nsec = static_cast<long>(t.nanoseconds)}};
  CHECK(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

}  // namespace coppice::testing
