// Packs: that they are there, and with read_data that every byte of them is right.

#include <fmt/format.h>

#include <map>
#include <span>

#include "check_internal.h"
#include "crypto/hash.h"
#include "packs/directory.h"
#include "packs/lists.h"

namespace coppice::maintenance {
namespace {

constexpr std::size_t kCommitsWindow = 64;         // commits held at once
constexpr std::size_t kPagesWindow = 16;           // pages of pack lists: 65,536 records
constexpr std::uint32_t kReadBytesMax = 4u << 20;  // of a pack, in one request

// What a page of a pack list holds; no packs: it cannot be read.
struct PageSum {
  std::uint64_t packs = 0, bytes = 0;
};
using PageSums = std::map<format::Digest, PageSum>;

struct Said {
  format::SessionId session;
  format::PackList packs;
};

PackTable::Row check_pack(CheckRun& run, const format::PackRecord& record) {
  PackTable::Row row{.pack = record.name, .bytes = record.bytes};
  if (const auto directory = packs::read_pack_directory(run.vault.store(), record)) {
    for (const format::PackEntry& entry : directory->entries)
      if (entry.birth.pack == record.name && entry.birth.ordinal < format::kPackBlocksMax)
        row.blocks[entry.birth.ordinal / 64] |= std::uint64_t{1} << (entry.birth.ordinal % 64);
  } else {
    row.bad = true;
    (void)run.findings.add_pack(record.name, directory.error());
  }
  run.progress.packs += 1;
  return row;
}

// ---- reading everything ----

std::uint64_t sample_rank(const format::PackName& pack, std::uint64_t seed) {
  const std::string name = format::pack_object(pack);
  return crypto::xxh3_64(as_bytes(name), seed);
}

// The packs to read: as many as the percentage says, rounded up, those of the lowest rank.
std::vector<format::PackName> choose_packs(const CheckRun& run, const PackTable& table) {
  std::vector<std::pair<std::uint64_t, format::PackName>> ranked;
  for (const PackTable::Row& row : table.rows())
    if (!row.bad) ranked.emplace_back(sample_rank(row.pack, run.options.sample_seed), row.pack);
  const std::size_t wanted = (ranked.size() * run.options.read_data_percent + 99) / 100;
  std::ranges::nth_element(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(wanted));
  ranked.resize(wanted);
  std::vector<format::PackName> chosen;
  chosen.reserve(wanted);
  for (const auto& [rank, pack] : ranked) chosen.push_back(pack);
  std::ranges::sort(chosen);  // the order in which they were written, more or less
  return chosen;
}

struct DataCounts {
  std::atomic<std::uint64_t> packs{0}, blocks{0}, bytes{0}, plain{0};
  std::atomic<bool> no_room{false};
};

// False when the block may be good, but its chunks are not in `seen`.
bool check_block(CheckRun& run, const format::PackName& pack, const format::PackEntry& entry, ByteSpan block, SeenChunks& seen,
                 DataCounts& counts) {
  bool is_seen = false;
  counts.blocks += 1;
  const auto verified = vault::verify_block(run.reader.get(), entry, block);
  if (verified && run.reader) {
    counts.plain += verified->plain_bytes;
    is_seen = seen.add(entry.birth, verified->chunks);
    if (!is_seen) counts.no_room = true;
  }
  if (verified) return is_seen;
  if (verified.error().kind() == ErrorKind::kDenied) {  // whole, but sealed for an epoch that our key lacks
    run.inform(format::pack_object(pack), "not opened: " + verified.error().message());
    return false;
  }
  // The block lies here; its name may be that of the pack it was born in.
  if (const auto id = run.findings.add_block(entry.birth, verified.error()); id && entry.birth.pack != pack)
    run.inform(format::pack_object(pack), fmt::format("the bad block {} of {} lies here", entry.birth.ordinal,
                                                      format::pack_object(entry.birth.pack)));
  return true;
}

// Whether the chunks of every block that is not bad are in `seen`.
bool read_pack(CheckRun& run, const format::PackName& pack, Bytes& window, SeenChunks& seen, DataCounts& counts) {
  const auto directory = packs::read_pack_directory(run.vault.store(), pack);
  if (!directory) {
    (void)run.findings.add_pack(pack, directory.error());
    return false;
  }
  bool all_seen = true;
  const std::string object = format::pack_object(pack);
  const auto& entries = directory->entries;
  for (std::size_t begin = 0; begin < entries.size();) {
    if (!run.go_on()) return false;
    // As many whole blocks as one request may bring; at least one.
    std::size_t end = begin;
    std::uint64_t bytes = 0;
    while (end < entries.size() && (end == begin || bytes + entries[end].bytes <= kReadBytesMax))
      bytes += entries[end++].bytes;
    window.resize(bytes);
    Result<> got = run.vault.store().get_range(object, entries[begin].offset, window);
    std::uint64_t at = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const MutableByteSpan block = MutableByteSpan(window).subspan(at, entries[i].bytes);
      at += entries[i].bytes;
      // A window that cannot be read whole is read block by block, so that a bad sector costs no more than its block.
      const Result<> have = got ? Result<>{} : run.vault.store().get_range(object, entries[i].offset, block);
      if (have)
        all_seen &= check_block(run, pack, entries[i], block, seen, counts);
      else
        (void)run.findings.add_block(entries[i].birth, have.error());
    }
    counts.bytes += bytes;
    run.progress.bytes += bytes;
    begin = end;
  }
  counts.packs += 1;
  return all_seen;
}

// The packs of up to kPagesWindow pages, none of which was read before.
Result<> check_pages(CheckRun& run, const Part& part, std::span<const PageSums::iterator> pages, PackTable& table) {
  std::vector<Result<std::vector<format::PackRecord>>> read(pages.size());
  TRY(run.in_parallel(pages.size(), kFetchThreads, [&](std::size_t i) { read[i] = packs::read_pack_page(run.vault.store(), pages[i]->first); }));
  std::vector<format::PackRecord> records;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    run.remember_page(pages[i]->first);
    if (!read[i]) {
      run.pack_lists_complete = false;
      (void)run.damage(format::list_object(pages[i]->first), read[i].error());
      continue;
    }
    PageSum& sum = pages[i]->second;
    sum.packs = read[i]->size();
    for (const format::PackRecord& record : *read[i]) {
      sum.bytes += record.bytes;
      if (part.covers(record.name)) records.push_back(record);
    }
  }
  std::vector<PackTable::Row> rows(records.size());
  TRY(run.in_parallel(records.size(), kFetchThreads, [&](std::size_t i) { rows[i] = check_pack(run, records[i]); }));
  for (const PackTable::Row& row : rows) table.add(row);
  return {};
}

