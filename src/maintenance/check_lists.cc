// Reference lists: that they are there and whole, and that what they name lies in packs that commits record.
//
// Snapshots are taken in batches of up to 256. A page that several lists share is read once and tells for all of them.

#include <fmt/format.h>

#include <map>

#include "check_internal.h"
#include "format/reference_list.h"
#include "packs/lists.h"

namespace coppice::maintenance {
namespace {

struct Batch {
  std::vector<SnapshotNote> notes;
  std::vector<format::Digest> list_roots;
  std::vector<std::optional<format::ChunkRef>> roots;
};

void touch_all(CheckRun& run, std::optional<Findings::Id> finding, const Mask& mask, const Batch& batch) {
  if (finding) mask.each([&](unsigned bit) { run.findings.touch_snapshot(*finding, batch.notes[bit].session); });
}

// The pages that the batch's lists are made of, each with the snapshots that it is a page of. `incomplete` gets those
// whose lists cannot be read.
Result<std::map<format::Digest, Mask>> read_list_roots(CheckRun& run, const Batch& batch, Mask& incomplete) {
  std::map<format::Digest, Mask> roots, leaves;
  for (unsigned i = 0; i < batch.list_roots.size(); ++i) roots[batch.list_roots[i]].set(i);
  for (const auto& [hash, mask] : roots) {
    TRY(run.go_on());
    run.remember_page(hash);
    const auto read = [&]() -> Result<> {
      const Bytes page = TRY(packs::read_list_page(run.vault.store(), hash));
      const std::vector<format::Digest> named = TRY(format::decode_reference_root(page));
      for (const format::Digest& leaf : named) leaves[leaf] |= mask;
      return {};
    };
    if (const Result<> done = read(); !done) {
      touch_all(run, run.damage(format::list_object(hash), done.error()), mask, batch);
      incomplete |= mask;
    }
  }
  return leaves;
}

// Fills `lists`. False when there would be more than `rows_max` rows.
Result<bool> read_list_leaves(CheckRun& run, const Part& part, const Batch& batch,
                              const std::map<format::Digest, Mask>& leaves, std::size_t rows_max, ListTable& lists,
                              Mask& incomplete) {
  const std::vector<std::pair<format::Digest, Mask>> pages(leaves.begin(), leaves.end());
  Mutex mutex;
  bool too_many = false;
  TRY(run.in_parallel(pages.size(), kFetchThreads, [&](std::size_t i) {
    const auto& [hash, mask] = pages[i];
    const auto read = [&]() -> Result<> {
      const Bytes page = TRY(packs::read_list_page(run.vault.store(), hash));
      format::ReferenceSet set;
      TRY(format::decode_reference_leaf(page, set));
      MutexLock lock(mutex);
      if (too_many) return {};
      for (const auto& [pack, blocks] : set.packs())
        if (part.covers(pack)) lists.add({pack, blocks, mask});
      too_many = lists.rows().size() > rows_max;
      return {};
    };
    const Result<> done = read();
    MutexLock lock(mutex);
    run.remember_page(hash);
    if (done) return;
    touch_all(run, run.damage(format::list_object(hash), done.error()), mask, batch);
    incomplete |= mask;
  }));
  lists.settle();
  return !too_many;
}

// Every listed block must be in a pack; and packs that are bad learn whom they are missed by.
void compare_with_packs(CheckRun& run, const Batch& batch, const ListTable& lists, const PackTable& table) {
  for (const ListTable::Row& row : lists.rows()) {
    const PackTable::Row* pack = table.find(row.pack);
    if (!pack) {
      if (!run.pack_lists_complete) continue;
      const bool there = run.vault.store().size(format::pack_object(row.pack)).has_value();
      touch_all(run,
                run.findings.add_pack(row.pack, there ? Error(ErrorKind::kCorrupt, "it is there, but the commit that recorded it is lost or damaged, so that nobody "
                                                                                   "can say whether it is whole: put that commit back from a copy of the vault")
                                                      : Error(ErrorKind::kNotFound, "a reference list names this pack, but no valid commit records it")),
                row.snapshots, batch);
      continue;
    }
    const bool bad = pack->bad || run.findings.any_bad_block();
    for (unsigned ordinal = 0; ordinal < format::kPackBlocksMax; ++ordinal) {
      if (!(row.blocks[ordinal / 64] >> (ordinal % 64) & 1)) continue;
      const format::Birth birth{row.pack, static_cast<std::uint16_t>(ordinal)};
      if (!pack->bad && !(pack->blocks[ordinal / 64] >> (ordinal % 64) & 1))
        touch_all(
            run,
            run.findings.add_block(
                birth, Error(ErrorKind::kCorrupt, "a reference list names this block, but the pack does not hold it")),
            row.snapshots, batch);
      else if (bad)
        touch_all(run, run.findings.of(birth), row.snapshots, batch);
      if (pack->bad) break;  // one finding for the whole pack
    }
  }
}

void add_to_batch(CheckRun& run, const SnapshotNote& note, Batch& batch) {
  const auto snapshot = run.vault.snapshot(note.session);
  if (!snapshot) {  // it was whole a moment ago
    run.damage(format::snapshot_object(note.session), snapshot.error());
    return;
  }
  batch.notes.push_back(note);
  batch.list_roots.push_back(snapshot->commit.list_root);
  // Of a forgotten snapshot the list is read, since it still stands there; its tree is nobody's any more.
  batch.roots.push_back(snapshot->body && !note.forgotten ? snapshot->body->root : std::nullopt);
  if (run.reader && !snapshot->body && !note.forgotten)
    run.inform(format::snapshot_object(note.session),
               "its tree was not opened: it is sealed for an epoch that this key does not hold");
}

Batch slice(const Batch& batch, std::size_t begin, std::size_t end) {
  Batch part;
  for (std::size_t i = begin; i < end; ++i) {
    part.notes.push_back(batch.notes[i]);
    part.list_roots.push_back(batch.list_roots[i]);
    part.roots.push_back(batch.roots[i]);
  }
  return part;
}

Result<> check_batch(CheckRun& run, const Part& part, const PackTable& table, const SeenChunks& seen, const Batch& batch) {
  const std::size_t rows_max =
      std::max<std::uint64_t>(run.options.memory_bytes / 6 / sizeof(ListTable::Row), 2 * table.rows().size());
  bool fits = false;
  {
    ListTable lists;
    Mask incomplete;
    const auto leaves = TRY(read_list_roots(run, batch, incomplete));
    fits = TRY(read_list_leaves(run, part, batch, leaves, rows_max, lists, incomplete)) || batch.notes.size() == 1;
    if (fits) {
      compare_with_packs(run, batch, lists, table);
      if (!run.reader) return {};
      run.progress.phase = CheckPhase::kTrees;
      if (TRY(check_trees(run, part, {batch.notes, table, seen, lists, incomplete, batch.list_roots, batch.roots}))) return {};
      if (batch.notes.size() == 1) {
        const std::string object = format::snapshot_object(batch.notes[0].session);
        touch_all(run, run.damage(object, ErrorKind::kCorrupt, "its tree hangs the same directories at more paths than any disk has: it was not walked to its end"),
                  Mask{{1}}, batch);
        return {};
      }
    }
  }
  // Lists too unlike each other for one table, or a tree among these that has no end: fewer at a time.
  const std::size_t half = batch.notes.size() / 2;
  TRY(check_batch(run, part, table, seen, slice(batch, 0, half)));
  return check_batch(run, part, table, seen, slice(batch, half, batch.notes.size()));
}

}  // namespace

Result<> check_lists_and_trees(CheckRun& run, const Part& part, const PackTable& table, const SeenChunks& seen) {
  Batch batch;
  for (const SnapshotNote& note : run.snapshots) {
    TRY(run.go_on());
    add_to_batch(run, note, batch);
    if (batch.notes.size() < Mask::kBits) continue;
    TRY(check_batch(run, part, table, seen, batch));
    batch = {};
  }
  if (!batch.notes.empty()) TRY(check_batch(run, part, table, seen, batch));
  return {};
}

}  // namespace coppice::maintenance
