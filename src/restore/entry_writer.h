// Makes entries in the target: one per thread. All that touches the target's files is here and in the files beside it:
// entry_writer.cc (files with content), node_writer.cc (everything else, and hard links), placing.cc (names,
// temporaries, renames).
//
// A file is created under its final name where nothing stands, and gets its times last: one that a crash left
// unfinished never looks right. Where something stands, the new object is made beside it under a temporary name and
// renamed over it, so readers see the old or the new.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "run.h"
#include "window.h"

namespace coppice::restore {

class EntryWriter {
 public:
  explicit EntryWriter(Run& run) : run_(run) {}
  EntryWriter(const EntryWriter&) = delete;
  EntryWriter& operator=(const EntryWriter&) = delete;

  // All pieces of one block. Releases what the finished records hold.
  void write_block(const Window& window, const BlockGroup& group);
  // An entry without content to read.
  void make_node(Record& record);
  void make_link(const LinkRecord& link);
  // A huge file's plan is complete (its own piece is done).
  void finish_pieces(Record& record, std::uint64_t count);
  // Between windows: nothing stays open.
  void let_go() { pin_.reset(); }
  bool holds() const { return pin_.directory() != nullptr; }

 private:
  struct Target {  // how a record's object is being made
    int directory_fd = -1;
    const char* final_name = nullptr;
    std::optional<TemporaryName> temporary;
    const char* name() const { return temporary ? temporary->text : final_name; }
  };
  struct Pending {  // verify: written, to be read back while the block is in memory
    Record* record;
    platform::Fd fd;  // of a file that lies in this block alone
    Target target;
    const Piece *begin, *end;
  };

  // entry_writer.cc
  void write_run(Record& record, const Piece* begin, const Piece* end);
  void write_alone(Record& record, const Piece* begin, const Piece* end);
  void write_shared(Record& record, const Piece* begin, const Piece* end);
  void compare_existing(Record& record, const Piece* begin, const Piece* end);
  ssize_t write_at(int fd, ByteSpan bytes, std::uint64_t at);
  bool write_pieces(Record& record, int fd, const Piece* begin, const Piece* end);
  Result<> read_back(int fd, const Piece* begin, const Piece* end);
  void flush_pending();
  Result<platform::Fd> create_file(Record& record, Target& target, mode_t mode);
  platform::Fd open_existing(const char* name);  // in the directory that is pinned
  bool prepare_size(Record& record, int fd);
  void finish_file(Record& record, platform::Fd fd, Target& target, std::uint64_t shown);
  void finish_shared(Record& record);
  platform::Fd open_shared(Record& record, SharedFile& shared) REQUIRES(shared.mutex);
  void finish_checked(Record& record, platform::Fd fd);
  bool is_foreign(const struct stat& st, const Attributes& a) const;
  bool holes_are_zero(Record& record, int fd);
  int acquire_shared(Record& record);  // -1: failed and told
  void release_shared(Record& record);
  void fail_pieces(const Piece* begin, const Piece* end, const Error& error);
  Result<ByteSpan> bytes_of(const Piece& piece);

  // node_writer.cc
  bool make_special(Record& record, Target& target);
  void refresh(Record& record);

  // placing.cc
  bool enter(Directory* directory, Record* record, Where where);
  Target target_of(const Record& record);
  void take_other_temporary(Record& record, Target& target);
  bool place(Target& target, const struct stat& made, Where where);
  bool may_replace(Record& record, const Target& target);  // false: its directory lets nothing go; told
  bool lift_guards(Record& record, int fd);  // false: it is immutable and stays so; told
  void discard(const Target& target, dev_t device, ino_t inode);
  void settle(Record& record, const struct stat* there);
  void fail(Record& record, std::string what);
  void fail_errno(Record& record, const char* what, int error);
  void close_record(Record& record);

  Run& run_;
  DirectoryPin pin_;                // the directory last worked in
  const Window* window_ = nullptr;  // the block at hand
  vault::BlockHandle block_;
  std::uint32_t chunk_ = 0xffffffff;  // whose bytes are
  ByteSpan chunk_bytes_;
  std::vector<Pending> pending_;
  Bytes compare_buffer_;
};

}  // namespace coppice::restore