void compare_sums(CheckRun& run, const Said& said, const PageSums& sums) {
  PageSum found;
  bool readable = true;
  for (const format::Digest& page : said.packs.pages) {
    const PageSum& sum = sums.at(page);
    found.packs += sum.packs;
    found.bytes += sum.bytes;
    if (sum.packs > 0) continue;
    readable = false;
    if (const auto id = run.findings.of_object(format::list_object(page))) run.findings.touch_snapshot(*id, said.session);
  }
  if (readable && (found.packs != said.packs.packs || found.bytes != said.packs.bytes))
    run.damage(format::snapshot_object(said.session), ErrorKind::kCorrupt,
               fmt::format("it says that it has {} packs of {} bytes together, its list has {} of {}", said.packs.packs, said.packs.bytes,
                           found.packs, found.bytes));
}

}  // namespace

Result<> check_packs(CheckRun& run, const Part& part, PackTable& table) {
  run.progress.phase = CheckPhase::kPacks;
  std::uint64_t total = 0;
  for (const SnapshotNote& note : run.snapshots) total += note.packs;
  run.progress.packs_total = total;
  PageSums sums;
  for (std::size_t begin = 0; begin < run.snapshots.size(); begin += kCommitsWindow) {
    std::vector<Said> said(std::min(kCommitsWindow, run.snapshots.size() - begin));
    TRY(run.in_parallel(said.size(), kFetchThreads, [&](std::size_t i) {
      said[i].session = run.snapshots[begin + i].session;
      auto snapshot = run.vault.snapshot(said[i].session);
      if (snapshot)
        said[i].packs = std::move(snapshot->commit.packs);
      else  // it was whole a moment ago
        run.damage(format::snapshot_object(said[i].session), snapshot.error());
    }));
    std::vector<PageSums::iterator> fresh;
    for (const Said& each : said)
      for (const format::Digest& hash : each.packs.pages)
        if (const auto [it, is_new] = sums.try_emplace(hash); is_new) fresh.push_back(it);
    for (std::size_t at = 0; at < fresh.size(); at += kPagesWindow)
      TRY(check_pages(run, part, std::span(fresh).subspan(at, std::min(kPagesWindow, fresh.size() - at)), table));
    for (const Said& each : said) compare_sums(run, each, sums);
  }
  table.settle();
  run.report.packs += table.rows().size();
  for (const PackTable::Row& row : table.rows()) run.report.pack_bytes += row.bytes;
  return {};
}

Result<> check_data(CheckRun& run, PackTable& table, SeenChunks& seen) {
  run.progress.phase = CheckPhase::kData;
  const std::vector<format::PackName> chosen = choose_packs(run, table);
  std::uint64_t total = 0;
  for (const format::PackName& pack : chosen) total += table.find(pack)->bytes;
  run.progress.bytes_total += total;

  DataCounts counts;
  std::atomic<std::size_t> next{0};
  Mutex mutex;
  std::vector<format::PackName> seen_packs;
  const auto work = [&] {
    Bytes window;
    for (std::size_t i; (i = next.fetch_add(1)) < chosen.size() && run.go_on();) {
      if (!read_pack(run, chosen[i], window, seen, counts)) continue;
      MutexLock lock(mutex);
      seen_packs.push_back(chosen[i]);
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < std::min<std::size_t>(run.workers, chosen.size()); ++i) helpers.emplace_back(work);
    work();
  }
  run.report.packs_read += counts.packs;
  run.report.blocks_read += counts.blocks;
  run.report.bytes_read += counts.bytes;
  run.report.plain_bytes += counts.plain;
  seen.settle();
  table.mark_seen(seen_packs);
  if (counts.no_room && !run.report.references_left_out) {
    run.report.references_left_out = true;
    run.report.not_checked.push_back(
        "What trees say of some chunks was not compared with the blocks: there are more chunks than the memory takes (--memory-max).");
  }
  return run.go_on();
}

}  // namespace coppice::maintenance
