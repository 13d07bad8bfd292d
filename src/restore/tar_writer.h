// Items of a stream (ordered_stream.h) as a tar archive in pax interchange format, written by libarchive.
//
// A file's size stands before its content, so damage met on the way cannot shorten it: the missing bytes are zeros, and
// the file is named in the report. Sparse files are written out. Sockets have no place in a tar archive; each is told.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "collector.h"
#include "ordered_stream.h"

struct archive;
struct archive_entry;

namespace coppice::restore {

class TarWriter {
 public:
  TarWriter(int fd, Collector& collector);
  ~TarWriter();
  Result<> open();
  // An error means that the stream cannot go on.
  Result<> item(const StreamItem& item);
  Result<> finish();

 private:
  static ssize_t write(archive* a, void* self, const void* bytes, std::size_t count);
  std::unexpected<Error> broken() const;
  Result<> begin(const StreamEntry& item);
  Result<> content(const StreamPart& part);
  Result<> zeros(std::uint64_t length);
  Result<> data(ByteSpan bytes);
  void problem(std::string what);
  Result<> end_file();

  const int fd_;
  Collector& collector_;
  archive* archive_;
  archive_entry* entry_;
  std::optional<Error> output_error_;
  std::string path_;
  bool in_file_ = false, file_failed_ = false;
  std::uint64_t file_bytes_ = 0, file_left_ = 0;
};

}  // namespace coppice::restore
