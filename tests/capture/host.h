// A directory to back up, a vault in memory, and a look at what a snapshot holds.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "capture/backup.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "support/temp_directory.h"
#include "support/test_vault.h"

namespace coppice::testing {

namespace fs = std::filesystem;

inline void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

struct Host {
  Host() {
    fs::create_directory(source);
    fs::create_directory(state);
    test.clock.set(platform::system_clock().now());
    test.clock.advance_seconds(3600);   // what was written a moment ago counts as settled
    options.sources = {source};
    options.host = "host";
    options.writer = {.workers = 1, .memory_bytes = 64u << 20};
    options.on_warning = [this](const capture::BackupWarning& w) { warnings[w.path] = w.what; };
    options.on_notice = [this](const std::string& what) { notices.push_back(what); };
  }

  Result<capture::BackupReport> back_up() {
    warnings.clear();
    notices.clear();
    test.clock.advance_seconds(60);
    vault = std::move(*test.open(format::Role::kReader, state));
    progress = std::make_unique<capture::BackupProgress>();
    return capture::run_backup(*vault, options, *progress, cancel);
  }

  // Everything below the source in the snapshot, by its path there; files with their content.
  struct Thing {
    format::Entry entry;
    std::string content;
  };
  std::map<std::string, Thing> look(const capture::BackupReport& report) {
    std::map<std::string, Thing> things;
    auto reader = vault::ChunkReader::create(*vault, 8u << 20);
    EXPECT_OK(reader);
    std::function<void(const format::ChunkRef&, const std::string&)> enter = [&](const format::ChunkRef& node, const std::string& path) {
      EXPECT_OK(vault::read_directory(**reader, node, [&](const format::Entry& entry, const std::vector<format::ChunkRef>& chunks) -> Result<> {
        Thing& thing = things[path + "/" + entry.name];
        thing.entry = entry;
        EXPECT_OK(vault::read_slices(**reader, entry, chunks, [&](const format::ChunkRef* ref, const format::Slice& slice) -> Result<> {
          if (!ref) {
            thing.content.append(slice.length, '\0');
            return {};
          }
          const auto chunk = TRY((*reader)->chunk(*ref));
          thing.content += as_text(chunk.bytes.subspan(slice.offset, slice.length));
          return {};
        }));
        if (entry.child) enter(*entry.child, path + "/" + entry.name);
        return {};
      }));
    };
    if (report.snapshot.body && report.snapshot.body->root) enter(*report.snapshot.body->root, "");
    std::map<std::string, Thing> below;
    for (auto& [path, thing] : things)
      if (path.starts_with(source + "/")) below[path.substr(source.size() + 1)] = std::move(thing);
    return below;
  }

  TempDirectory directory;
  std::string source = fs::canonical(directory.path()).string() + "/source", state = directory / "state";
  TestVault test;
  std::unique_ptr<vault::Vault> vault;
  capture::BackupOptions options;
  std::unique_ptr<capture::BackupProgress> progress;
  CancelToken cancel;
  std::map<std::string, std::string> warnings;   // path -> what
  std::vector<std::string> notices;
};

// Keeps whoever opens `path` waiting (a lease) until `change` was made. All of its directory has been looked at by then, and nothing
// behind it was read.
class Held {
 public:
  Held(const std::string& path, std::function<void()> change) {
    ::signal(SIGIO, SIG_IGN);   // the kernel's word to the holder
    fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    works_ = ::fcntl(fd_, F_SETLEASE, F_WRLCK) == 0;
    if (works_) thread_ = std::jthread([this, change = std::move(change)](const std::stop_token& stop) {
      while (!stop.stop_requested() && ::fcntl(fd_, F_GETLEASE) == F_WRLCK) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      change();
      ::fcntl(fd_, F_SETLEASE, F_UNLCK);
    });
  }
  ~Held() {
    if (thread_.joinable()) {
      thread_.request_stop();
      thread_.join();
    }
    ::close(fd_);
  }
  bool works() const { return works_; }   // false: a file system without leases

 private:
  int fd_;
  bool works_ = false;
  std::jthread thread_;
};

}  // namespace coppice::testing
