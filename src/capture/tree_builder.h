// Makes tree nodes out of directories as the sequencer finishes them.
//
// A directory is a list of elements in name order: stretches that are as the source state has them, and new entries. It can be encoded when
// the chunks of its files have their places and its subdirectories are encoded; directories finish in post-order, so a queue of them,
// encoded from the front, is never stuck. A directory that turns out to be what the state has, with all below it, costs a look at its
// chunk table; nothing is encoded or stored for it.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "content.h"
#include "directory_record.h"
#include "scanner.h"
#include "vault/writer.h"

namespace coppice::capture {

class DirectoryBuild {
 public:
  struct Element {
    std::uint64_t old_count = 0;     // > 0: that many of the next old entries
    bool old_by_name = false;        // the old entry called `entry.name`; those before it are gone or replaced
    format::Entry entry;             // else: this one
    Content content;
  };
  struct Child {                     // a subdirectory that was entered
    std::string name;
    bool done = false;
    bool unchanged = false;          // what the state has, with all below it
    bool unreadable = false;
    bool gone = false;               // the state has it, and it went away since it was looked at
    std::unique_ptr<Element> replacement;   // the state has something else of this name than what is there now
    std::optional<format::ChunkRef> node;
    std::uint64_t record = 0;        // in the old state when `unchanged`, else in the new one
  };

  // `node` tells the path, for warnings, and where the directory is in the old state; null for the root of a stream.
  DirectoryBuild(ScanNodePtr node, std::shared_ptr<const DirectoryRecord> old, Child* slot) : node_(std::move(node)), old_(std::move(old)), slot_(slot) {}
  // Addresses stay valid until the child is encoded.
  Child* add_child(std::string name) {
    children_.push_back(std::make_unique<Child>());
    children_.back()->name = std::move(name);
    return children_.back().get();
  }
  void set_same() { same_ = true; }  // all old entries, no others (their subdirectories may differ)

 private:
  friend class TreeBuilder;
  bool has_elements() const { return !elements_.empty(); }
  Child* front_child() { return next_child_ < children_.size() ? children_[next_child_].get() : nullptr; }

  ScanNodePtr node_;
  std::shared_ptr<const DirectoryRecord> old_;
  Child* slot_;                      // in the parent; null at the root
  bool same_ = false, started_ = false, finished_ = false;
  std::list<Element> elements_;      // that wait; a vector's spare room and its copies would weigh more than they do
  std::vector<std::unique_ptr<Child>> children_;   // those before next_child_ are encoded and gone
  std::size_t next_child_ = 0;
  std::size_t weight_ = 0;           // bytes of what waits, about
  // While encoding:
  std::unique_ptr<OldEntries> old_entries_;
  const format::Entry* old_front_ = nullptr;
  std::unique_ptr<format::LeafBuilder> leaf_;
  std::string leaf_first_name_;
  Bytes fingerprints_;               // of the leaf's entries
  std::vector<format::IndexPageEntry> leaf_pages_;
  DirectoryRecord record_;
};

class TreeBuilder {
 public:
  using Warn = std::function<void(std::string path, std::string what)>;
  // `old_state` and `new_state` may be null. `warn` hears of entries that the format does not take as they are.
  TreeBuilder(vault::Writer& writer, StateReader* old_state, StateWriter* new_state, Warn warn)
      : writer_(writer), old_state_(old_state), new_state_(new_state), warn_(std::move(warn)) {}

  void add(DirectoryBuild& directory, DirectoryBuild::Element element);
  // The directory has all its elements. In post-order.
  Result<> finish(std::unique_ptr<DirectoryBuild> directory);
  // Encodes what can be encoded of a directory still being filled, so that the entries of a huge one do not pile up.
  Result<> relieve(DirectoryBuild& directory);
  // Whether `directory` has so many elements that relieve() is due.
  static bool is_long(const DirectoryBuild& directory);
  // Encodes what is ready, front first.
  Result<> advance();
  // Memory of what is not encoded yet, about.
  std::size_t weight() const { return weight_; }
  // After Writer::drain(): everything that was finished is encoded.
  bool idle() const { return queue_.empty(); }
  // The root's outcome, when it was finished and encoded.
  const DirectoryBuild::Child& root() const { return root_; }

 private:
  Result<bool> encode(DirectoryBuild& d);            // false: something is not ready yet
  Result<bool> encode_new(DirectoryBuild& d, DirectoryBuild::Element& element);
  Result<bool> encode_old(DirectoryBuild& d);
  Result<> take_child(DirectoryBuild& d, format::Entry& entry);
  void pop_child(DirectoryBuild& d);
  void pop_element(DirectoryBuild& d);
  Result<> find_old(DirectoryBuild& d, const std::string& name);   // to the front, past those before it
  Result<> add_entry(DirectoryBuild& d, format::Entry& entry, const crypto::Checksum& fingerprint);
  void add_old_chunks(DirectoryBuild& d, format::Entry& entry);
  Result<> add_old_entry(DirectoryBuild& d, format::Entry entry);
  Result<> end_leaf(DirectoryBuild& d);
  Result<> complete(DirectoryBuild& d);
  Result<bool> reuse(DirectoryBuild& d);
  Result<std::uint64_t> copy_subtree(std::uint64_t old_record);

  vault::Writer& writer_;
  StateReader* old_state_;
  StateWriter* new_state_;
  Warn warn_;
  std::deque<std::unique_ptr<DirectoryBuild>> queue_;
  std::size_t weight_ = 0;
  std::vector<std::unique_ptr<format::LeafBuilder>> spare_leaves_;
  DirectoryBuild::Child root_;
};

// Makes an entry that breaks a rule of the format (what a file system may report) one that keeps them: its metadata, marked unreadable.
// False when not even that can stand in a tree.
bool reduce_to_metadata(format::Entry& entry);

}  // namespace coppice::capture
