// Items of a stream (ordered_stream.h) as a tar archive in pax interchange format, written by libarchive.
//
// A file's size stands before its content, so damage met on the way cannot shorten it: the missing bytes are zeros, and
// the file is named in the report. Sockets have no place in a tar archive; each is told.
//
// What plain tar has no field for is written in the forms that GNU tar and bsdtar read back: ACLs and extended
// attributes as SCHILY records, holes as GNU.sparse 1.0, file flags as SCHILY.fflags (bsdtar only).
#pragma once

#include <locale.h>

#include <memory>
#include <optional>
#include <string>

#include "collector.h"
#include "ordered_stream.h"

struct archive;
struct archive_entry;

namespace coppice::restore {

// The calling thread's locale for text is UTF-8 while this lives, if there is such a locale.
class Utf8Locale {
 public:
  Utf8Locale();
  ~Utf8Locale();
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  bool holds() const { return locale_ != nullptr; }

 private:
  locale_t locale_, before_ = nullptr;
};

// Made, used and destroyed by one thread.
class TarWriter {
 public:
  // `prefix`: the snapshot's path of what is streamed, "" for all; paths in warnings begin with it.
  TarWriter(int fd, std::string prefix, Collector& collector);
  ~TarWriter();
  Result<> open();
  // An error means that the stream cannot go on.
  Result<> item(const StreamItem& item);
  Result<> finish();

 private:
  static ssize_t write(archive* a, void* self, const void* bytes, std::size_t count);
  std::unexpected<Error> broken() const;
  std::string full_path(const std::string& path) const;
  Result<> begin(const StreamEntry& item);
  void add_xattrs(const format::Entry& e);
  bool add_acl(const format::Xattr& xattr);
  Result<> content(const StreamPart& part);
  Result<> zeros(std::uint64_t length);
  Result<> data(ByteSpan bytes);
  void problem(std::string what);
  Result<> end_file();

  const int fd_;
  const std::string prefix_;
  Collector& collector_;
  Utf8Locale locale_;
  archive* archive_;
  archive_entry* entry_;
  std::optional<Error> output_error_;
  std::string path_;
  bool in_file_ = false, file_failed_ = false;
  std::uint64_t file_bytes_ = 0, file_left_ = 0;
};

}  // namespace coppice::restore
