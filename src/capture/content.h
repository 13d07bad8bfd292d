// A file's content on its way into a tree: parts whose chunks may not have a place yet.
#pragma once

#include <vector>

#include "crypto/hash.h"
#include "format/tree.h"
#include "vault/writer.h"

namespace coppice::capture {

struct Part {
  vault::ChunkTicketPtr ticket;    // null: a hole
  std::uint32_t offset = 0;        // in the chunk
  std::uint64_t length = 0;
};

struct Content {
  std::vector<Part> parts;
  // A huge file's earlier parts, already in extent pages:
  std::vector<format::ChunkRef> extents;
  format::ReferenceSet extent_references;
  crypto::Checksum fingerprint{};  // of a small file's bytes; zero: not taken
  bool as_before = false;          // what the state's entry of this name has: no parts
  bool ready() const {
    for (const Part& part : parts)
      if (part.ticket && !part.ticket->ready()) return false;
    return true;
  }
};

}  // namespace coppice::capture
