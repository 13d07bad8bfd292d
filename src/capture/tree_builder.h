// Makes tree nodes out of directories as the sequencer finishes them.
//
// A directory is a list of elements in name order: stretches that are as the source state has them, and new entries. It can be encoded when
// the chunks of its files have their places and its subdirectories are encoded; directories finish in post-order, so a queue of them,
// encoded from the front, is never stuck. A directory that turns out to be what the state has, with all below it, costs a look at its
// chunk table; nothing is encoded or stored for it.
#pragma once

#include <deque>
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
  struct Child {                     // a subdirectory that was entered
    std::string name;
    bool done = false;
    bool unchanged = false;          // what the state has, with all below it
    bool unreadable = false;
    std::optional<format::ChunkRef> node;
    std::uint64_t record = 0;        // in the old state when `unchanged`, else in the new one
  };
  struct Element {
    std::uint64_t old_count = 0;     // > 0: that many of the next old entries
    bool old_by_name = false;        // the old entry called `entry.name`; those before it are gone or replaced
    format::Entry entry;             // else: this one
    Content content;
  };

  DirectoryBuild(std::shared_ptr<const DirectoryRecord> old, std::uint64_t old_record, Child* slot) : old_(std::move(old)), old_record_(old_record), slot_(slot) {}
  // Addresses stay valid while the directory lives.
  Child* add_child(std::string name) {
    children_.push_back({.name = std::move(name)});
    return &children_.back();
  }
  Element& add(Element element) {
    elements_.push_back(std::move(element));
    return elements_.back();
  }
  void set_same() { same_ = true; }  // all old entries, no others (their subdirectories may differ)

 private:
  friend class TreeBuilder;
  std::shared_ptr<const DirectoryRecord> old_;
  std::uint64_t old_record_;
  Child* slot_;                      // in the parent; null at the root
  bool same_ = false, started_ = false, finished_ = false;
  std::deque<Element> elements_;
  std::deque<Child> children_;
  // While encoding:
  std::size_t next_child_ = 0;
  std::unique_ptr<OldEntries> old_entries_;
  const format::Entry* old_front_ = nullptr;
  std::unique_ptr<format::LeafBuilder> leaf_;
  std::string leaf_first_name_;
  std::vector<format::IndexPageEntry> leaf_pages_;
  DirectoryRecord record_;
};

class TreeBuilder {
 public:
  // `old_state` and `new_state` may be null.
  TreeBuilder(vault::Writer& writer, StateReader* old_state, StateWriter* new_state) : writer_(writer), old_state_(old_state), new_state_(new_state) {}

  // The directory has all its elements. In post-order.
  Result<> finish(std::unique_ptr<DirectoryBuild> directory);
  // Encodes what can be encoded of a directory still being filled (a huge one), so that its entries do not pile up.
  Result<> relieve(DirectoryBuild& directory);
  // Encodes what is ready, front first.
  Result<> advance();
  // After Writer::drain(): everything that was finished is encoded.
  bool idle() const { return queue_.empty(); }
  // The root's outcome, when it was finished and encoded.
  const DirectoryBuild::Child& root() const { return root_; }

 private:
  Result<bool> encode(DirectoryBuild& d);            // false: something is not ready yet
  Result<bool> encode_old(DirectoryBuild& d);
  Result<> add_entry(DirectoryBuild& d, format::Entry& entry);
  Result<> add_old_entry(DirectoryBuild& d, format::Entry entry, const std::vector<format::ChunkRef>& chunks);
  Result<> end_leaf(DirectoryBuild& d);
  Result<> complete(DirectoryBuild& d);
  Result<bool> reuse(DirectoryBuild& d);
  Result<std::uint64_t> copy_subtree(std::uint64_t old_record);

  vault::Writer& writer_;
  StateReader* old_state_;
  StateWriter* new_state_;
  std::deque<std::unique_ptr<DirectoryBuild>> queue_;
  std::vector<std::unique_ptr<format::LeafBuilder>> spare_leaves_;
  DirectoryBuild::Child root_;
};

}  // namespace coppice::capture
