// Reads files into the writer: small ones grouped, large ones cut (vault/cutter.h has the rules). Sequencer's thread only.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capture/backup.h"
#include "capture/file_reader.h"
#include "capture/metadata.h"
#include "content.h"
#include "cut_buffer.h"
#include "foundation/cancel.h"
#include "scanner.h"
#include "vault/cutter.h"

namespace coppice::capture {

enum class Taking { kTaken, kGone, kReplaced };   // kReplaced: something else has the name now

class FileTaker {
 public:
  FileTaker(vault::Writer& writer, const vault::Cutter& cutter, OwnerNames& names, FileSystemMemo& memo, ReadAhead& read_ahead, ByteSpan fingerprint_secret,
            BackupProgress& progress, const CancelToken& cancel)
      : writer_(writer), cutter_(cutter), names_(names), memo_(memo), read_ahead_(read_ahead), fingerprint_secret_(fingerprint_secret), progress_(progress),
        cancel_(cancel) {}

  // Fills `entry` (all but its name and slices) and `content`. What is not as it should be goes to `problems` and, where content is
  // missing, into the entry's marks. An error is the writer's (or kCancelled): the run is over.
  Result<Taking> take_file(int dir_fd, const ScanItem& item, format::Entry& entry, Content& content, std::vector<std::string>& problems);
  // Everything a descriptor delivers.
  Result<> take_stream(int fd, format::Entry& entry, Content& content);
  // A directory's files are all taken: a group of enough bytes ends here.
  Result<> end_directory();
  // Sends the group in the making.
  Result<> flush_group();
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  using Object = std::pair<std::uint64_t, std::uint64_t>;   // device, inode
  struct Linked {
    Content content;
    format::Entry entry;
    std::uint32_t left = 0;       // names of it still to come
    std::size_t weight = 0;       // memory, about
    std::list<Object>::iterator place;
  };
  void remember(const Object& object, const ScanItem& item, const format::Entry& entry, const Content& content);
  void forget(std::map<Object, Linked>::iterator which);
  // Nothing: it is not small any more.
  Result<std::optional<Taking>> take_small(int dir_fd, const ScanItem& item, format::Entry& entry, Content& content, std::vector<std::string>& problems);
  Result<Taking> take_large(int dir_fd, const ScanItem& item, format::Entry& entry, Content& content, std::vector<std::string>& problems);
  Result<std::uint64_t> read_extents(FileReader& reader, Content& content);
  Result<> cut(bool end, Content& content);
  void count_read(std::size_t bytes);
  Result<> pack_extents(Content& content, bool all);
  void describe(const struct statx& status, int fd, int dir_fd, const std::string& name, format::Entry& entry, std::vector<std::string>& problems);

  vault::Writer& writer_;
  const vault::Cutter& cutter_;
  OwnerNames& names_;
  FileSystemMemo& memo_;
  ReadAhead& read_ahead_;
  const ByteSpan fingerprint_secret_;   // empty: no fingerprints are taken
  BackupProgress& progress_;
  const CancelToken& cancel_;
  CutBuffer buffer_;
  vault::Cutter::Search search_;   // of the chunk that is pending in it
  Bytes group_;
  vault::ChunkTicketPtr group_ticket_;
  // Hard links: content is read at the first name and remembered until the last; forgetting, the oldest first, costs reading again.
  std::map<Object, Linked> linked_;
  std::list<Object> linked_order_;
  std::size_t linked_weight_ = 0;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace coppice::capture
