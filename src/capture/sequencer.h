// One walk over the sources, in depth-first order: decides what is new, has it read and stored, and tells the tree builder.
#pragma once

#include <set>

#include "capture/backup.h"
#include "file_taker.h"
#include "scanner.h"
#include "source_state.h"
#include "source_tree.h"
#include "tree_builder.h"

namespace coppice::capture {

// Warnings, notices and counts of one run, on their way to whoever called it.
class Reporter {
 public:
  Reporter(const BackupOptions& options, BackupReport& report) : options_(options), report_(report) {}
  void warn(std::string path, std::string what);
  void notice(const std::string& what) const;
  void left_out(const ScanNode& node, Scan& scan);
  BackupReport& report() { return report_; }

 private:
  const BackupOptions& options_;
  BackupReport& report_;
};

// One thread. A source that changes, vanishes or does not let itself be read is a warning; an error is the writer's, or kCancelled.
class Sequencer {
 public:
  Sequencer(const vault::Vault& vault, const BackupOptions& options, BackupProgress& progress, const CancelToken& cancel, Reporter& reporter);
  ~Sequencer() { drop_frames(); }

  // The walk; with a writer, everything is taken too. When the old state does not read, the walk begins again without it.
  Result<> run(const Selection& selection, const SourceTree& sources, SourceState& state, vault::Writer* writer);
  Result<> run_stream(vault::Writer& writer, SourceState& state);
  const DirectoryBuild::Child& root() const { return tree_->root(); }
  // What "/" itself is; none for a stream.
  const std::optional<format::Entry>& root_entry() const { return root_entry_; }

 private:
  struct Frame {
    ScanNodePtr node;
    ScanPtr scan;
    std::unique_ptr<DirectoryBuild> build;
    std::size_t next_child = 0, next_item = 0;
  };
  // What stands in the tree for a name; a directory that is entered brings its scan.
  struct Taken {
    DirectoryBuild::Element element;
    ScanNodePtr child;
    ScanPtr scan;
  };
  Result<> walk(const SourceTree& sources, SourceState& state);
  void drop_frames();
  void note_exhausted(const Error& error);
  bool open_again();
  void push(const ScanNodePtr& node, ScanPtr scan, DirectoryBuild::Child* slot);
  Result<> step(Frame& frame);
  Result<std::optional<Taken>> take(Frame& frame, ScanItem& item);
  Result<Taking> take_once(Frame& frame, ScanItem& item, Taken& taken, std::vector<std::string>& problems);
  Taking take_directory(Frame& frame, ScanItem& item, Taken& taken, std::vector<std::string>& problems);
  Taking describe(Frame& frame, const ScanItem& item, int fd, format::Entry& entry, std::vector<std::string>& problems);
  Result<> take_item(Frame& frame, ScanItem& item);
  Result<> enter_old_child(Frame& frame, const ScanNodePtr& child);
  void fill_root_entry(const Scan& scan, bool whole);
  Result<> relieve(Frame& frame);
  Result<> settle();
  void count(const format::Entry& entry, const ScanItem& item);
  void count_unread(const ScanItem& item);
  void tell(const Frame& frame, const std::string& name, std::string what) { reporter_.warn(frame.node->path() + "/" + name, std::move(what)); }
  void take_stock(const ScanNodePtr& node, Scan& scan);
  void look_at_space();

  const vault::Vault& vault_;
  const BackupOptions& options_;
  BackupProgress& progress_;
  const CancelToken& cancel_;
  Reporter& reporter_;
  BackupReport& report_;
  const vault::Cutter cutter_;
  OwnerNames names_;
  FileSystemMemo memo_;
  std::optional<ReadAhead> read_ahead_;
  const Selection* selection_ = nullptr;
  vault::Writer* writer_ = nullptr;
  std::unique_ptr<Scanner> scanner_;
  std::unique_ptr<FileTaker> taker_;
  std::unique_ptr<TreeBuilder> tree_;
  std::vector<Frame> frames_;             // from "/" down; the deepest have their directories open
  std::size_t open_max_ = 0;              // how many of them
  std::optional<format::Entry> root_entry_;
  std::optional<Error> exhausted_;   // what we lack ourselves: the run ends
  std::size_t relieve_at_ = 0;            // when so much waits to be encoded, it is waited for
  std::set<std::pair<std::uint64_t, std::uint64_t>> dry_linked_;   // a dry run: objects of several names, seen once
  bool told_of_space_ = false;
};

}  // namespace coppice::capture
