// Looks at directories ahead of the sequencer, in the order in which it will want them, and compares them with the source state.
//
// take(node) gives the scan of one directory. Helpers scan others meanwhile: what take() returned has its subdirectories put on a stack,
// first on top, so that helpers run ahead along the depth-first order. A node nobody has begun is scanned by take() itself, so the
// sequencer never waits for a helper that is busy elsewhere. How far helpers run ahead is bounded, in directories and in bytes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "capture/backup.h"
#include "capture/metadata.h"
#include "capture/selection.h"
#include "crypto/hash.h"
#include "directory_record.h"
#include "foundation/mutex.h"
#include "name_list.h"
#include "read_ahead.h"
#include "source_tree.h"

namespace coppice::capture {

// The entries of a directory as the state has them, one after the other.
class OldEntries {
 public:
  OldEntries(StateReader* state, const DirectoryRecord* record) : state_(state), record_(record) {}
  // The next entry, or null at the end. Valid until the next call.
  Result<const format::Entry*> next();
  // The chunk table that the current entry's slices name.
  const std::vector<format::ChunkRef>& chunks() const { return reader_->chunks(); }
  // Of the current entry, when it is a directory: its record in the state (offset + 1; 0: none).
  std::uint64_t child_record() const { return child_record_; }
  // Of the current entry, when it is a small file: of its bytes (zero: not taken).
  const crypto::Checksum& fingerprint() const { return fingerprint_; }

 private:
  StateReader* state_;
  const DirectoryRecord* record_;
  std::size_t next_leaf_ = 0, next_child_ = 0;
  Bytes page_;
  std::optional<format::LeafReader> reader_;
  format::Entry entry_;
  std::uint64_t child_record_ = 0;
  std::size_t next_fingerprint_ = 0;   // where in page_
  crypto::Checksum fingerprint_{};
};

struct ScanNode;
using ScanNodePtr = std::shared_ptr<ScanNode>;

// One thing in a directory.
struct ScanItem {
  std::string name;
  struct statx status;
  std::uint32_t marks = 0;
  bool known = false;              // the state has something of this name
  bool unchanged = false;          // it is as the state has it (a directory: its own metadata)
  bool unsettled = false;          // it would be, but was so new then that a later change may not show: it is read again
  bool fetched = false;            // ReadAhead has it under way
  std::optional<crypto::Checksum> old_fingerprint;   // of the bytes that the state has of it; only when there are as many as now
  ScanNodePtr child;               // directories that are to be entered
};

enum class Look {
  kThere,
  kGone,
  kLeftOut,                        // by a rule, or because it cannot be looked at (told in the scan's problems)
};

struct ScanProblem {
  std::string name;                // in the directory; empty: the directory itself
  std::string what;
};

// One directory, looked at. Entries [0, same_prefix) are as the state has them; then come `items`, then (huge directories) what
// Scanner::more() brings.
struct Scan {
  std::shared_ptr<platform::Fd> fd;       // of the directory; null when it could not be opened, or was closed to save descriptors
  bool path_only = false;                 // fd is O_PATH: a directory on the way to a source that may not be listed
  std::shared_ptr<const DirectoryRecord> old;
  std::uint64_t same_prefix = 0;
  bool same = false;                      // all of the old entries, unchanged, and no others
  std::vector<ScanItem> items;
  std::vector<ScanNodePtr> children;      // of the same prefix: directories to be entered, in order
  std::vector<ScanProblem> problems;
  std::array<std::uint64_t, kLeftOutReasons> left_out{};           // how many names, by reason
  std::vector<std::pair<std::string, LeftOut>> left_out_names;     // where the context asks for them
  std::optional<Error> error;             // its list could not be read: nothing else here counts
  // Of the same prefix:
  std::uint64_t files = 0, directories = 0, others = 0, bytes = 0;
  // The rest of a huge directory.
  std::optional<NameList> names;
  bool names_done = false;
  std::unique_ptr<OldEntries> old_entries;
  const format::Entry* old_front = nullptr;   // the old entry not yet passed
  std::uint64_t device = 0;
  bool fixed_times = false;               // the file system's times of change are those that its image was made with
  std::string path;                       // of the directory, no trailing slash; only with path rules, while it is needed
  std::size_t weight() const;             // memory, about
};
using ScanPtr = std::unique_ptr<Scan>;

struct ScanNode {
  std::shared_ptr<const ScanNode> parent; // for paths; null at the root
  std::string name;                       // empty at the root
  std::weak_ptr<platform::Fd> parent_fd;  // for helpers: gone when the parent was closed to save descriptors
  const SourceTree* tree = nullptr;       // the sources at and below this directory; null: none
  bool whole = true;                      // listed; false: only the way to the sources of `tree`
  bool included = true;                   // inside what an include pattern matches, or there are no such patterns
  bool is_source() const { return tree && tree->whole; }
  std::uint64_t old_record = 0;
  std::uint64_t device = 0, inode = 0;    // what was seen under this name

  enum class Stage { kWaiting, kRunning, kDone };
  Stage stage = Stage::kWaiting;          // guarded by the scanner's mutex
  ScanPtr scan;
  std::size_t weight = 0;                 // of the scan, as it was made
  std::string path() const;
};

struct ScanContext {
  const Selection* selection = nullptr;
  StateReader* state = nullptr;           // null: no state, everything is new
  Timestamp base_started;                 // when the run of the state began to look
  BackupProgress* progress = nullptr;
  ReadAhead* read_ahead = nullptr;        // null: nothing will be read
  bool name_left_out = false;             // a dry run tells what is left out, name by name
  bool tell_unmounted = true;             // a mount point of the state that is none now is a problem
  std::string spill_directory;            // where the names of huge directories may go
  std::size_t ahead_max = 64;             // directories scanned ahead; each holds a descriptor
};

class Scanner {
 public:
  Scanner(ScanContext context, unsigned helpers);
  ~Scanner();
  // Sequencer only. Each node once. `parent`: the open directory that holds it; null for the root.
  ScanPtr take(const ScanNodePtr& node, const std::shared_ptr<platform::Fd>& parent);
  // The next part of a huge directory into scan.items (cleared first); false when there is none.
  bool more(const ScanNodePtr& node, Scan& scan);
  // Looks at `item.name` anew, because what was looked at is not there any more; as if the state did not have it.
  Look look_again(const ScanNodePtr& node, Scan& scan, ScanItem& item);

 private:
  ScanPtr scan(const ScanNodePtr& node, const platform::Fd* parent);
  void scan_batch(const ScanNodePtr& node, Scan& scan);
  void look_at(const ScanNodePtr& node, Scan& scan, std::string_view name);
  Look look(const ScanNodePtr& node, Scan& scan, ScanItem& item);
  void leave_out(Scan& scan, const std::string& name, LeftOut reason);
  void compare(const Scan& scan, ScanItem& item, const format::Entry& old, const crypto::Checksum& fingerprint) const;
  void help();
  void push_children(const Scan& scan) REQUIRES(mutex_);

  const ScanContext context_;
  Mutex mutex_;
  CondVar work_, done_;
  std::vector<ScanNodePtr> stack_ GUARDED_BY(mutex_);
  std::size_t ready_ GUARDED_BY(mutex_) = 0;      // scanned ahead and not taken
  std::size_t ready_weight_ GUARDED_BY(mutex_) = 0;   // their memory
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> helpers_;
};

}  // namespace coppice::capture
