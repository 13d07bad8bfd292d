// Reads the content of files for a backup: never another object than the one that was scanned, holes not read, the page
// cache left as it was found, and a file that changes under the reader noticed.
//
// Page cache. Before a window of 8 MiB is reached, cachestat(2) tells whether all, none or some of it is resident, and
// mincore(2) on a mapping (that is never touched) which pages, where it is some or the kernel is older than 6.5. When
// the window has been read, the pages that were not resident go (POSIX_FADV_DONTNEED). Windows are looked at 56 MiB
// ahead, so that the kernel's own readahead (up to four times the device's read_ahead_kb) does not pass for residence,
// as it would with preadv2(RWF_NOWAIT). Where neither call may be made (files of others) nothing is evicted.
#pragma once

#include <sys/stat.h>

#include <array>
#include <bitset>
#include <cstdint>

#include "foundation/bytes.h"
#include "foundation/result.h"
#include "platform/file.h"

struct statx;

namespace coppice::capture {

// Size, mtime and ctime (and so content, as far as the kernel tells) are the same, and it is the same object.
bool same_version(const struct statx& a, const struct statx& b);

// Whether holes are worth looking for.
inline bool is_sparse(const struct statx& st) { return st.stx_size >= 4096 && st.stx_blocks * 512 < st.stx_size; }

// What the page cache had of a file before this run came: as it is found when the file is opened, or nothing (what is there now was brought in
// ahead of its turn).
enum class Residence { kAsFound, kFetched };

// The file for reading, if it can be had at once; no more than a try, for reading ahead.
platform::Fd open_to_read(int dir_fd, const char* name, const struct statx& scanned);

struct SmallFile {
  platform::Fd fd;           // still open, for fill_extended
  std::size_t bytes = 0;     // how much of `into` is the content
  struct statx status = {};  // taken after the reading
  // Not what was scanned: size, mtime or ctime moved on, or more or less than the size could be read. Call again with
  // `status` as `scanned` (that is the one retry), then mark the entry. With `status.stx_size` > into.size() use
  // FileReader.
  bool changed = false;
  bool cold = false;         // it was not in the page cache (nor fetched)
};
// A whole file of up to into.size() bytes in as few calls as can be: open, read, statx. Holes come as zeros: send what
// is_sparse() to FileReader. What was not resident before (as far as the first read tells) leaves the page cache again.
// kConflict: another object has the name now (scan it anew); kNotFound: gone; kDenied and others as the system says.
Result<SmallFile> read_small_file(int dir_fd, const char* name, const struct statx& scanned, MutableByteSpan into,
                                  Residence residence = Residence::kAsFound);

struct Extent {
  std::uint64_t offset = 0, length = 0;  // length 0: the end of the file
  bool hole = false;
};

// Not thread-safe. After an error the reader may only be destroyed.
class FileReader {
 public:
  // Errors as of read_small_file.
  static Result<FileReader> open(int dir_fd, const char* name, const struct statx& scanned,
                                 Residence residence = Residence::kAsFound);
  FileReader(FileReader&&) noexcept = default;  // the one moved from may only be destroyed
  FileReader& operator=(FileReader&&) noexcept = delete;
  ~FileReader();

  // As of open() or of the last rewind(): what is read belongs to it, so metadata should be filled from here.
  const struct statx& status() const { return status_; }
  // The next run of data or hole in order. A data extent must be read until read() gives 0 first. What is appended
  // after open() is not read.
  Result<Extent> next_extent();
  // Some bytes of the current data extent, up to into.size() (fewer only at its end); 0 at its end, or where the file
  // was cut short: then the next extent is the end.
  Result<std::size_t> read(MutableByteSpan into);
  // How far the extents given out reach: at the end the content's size (less than status().stx_size when the file was
  // cut short).
  std::uint64_t position() const { return position_; }
  // After the end: whether the file became another version while it was read.
  Result<bool> changed();
  // Start again with the file as it is now: the one retry of a file that changed.
  Result<> rewind();
  int fd() const { return fd_.get(); }

 private:
  static constexpr std::uint64_t kWindowBytes = 8u << 20, kWindows = 8, kPageBytesMin = 4096;
  struct Window {
    std::uint64_t number = UINT64_MAX;
    bool all_resident = true;
    std::bitset<kWindowBytes / kPageBytesMin> resident;  // a bit for each page of the machine's size
  };
  FileReader(platform::Fd fd, const struct statx& status, Residence residence);
  void start();
  void enter(std::uint64_t number);  // before a window is read: leaves what is behind, looks ahead
  void look_at(Window& window, std::uint64_t number);
  void leave(Window& window);  // evicts what was not resident

  platform::Fd fd_;
  struct statx status_;
  const Residence residence_;
  bool sparse_ = false, cut_short_ = false;
  std::uint64_t position_ = 0, extent_end_ = 0, entered_ = UINT64_MAX;
  std::array<Window, kWindows> windows_;  // the one being read and those ahead, by number modulo kWindows
};

}  // namespace coppice::capture
