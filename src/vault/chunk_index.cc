#include "chunk_index.h"

#include <algorithm>
#include <functional>
#include <span>

namespace coppice::vault {
namespace {

// A daily backup adds a run a day: this many small ones are merged into one.
constexpr std::size_t kSmallRunsMax = 8;
constexpr std::size_t kSmallRunEntries = kRunEntriesMax / 2;
constexpr unsigned kPageShards = 4;

}  // namespace

IndexLimits IndexLimits::within(std::uint64_t memory_bytes) {
  IndexLimits limits;
  limits.filter_bytes = std::clamp<std::uint64_t>(memory_bytes / 16, 2u << 20, 256u << 20);
  limits.page_bytes = std::clamp<std::uint64_t>(memory_bytes / 48, 1u << 20, 64u << 20);
  limits.stored_entries = std::clamp<std::uint64_t>(memory_bytes / 1536, kRunEntriesMax / 32, kRunEntriesMax / 4);
  return limits;
}

ChunkIndex::ChunkIndex(const Vault& vault, std::vector<format::RunRecord> runs, LostPacks lost, IndexLimits limits)
    : vault_(vault), lost_(std::move(lost)), limits_(limits), pages_(limits.page_bytes, kPageShards), runs_(std::make_shared<const Runs>()),
      live_(std::move(runs)) {
  std::ranges::sort(live_, std::greater());
}

std::optional<format::IndexEntry> ChunkIndex::find_recent(const Prefix& prefix) {
  MutexLock lock(table_mutex_);
  if (const auto it = table_.find(prefix); it != table_.end()) return it->second;
  return std::nullopt;
}

void ChunkIndex::add_recent(const format::IndexEntry& entry) {
  MutexLock lock(table_mutex_);
  table_.emplace(entry.prefix, entry);
}

Result<std::shared_ptr<IndexRun>> ChunkIndex::open(const format::RunRecord& record) {
  return std::shared_ptr<IndexRun>(TRY(IndexRun::open(vault_.store(), vault_.id(), *vault_.keys().index_key, record, pages_)));
}

// As many of the newest as the budget allows, but one at least.
void ChunkIndex::set_runs(Runs runs) {
  std::uint64_t bytes = 0;
  std::size_t kept = 0;
  while (kept < runs.size() && (kept == 0 || bytes + runs[kept]->memory() <= limits_.filter_bytes)) bytes += runs[kept++]->memory();
  runs.resize(kept);
  runs_ = std::make_shared<const Runs>(std::move(runs));
}

void ChunkIndex::open_runs() {
  if (opened_) return;
  opened_ = true;
  Runs runs;
  std::uint64_t bytes = 0;
  for (const format::RunRecord& record : live_) {
    bytes += IndexRun::memory_of(record);
    if (bytes > limits_.filter_bytes && !runs.empty()) break;
    Result<std::shared_ptr<IndexRun>> run = open(record);
    if (run)
      runs.push_back(std::move(*run));
    else
      notices_.push_back("an index run cannot be used, so what it lists may be stored again: " + run.error().message());
  }
  set_runs(std::move(runs));
}

void ChunkIndex::drop_run(const std::shared_ptr<IndexRun>& run, const Error& error) {
  MutexLock lock(runs_mutex_);
  Runs runs = *runs_;
  if (std::erase(runs, run) == 0) return;   // another thread met it, too
  notices_.push_back("an index run cannot be used, so what it lists may be stored again: " + error.message());
  set_runs(std::move(runs));
}

std::optional<format::IndexEntry> ChunkIndex::find(const Prefix& prefix, std::uint32_t length) {
  if (auto recent = find_recent(prefix); recent && recent->length == length) return recent;
  std::shared_ptr<const Runs> runs;
  {
    MutexLock lock(runs_mutex_);
    open_runs();
    runs = runs_;
  }
  for (const auto& run : *runs) {
    const Result<std::optional<format::IndexEntry>> found = run->find(prefix);
    if (!found)
      drop_run(run, found.error());
    else if (*found && (*found)->length == length && !is_lost(**found))
      return *found;
  }
  return std::nullopt;
}

Result<> ChunkIndex::add_stored(const std::vector<format::IndexEntry>& entries, format::SessionId session) {
  stored_.insert(stored_.end(), entries.begin(), entries.end());
  if (stored_.size() < limits_.stored_entries) return {};
  return write_runs(std::exchange(stored_, {}), session);
}

Result<> ChunkIndex::write_runs(std::vector<format::IndexEntry> entries, format::SessionId session) {
  std::ranges::sort(entries);
  const auto same = std::ranges::unique(entries, {}, &format::IndexEntry::prefix);
  entries.erase(same.begin(), same.end());
  for (std::size_t at = 0; at < entries.size(); at += kRunEntriesMax) {
    const auto part = std::span(entries).subspan(at, std::min(kRunEntriesMax, entries.size() - at));
    std::array<std::byte, 32> salt;
    vault_.entropy().fill(salt);
    format::RunRecord record{.session = session, .number = next_number_++, .entries = part.size()};
    {
      const BuiltRun built = build_index_run(vault_.id(), *vault_.keys().index_key, session, record.number, salt, part);
      record.bytes = built.object.size();
      record.hash = built.hash;
      TRY(storage::put_or_confirm(vault_.store(), format::index_object(session, record.number), built.object));
    }
    written_.push_back(record);
    std::shared_ptr<IndexRun> run = TRY(open(record));
    {
      MutexLock lock(runs_mutex_);
      open_runs();
      Runs runs = *runs_;
      runs.insert(runs.begin(), std::move(run));
      set_runs(std::move(runs));
    }
    // Only now, so that no lookup in between misses them.
    MutexLock lock(table_mutex_);
    for (const format::IndexEntry& e : part) table_.erase(e.prefix);
  }
  return {};
}

// Adds the entries of small runs to those that wait, when such runs have become many. Runs that are not open (unreadable, or too many) stay
// as they are.
Result<> ChunkIndex::take_small_runs() {
  MutexLock lock(runs_mutex_);
  open_runs();
  Runs small;
  for (const auto& run : *runs_)
    if (run->record().entries < kSmallRunEntries && std::ranges::binary_search(live_, run->record(), std::greater())) small.push_back(run);
  if (small.size() < kSmallRunsMax) return {};
  std::ranges::sort(small, {}, [](const auto& run) { return run->record().entries; });
  std::size_t total = stored_.size(), count = 0;
  while (count < small.size() && total + small[count]->record().entries <= 4 * limits_.stored_entries) total += small[count++]->record().entries;
  stored_.reserve(total);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::uint32_t page = 0; page < small[i]->entry_pages(); ++page)
      std::ranges::copy_if(TRY(small[i]->read_page(page)), std::back_inserter(stored_), [&](const auto& entry) { return !is_lost(entry); });
    superseded_.push_back(small[i]->record());
  }
  return {};
}

Result<> ChunkIndex::flush(format::SessionId session) {
  const std::size_t own = stored_.size();
  if (!take_small_runs()) {   // merging is a convenience: the old runs stay
    superseded_.clear();
    stored_.resize(own);
  }
  if (stored_.empty()) return {};
  return write_runs(std::exchange(stored_, {}), session);
}

std::vector<std::string> ChunkIndex::notices() const {
  MutexLock lock(runs_mutex_);
  return notices_;
}

}  // namespace coppice::vault
