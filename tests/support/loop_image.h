// A small file system of a given type in an image file, mounted for one test. Needs root, a free loop device and the
// mkfs program; where one is missing mounted() is false and the test should skip.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "support/temp_directory.h"

namespace coppice::testing {

class LoopImage {
 public:
  explicit LoopImage(const std::string& type) {
    if (geteuid() != 0) return;
    const char* options = type == "ext4" ? "-q -F -b 4096" : type == "xfs" ? "-q -f" : "-q -f";
    off_t bytes = type == "ext4" ? 64 << 20 : 320 << 20;  // the least that mkfs.xfs takes; sparse
    std::string image = scratch_ / "image";
    int fd = open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    bool sized = ftruncate(fd, bytes) == 0;
    close(fd);
    if (!sized || mkdir(path().c_str(), 0755) != 0) return;
    if (!run(fmt::format("mkfs.{} {} '{}'", type, options, image))) return;
    mounted_ = run(fmt::format("mount -o loop '{}' '{}'", image, path()));
  }
  ~LoopImage() {
    if (mounted_ && umount2(path().c_str(), 0) != 0) umount2(path().c_str(), MNT_DETACH);
  }
  LoopImage(const LoopImage&) = delete;
  LoopImage& operator=(const LoopImage&) = delete;

  bool mounted() const { return mounted_; }
  std::string path() const { return scratch_ / "mnt"; }
  std::string operator/(std::string_view name) const { return path() + "/" + std::string(name); }

 private:
  static bool run(const std::string& command) {
    return std::system(("PATH=$PATH:/sbin:/usr/sbin; { " + command + "; } >/dev/null 2>&1").c_str()) == 0;
  }
  TempDirectory scratch_;
  bool mounted_ = false;
};

}  // namespace coppice::testing
