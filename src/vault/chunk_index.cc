#include "chunk_index.h"

#include <algorithm>

#include "crypto/hash.h"

namespace coppice::vault {
namespace {

// Entries of stored packs that wait for their run: five megabytes.
constexpr std::size_t kStoredEntriesMax = 128u << 10;
// A daily backup adds a run a day: this many small ones are merged into one.
constexpr std::size_t kSmallRunsMax = 8;
constexpr std::size_t kSmallRunEntries = kRunEntriesMax / 2;

}  // namespace

std::optional<format::IndexEntry> ChunkIndex::find_recent(const Prefix& prefix) {
  MutexLock lock(table_mutex_);
  if (const auto it = table_.find(prefix); it != table_.end()) return it->second;
  return std::nullopt;
}

void ChunkIndex::add_recent(const format::IndexEntry& entry) {
  MutexLock lock(table_mutex_);
  table_.emplace(entry.prefix, entry);
}

void ChunkIndex::open_runs() {
  if (opened_) return;
  opened_ = true;
  for (const format::RunRecord& record : live_) {
    Result<std::unique_ptr<IndexRun>> run = IndexRun::open(vault_.store(), vault_.id(), *vault_.keys().index_key, record);
    if (run)
      runs_.push_back(std::move(*run));
    else
      notices_.push_back("an index run cannot be used, so what it lists may be stored again: " + run.error().message());
  }
}

std::optional<format::IndexEntry> ChunkIndex::find(const Prefix& prefix) {
  if (auto recent = find_recent(prefix)) return recent;
  std::vector<std::shared_ptr<IndexRun>> runs;
  {
    MutexLock lock(runs_mutex_);
    open_runs();
    if (runs_.empty()) return std::nullopt;
    runs = runs_;
  }
  for (const auto& run : runs) {
    Result<std::optional<format::IndexEntry>> found = run->find(prefix);
    if (!found) {
      MutexLock lock(runs_mutex_);
      if (std::erase(runs_, run))
        notices_.push_back("an index run cannot be used, so what it lists may be stored again: " + found.error().message());
    } else if (*found) {
      return **found;
    }
  }
  return std::nullopt;
}

Result<> ChunkIndex::add_stored(const std::vector<format::IndexEntry>& entries, format::SessionId session) {
  stored_.insert(stored_.end(), entries.begin(), entries.end());
  if (stored_.size() < kStoredEntriesMax) return {};
  return write_run(std::exchange(stored_, {}), session);
}

Result<> ChunkIndex::write_run(std::vector<format::IndexEntry> entries, format::SessionId session) {
  std::ranges::sort(entries);
  const auto same = std::ranges::unique(entries, {}, &format::IndexEntry::prefix);
  entries.erase(same.begin(), same.end());
  for (std::size_t at = 0; at < entries.size(); at += kRunEntriesMax) {
    const std::vector<format::IndexEntry> part(entries.begin() + static_cast<std::ptrdiff_t>(at),
                                               entries.begin() + static_cast<std::ptrdiff_t>(std::min(entries.size(), at + kRunEntriesMax)));
    std::array<std::byte, 32> salt;
    vault_.entropy().fill(salt);
    const std::uint32_t number = next_number_++;
    const Bytes object = build_index_run(vault_.id(), *vault_.keys().index_key, session, number, salt, part);
    const std::string name = format::index_object(session, number);
    TRY(within(storage::put_or_confirm(vault_.store(), name, object), name));
    const format::RunRecord record{.session = session, .number = number, .entries = part.size(), .bytes = object.size(), .hash = crypto::sha256(object)};
    written_.push_back(record);
    std::unique_ptr<IndexRun> run = TRY(IndexRun::open(vault_.store(), vault_.id(), *vault_.keys().index_key, record));
    {
      MutexLock lock(runs_mutex_);
      open_runs();
      runs_.push_back(std::move(run));
    }
    // Only now, so that no lookup in between misses them.
    MutexLock lock(table_mutex_);
    for (const format::IndexEntry& e : part) table_.erase(e.prefix);
  }
  return {};
}

Result<std::vector<format::IndexEntry>> ChunkIndex::read_small_runs() {
  std::vector<format::RunRecord> small;
  std::ranges::copy_if(live_, std::back_inserter(small), [](const auto& r) { return r.entries < kSmallRunEntries; });
  if (small.size() < kSmallRunsMax) return std::vector<format::IndexEntry>();
  std::ranges::sort(small, {}, &format::RunRecord::entries);
  MutexLock lock(runs_mutex_);
  open_runs();
  std::vector<format::IndexEntry> merged;
  for (const format::RunRecord& record : small) {
    if (merged.size() + record.entries + stored_.size() > kRunEntriesMax) break;
    const auto run = std::ranges::find_if(runs_, [&](const auto& r) { return r->record() == record; });
    if (run == runs_.end()) continue;   // unreadable; it stays in the lists, check will name it
    for (std::uint32_t page = 0; page < (*run)->pages(); ++page) {
      const std::vector<format::IndexEntry> entries = TRY((*run)->read_page(page));
      merged.insert(merged.end(), entries.begin(), entries.end());
    }
    superseded_.push_back(record);
  }
  return merged;
}

Result<> ChunkIndex::flush(format::SessionId session) {
  Result<std::vector<format::IndexEntry>> merged = read_small_runs();
  if (merged) {
    stored_.insert(stored_.end(), merged->begin(), merged->end());
  } else {
    superseded_.clear();   // merging is a convenience: the old runs stay
  }
  if (stored_.empty()) return {};
  return write_run(std::exchange(stored_, {}), session);
}

std::vector<std::string> ChunkIndex::notices() const {
  MutexLock lock(runs_mutex_);
  return notices_;
}

}  // namespace coppice::vault
