// What the source state keeps of one directory: its tree pages as they were stored, and where to find the same of its children.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/reference_list.h"
#include "format/tree.h"
#include "state_file.h"

namespace coppice::capture {

// A huge file's extent pages live in the vault only, where a writer's key cannot read them back: the births they name are kept here.
struct ExtentReferences {
  std::string name;
  std::vector<format::Birth> births;   // one for each block used, ascending
};

struct DirectoryRecord {
  std::optional<format::ChunkRef> node;          // what the parent's entry names; absent: an empty directory
  std::vector<format::ChunkRef> pages;           // every page of the node in the vault, the node itself included
  struct Leaf {
    std::uint64_t offset = 0;
    std::uint32_t bytes = 0;
    std::uint32_t entries = 0;                   // for each, 16 bytes behind the page: the fingerprint of a small file, else zero
  };
  std::vector<Leaf> leaves;                      // the leaf pages, in order, in the state stream
  std::vector<std::uint64_t> children;           // for each entry that is a directory, in order: its record (offset + 1), 0: none
  std::vector<ExtentReferences> extents;
};

// Appends the record; returns offset + 1.
std::uint64_t write_directory_record(StateWriter& writer, const DirectoryRecord& record);
Result<DirectoryRecord> read_directory_record(StateReader& reader, std::uint64_t record);   // `record` as returned above

}  // namespace coppice::capture
