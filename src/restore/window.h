// A window: the part of the restore that is planned, and then run, at one time.
//
// The walk fills it with records of entries and with pieces (which bytes of which chunk go where). seal() sorts the
// pieces by block, in storage order, so that each block is read and opened once for all that needs it. Everything in a
// window lies in its arena: the window is bounded by its bytes, and planning costs no allocation per file.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arena.h"
#include "attributes.h"
#include "directory.h"
#include "format/ids.h"
#include "foundation/mutex.h"
#include "hard_links.h"
#include "platform/file.h"

namespace coppice::restore {

enum class Action : std::uint8_t {
  kCreate,   // nothing stands there
  kReplace,  // something does, or may: written beside it and renamed over it
  kCheck,    // looks right: its content is compared (verify)
  kRefresh,  // is right but for attributes
};

// A file whose content lies in several blocks is written by several threads.
struct SharedFile {
  Mutex mutex;
  platform::Fd fd GUARDED_BY(mutex);
  std::uint32_t users GUARDED_BY(mutex) = 0;
  bool created GUARDED_BY(mutex) = false;
  dev_t device GUARDED_BY(mutex) = 0;
  ino_t inode GUARDED_BY(mutex) = 0;
  std::atomic<std::uint64_t> pieces_left{0};
  std::atomic<std::uint64_t> shown{0};  // bytes told to the display
};

struct Record;

// A file too large for one window: keeps its record alive across them. Deleted with its last piece.
struct HugeFile;

// Zeros that no chunk holds, of a file that is compared.
struct Hole {
  std::uint64_t at, length;
  Hole* next;
};

struct Record {
  Directory* directory;  // holds a reference
  const char* name;
  std::uint32_t name_bytes;
  std::atomic<Action> action;  // kCreate becomes kReplace when something came meanwhile
  bool has_holes = false;
  std::uint8_t temporary = 0;         // number of its temporary's name
  std::atomic<bool> failed{false};    // told already
  std::atomic<bool> mismatch{false};  // kCheck: the content on disk is not the snapshot's
  Attributes attributes;
  LinkTarget* link = nullptr;    // first of several names; holds a reference
  SharedFile* shared = nullptr;  // pieces in more than one block
  HugeFile* huge = nullptr;
  Hole* holes = nullptr;  // kCheck only
  Where where() const { return {directory, {name, name_bytes}}; }
};

struct HugeFile {
  Arena arena{4u << 10};
  SharedFile shared;
  Record record;
};

struct Piece {
  Record* record;
  std::uint64_t at;      // in the file
  std::uint32_t chunk;   // in the window's table
  std::uint32_t offset;  // in the chunk
  std::uint32_t length;
};

// A later name of an inode.
struct LinkRecord {
  Directory* directory;  // holds a reference
  const char* name;
  std::uint32_t name_bytes;
  bool plain_file;
  LinkTarget* target;  // holds a reference
  Where where() const { return {directory, {name, name_bytes}}; }
};

struct BlockGroup {
  format::Birth birth;
  std::uint32_t begin, end;  // pieces
  bool keep;                 // the windows before or after need it too: through the reader's cache
};

class Window {
 public:
  Arena arena;
  std::vector<format::ChunkRef> chunks;
  std::vector<Piece> pieces;
  std::vector<Record*> nodes;  // entries without content to read
  std::vector<LinkRecord> links;
  std::vector<BlockGroup> groups;  // by seal(), in storage order

  // The number of `ref` in this window's table.
  std::uint32_t add_chunk(const format::ChunkRef& ref);
  std::size_t bytes() const;
  std::size_t entries() const { return entries_; }
  void count_entry() { ++entries_; }
  bool empty() const { return pieces.empty() && nodes.empty() && links.empty(); }
  // `edge`: births at the end of the window before; replaced by this window's.
  void seal(std::vector<format::Birth>& edge);
  void reset();

 private:
  std::size_t entries_ = 0;
  std::vector<Piece> scratch_;
};

}  // namespace coppice::restore
