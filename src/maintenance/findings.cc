#include "findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace coppice::maintenance {
namespace {

// A bad sector fails a few reads; a dead disk or network fails them all.
constexpr std::uint64_t kUnavailableMax = 200;

// What a path costs in a set beside its letters, and in the list that is made of the set.
constexpr std::uint64_t kPathNodeBytes = 160;

// "packs/0/3/7: no such object" under the heading packs/0/3/7 says it twice.
std::string without_prefix(std::string_view message, std::string_view object, std::optional<std::uint32_t> block) {
  if (block) {
    const std::string name = fmt::format("{} block {}: ", object, *block);
    if (message.starts_with(name)) return std::string(message.substr(name.size()));
  }
  while (message.size() > object.size() + 2 && message.starts_with(object) &&
         message.substr(object.size()).starts_with(": "))
    message.remove_prefix(object.size() + 2);
  return std::string(message);
}

}  // namespace

std::optional<Findings::Id> Findings::add(Severity severity, std::string object, const Error& error,
                                          std::optional<std::uint32_t> block) {
  MutexLock lock(mutex_);
  const auto key = std::pair(object, block ? std::int64_t{*block} : -1);
  if (const auto it = by_object_.find(key); it != by_object_.end()) return it->second;
  (severity == Severity::kDamage ? damage_ : information_) += 1;
  if (error.kind() == ErrorKind::kUnavailable) {
    ++unavailable_;
    last_unavailable_ = error;
  }
  if (records_.size() >= kFindingsMax) return std::nullopt;
  const Id id = static_cast<Id>(records_.size());
  Record& record = records_.emplace_back();
  record.finding = {
      .severity = severity, .object = std::move(object), .block = block, .kind = error.kind(), .what = {}};
  record.finding.what = without_prefix(error.message(), record.finding.object, block);
  by_object_.emplace(key, id);
  return id;
}

void Findings::mark(const format::PackName& pack, const Error& error) {
  if (error.kind() == ErrorKind::kDenied || error.kind() == ErrorKind::kExhausted) return;
  MutexLock lock(mutex_);
  damaged_packs_.insert(pack);
}

std::vector<format::PackName> Findings::damaged_packs() const {
  MutexLock lock(mutex_);
  return {damaged_packs_.begin(), damaged_packs_.end()};
}

std::optional<Findings::Id> Findings::add_pack(const format::PackName& pack, const Error& error) {
  mark(pack, error);
  const auto id = add(Severity::kDamage, format::pack_object(pack), error);
  if (id) {
    MutexLock lock(mutex_);
    bad_packs_.emplace(pack, *id);
    records_[*id].pack_of = pack.session;
  }
  return id;
}

std::optional<Findings::Id> Findings::add_block(const format::Birth& birth, const Error& error) {
  if (const auto known = of(birth)) return known;
  mark(birth.pack, error);
  const auto id = add(Severity::kDamage, format::pack_object(birth.pack), error, birth.ordinal);
  if (id) {
    MutexLock lock(mutex_);
    bad_blocks_.emplace(birth, *id);
    records_[*id].pack_of = birth.pack.session;
  }
  return id;
}

std::optional<Findings::Id> Findings::of(const format::Birth& birth) const {
  MutexLock lock(mutex_);
  if (const auto it = bad_packs_.find(birth.pack); it != bad_packs_.end()) return it->second;
  if (const auto it = bad_blocks_.find(birth); it != bad_blocks_.end()) return it->second;
  return std::nullopt;
}

std::optional<Findings::Id> Findings::of_object(const std::string& object) const {
  MutexLock lock(mutex_);
  const auto it = by_object_.find({object, -1});
  return it != by_object_.end() ? std::optional<Id>(it->second) : std::nullopt;
}

bool Findings::any_bad_block() const {
  MutexLock lock(mutex_);
  return !bad_packs_.empty() || !bad_blocks_.empty();
}

void Findings::touch_snapshot(Id finding, format::SessionId session) {
  MutexLock lock(mutex_);
  auto& snapshots = records_[finding].snapshots;
  if (snapshots.size() < kFindingSnapshotsMax) snapshots.insert(session);
}

void Findings::touch_file(Id finding, std::string_view path) {
  MutexLock lock(mutex_);
  Record& record = records_[finding];
  record.finding.files_total += 1;
  if (record.files.contains(path)) return;
  if (record.files.size() >= kFindingDetailsMax) {
    const std::uint64_t bytes = path.size() + kPathNodeBytes;
    if (bytes > path_bytes_left_) {
      record.finding.files_left_out = true;
      return;
    }
    path_bytes_left_ -= bytes;
  }
  record.files.emplace(path);
}

Result<> Findings::status() const {
  MutexLock lock(mutex_);
  if (unavailable_ > kUnavailableMax)
    return std::unexpected(last_unavailable_->within("giving up, because the vault's store fails again and again"));
  return {};
}

void Findings::move_into(CheckReport& report, const std::function<bool(format::SessionId)>& is_forgotten,
                         const std::function<void(format::SessionId, Finding&)>& name_writer) {
  MutexLock lock(mutex_);
  report.damage_total = damage_;
  report.information_total = information_;
  for (Record& record : records_) {
    Finding& finding = record.finding;
    if (record.pack_of) name_writer(*record.pack_of, finding);
    if (record.pack_of && !record.snapshots.empty() && record.snapshots.size() < kFindingSnapshotsMax &&
        std::ranges::all_of(record.snapshots, is_forgotten)) {
      finding.severity = Severity::kInformation;
      finding.what += "; only forgotten snapshots need it";
      --report.damage_total;
      ++report.information_total;
    }
    finding.snapshots_total = record.snapshots.size();
    for (const format::SessionId session : record.snapshots) {
      if (finding.snapshots.size() == kFindingDetailsMax) break;
      finding.snapshots.push_back(session);
    }
    while (!record.files.empty()) finding.files.push_back(std::move(record.files.extract(record.files.begin()).value()));
    report.findings.push_back(std::move(finding));
  }
  records_.clear();
  std::ranges::stable_sort(report.findings, {}, &Finding::severity);
}

}  // namespace coppice::maintenance
