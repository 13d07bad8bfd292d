// Walks the snapshot's tree, depth first on one thread: chooses entries, makes directories, looks at what stands in the
// target already, and fills windows with records.
//
// The files of a directory come before its subdirectories. A directory's page is read through once for its files, and
// its subdirectories are remembered in batches of bounded size: a huge one is read again for the next batch. So memory
// grows neither with the width nor with the depth of the tree (beyond a small record for each level).
//
// What counts as already right: the same type, size and mtime to the nanosecond. mtime is the last thing that a restore
// puts on a file, so an unfinished one never looks right. With `verify` the content is compared instead of trusted.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "entry_writer.h"
#include "policy/patterns.h"
#include "run.h"
#include "runner.h"
#include "vault/reader.h"
#include "window.h"

namespace coppice::restore {

class Walker {
 public:
  // `runner` is null for a dry run.
  Walker(Run& run, Runner* runner, const format::SnapshotBody& body, const policy::PatternList& patterns,
         std::size_t window_bytes_max);

  struct Base {
    Directory* directory;  // planned; the walk takes over a reference
    std::string path;      // in the snapshot; "" for its root
    bool inside;           // chosen itself, so its contents are unless a pattern takes them out
    std::uint32_t marks = 0;  // of its entry
  };
  // Everything in the directory node `node`, which is the base's.
  Result<> walk(Base base, const std::optional<format::ChunkRef>& node);
  // One entry that is no directory, into the base.
  Result<> one(Base base, const vault::FoundEntry& found);

 private:
  struct Pending {  // a subdirectory to be walked
    Directory* directory;
    std::optional<format::ChunkRef> node;
    bool inside;  // chosen, so its contents are unless a pattern takes them out
  };
  struct Frame {
    Directory* directory;
    std::optional<format::ChunkRef> node;
    bool inside;
    std::size_t path_bytes;  // of path_ at this level
    std::vector<Pending> children;
    std::size_t next = 0;
    std::string resume_after;  // last child of the batch
    bool more = false, first_pass = true;
    std::string told;  // of what could not be read: each pass may meet it again
  };

  Result<> read(Frame& frame);
  void tell_marks(const Directory* directory, std::uint32_t marks, bool inside);
  void visit(Frame& frame, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);
  void visit_directory(Frame& frame, const format::Entry& entry);
  bool chosen(const Frame& frame, const format::Entry& entry);
  void plan(Directory* directory, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks, std::optional<AgainList::Why> again,
            LinkTarget* link);
  std::optional<Action> look(Directory* directory, const format::Entry& entry, LinkTarget* link, bool has_content);
  Record* new_record(Directory* directory, const format::Entry& entry, Action action, LinkTarget* link);
  void plan_content(Record& record, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);
  void plan_huge(Directory* directory, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks,
                 Action action, LinkTarget* link);
  bool add_slice(Record& record, std::uint64_t& at, const format::ChunkRef* ref, const format::Slice& slice,
                 Arena& arena);
  void fill_record(Record& record, Directory* directory, const format::Entry& entry, Action action, LinkTarget* link,
                   Arena& arena);
  void submit_when_due();
  void submit();
  void settle();
  bool plan_again();   // whether there was anything
  void plan_again_in(Directory& directory, std::span<AgainList::Item> items);   // all of that directory, by name
  void leave_frames();

  // dry_run.cc. No outcome: nothing becomes of it, and that was told or counted.
  void count_dry(Directory* directory, const format::Entry& entry, const std::vector<format::ChunkRef>& chunks);
  std::optional<Outcome> look_dry(Directory* directory, const format::Entry& entry, LinkTarget* link);
  std::optional<Outcome> look_dry_link(Directory* directory, const format::Entry& entry, const LinkTarget& first);
  bool is_right_here(const format::Entry& entry) const;  // in the directory that is looked at
  void tell_directory(Directory* directory);
  void tell(const Where& where, Outcome outcome);

  Run& run_;
  Runner* runner_;
  const format::SnapshotBody& body_;
  const policy::PatternList& patterns_;
  const std::size_t window_bytes_max_;
  std::unique_ptr<Window> window_;
  EntryWriter own_writer_;  // for a huge file that is done before its plan is
  std::vector<Frame> stack_;
  std::size_t pending_children_ = 0;  // in all frames
  std::string path_;                  // of the frame's directory in the snapshot; kept only when there are patterns
  std::string entry_path_;
  DirectoryPin pin_;  // of the directory that is looked at
};

}  // namespace coppice::restore
