// What a session reads back of its own past: the journal on this host, the index runs in the store.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "foundation/check.h"
#include "fuzz/named_decoder.h"
#include "index_run.h"
#include "journal.h"
#include "storage/memory_store.h"

namespace coppice::vault::fuzz {

// A record's payload gets the head that goes with it; what has a head already is a journal as it is.
inline bool journal(ByteSpan in) {
  static const std::string directory = [] {
    std::string made = "/tmp/coppice-fuzz-XXXXXX";
    CHECK(mkdtemp(made.data()) != nullptr);
    return made;
  }();
  constexpr std::string_view kMagic = "CPJRNL01";
  Bytes file;
  if (!as_text(in).starts_with(kMagic)) {
    format::Writer w(file);
    w.bytes(as_bytes(kMagic));
    w.u32(static_cast<std::uint32_t>(in.size()));
    w.u64(crypto::xxh3_64(in));
  }
  append(file, in);
  const std::string path = directory + "/journal-0000000000000000-0.0";
  {
    const auto out = platform::open_at(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(out.has_value() && platform::write_full(out->get(), file).has_value());
  }
  auto orphans = Journal::orphans(directory, {});
  CHECK(orphans.has_value() && orphans->size() == 1);
  unsigned records = 0;
  for (;; ++records) {
    const auto record = orphans->front().next();
    CHECK(record.has_value());
    if (!*record) break;
  }
  orphans->front().remove();
  return records > 0;
}

// A run whose commit says what its header does, so that it is refused for what lies in it.
inline bool index_run(ByteSpan in) {
  const auto header = format::decode_index_header(in.first(std::min<std::size_t>(in.size(), format::kIndexHeaderBytes)));
  if (!header || header->entries == 0 || header->entries > format::kIndexEntriesMax) return false;
  format::RunRecord record{.session = header->session, .number = header->number, .entries = header->entries, .bytes = in.size()};
  const std::uint64_t head = format::kIndexHeaderBytes + format::index_directory_bytes(*header);
  if (head <= in.size()) record.hash = crypto::sha256(in.first(head));
  storage::MemoryStore store;
  CHECK(store.put(format::index_object(record.session, record.number), in).has_value());
  IndexPages pages(1u << 20, 1);
  const crypto::Key key;
  const auto run = IndexRun::open(store, {}, key, record, pages);
  if (!run) return false;
  (void)(*run)->find({});
  std::uint64_t entries = 0;
  for (std::uint32_t page = 0; page < (*run)->entry_pages(); ++page) {
    const auto read = (*run)->read_page(page);
    if (!read) return false;
    entries += read->size();
  }
  CHECK(entries == record.entries);
  return true;
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {{"journal", journal}, {"index_run", index_run}};

}  // namespace coppice::vault::fuzz
