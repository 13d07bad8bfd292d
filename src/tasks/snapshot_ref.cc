#include "tasks/snapshot_ref.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "foundation/encoding.h"
#include "policy/paths.h"
#include "tasks/places.h"

namespace coppice::tasks {

namespace {
bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Whether a snapshot of `source` holds what a person calls `path`. A stream's source is a bare name.
bool holds(std::string_view source, const std::string& path) {
  if (source == path) return true;
  const auto clean = absolute_path(path);
  return clean && policy::lies_in(*clean, source);
}

bool holds_whole(const format::SnapshotBody& body, const std::string& path) {
  return std::ranges::any_of(body.sources, [&](const auto& source) { return holds(source, path); });
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string all;
  for (const auto& part : parts) all.append(all.empty() ? "" : between).append(render_printable(part));
  return all;
}

// "of host web1 or web2, tagged nightly"
std::string describe_filter(const SnapshotFilter& filter) {
  std::vector<std::string> parts;
  if (!filter.hosts.empty()) parts.push_back("of host " + join(filter.hosts, " or "));
  if (!filter.tags.empty()) parts.push_back("tagged " + join(filter.tags, " and "));
  if (!filter.paths.empty()) parts.push_back("of " + join(filter.paths, " and "));
  if (!filter.signers.empty()) parts.push_back("signed by " + join(filter.signers, " or "));
  return join(parts, ", ");
}

std::string describe_candidate(const vault::Snapshot& snapshot) {
  std::string line = fmt::format("{}  {}", snapshot.short_id(), render_local(snapshot_time(snapshot)));
  if (snapshot.body) line += "  " + render_printable(snapshot.body->host);
  return line;
}

std::unexpected<Error> needs_reader() {
  return fail(
      ErrorKind::kDenied,
      "--host, --tag and --path look into snapshots, and the key at hand cannot read them: a reader's key is needed");
}
}  // namespace

Result<std::string> clean_snapshot_path(std::string_view path) {
  if (path.empty() || path.front() != '/')
    return fail(ErrorKind::kInvalid, fmt::format("'{}' does not start with a slash", render_printable(path)));
  std::string clean;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part == "..")
      return fail(ErrorKind::kInvalid,
                  fmt::format("'..' in '{}': write the path as it is in the snapshot", render_printable(path)));
    if (!part.empty() && part != ".") clean.append("/").append(part);
    at = end + 1;
  }
  return clean.empty() ? "/" : clean;
}

Result<SnapshotRef> parse_snapshot_ref(std::string_view text) {
  SnapshotRef ref;
  const std::size_t colon = text.find(":/");
  if (colon != std::string_view::npos) {
    ref.has_path = true;
    ref.path = TRY(clean_snapshot_path(text.substr(colon + 1)));
    text = text.substr(0, colon);
  }
  ref.text = text;
  if (text == "latest") return ref;
  if (text.starts_with('@')) {
    ref.kind = SnapshotRef::Kind::kMoment;
    ref.before = TRY(parse_time(text.substr(1))).end;
    return ref;
  }
  ref.kind = SnapshotRef::Kind::kPrefix;
  for (const char c : text) ref.prefix.push_back(static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
  const bool hex = ref.prefix.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex || ref.prefix.size() < kSnapshotPrefixDigitsMin || ref.prefix.size() > 64) {
    return fail(ErrorKind::kInvalid, fmt::format("'{}' names no snapshot: give at least {} digits of its id, 'latest', "
                                                 "or a time like @2026-11-22T08:00; a path "
                                                 "in it follows ':/'",
                                                 render_printable(text), kSnapshotPrefixDigitsMin));
  }
  return ref;
}

bool SnapshotFilter::matches(const vault::Snapshot& snapshot) const {
  if (!signers.empty() && !contains(signers, snapshot.signer_name)) return false;
  if (!looks_inside()) return true;
  if (!snapshot.body) return false;
  const auto& body = *snapshot.body;
  if (!hosts.empty() && !contains(hosts, body.host)) return false;
  return std::all_of(tags.begin(), tags.end(), [&](const auto& tag) { return contains(body.tags, tag); }) &&
         std::all_of(paths.begin(), paths.end(), [&](const auto& path) { return holds_whole(body, path); });
}

std::vector<std::string> sources_below(const format::SnapshotBody& body, const std::string& path) {
  std::vector<std::string> below;
  if (path == "/" || holds_whole(body, path)) return below;
  std::ranges::copy_if(body.sources, std::back_inserter(below), [&](const auto& source) { return policy::lies_in(source, path); });
  return below;
}

bool is_in_anothers_name(const vault::Snapshot& snapshot, const vault::SnapshotList& list) {
  if (!snapshot.body || snapshot.signer_role == format::Role::kOwner) return false;
  const std::string& host = snapshot.body->host;
  if (snapshot.signer_name == host) return false;
  return std::ranges::any_of(list.snapshots, [&](const auto& other) { return other.body && other.body->host == host && other.signer_name == host; });
}

Timestamp snapshot_time(const vault::Snapshot& snapshot) {
  return snapshot.body ? snapshot.body->started : snapshot.commit.claimed_time;
}

Result<std::vector<const vault::Snapshot*>> filter_snapshots(const vault::SnapshotList& list,
                                                             const SnapshotFilter& filter) {
  std::vector<const vault::Snapshot*> chosen;
  bool unreadable = false;
  for (const auto& snapshot : list.snapshots) {
    if (filter.matches(snapshot)) chosen.push_back(&snapshot);
    unreadable |= !snapshot.body;
  }
  if (filter.looks_inside() && unreadable) return needs_reader();
  std::stable_sort(chosen.begin(), chosen.end(), [](auto* a, auto* b) { return a->session < b->session; });
  return chosen;
}

Result<const vault::Snapshot*> find_snapshot(const vault::SnapshotList& list, const SnapshotRef& ref,
                                             const SnapshotFilter& filter, const vault::Snapshot** passed_over) {
  if (ref.kind == SnapshotRef::Kind::kPrefix) {
    std::vector<const vault::Snapshot*> found;
    for (const auto& snapshot : list.snapshots) {
      if (snapshot.id().starts_with(ref.prefix)) found.push_back(&snapshot);
    }
    if (found.empty()) return fail(ErrorKind::kNotFound, fmt::format("no snapshot's id starts with {}", ref.prefix));
    if (!filter.empty()) {
      if (filter.looks_inside() && std::any_of(found.begin(), found.end(), [](auto* one) { return !one->body; }))
        return needs_reader();
      const std::string all = found.size() == 1 ? fmt::format("snapshot {} is not", found.front()->short_id())
                                                : fmt::format("none of the {} snapshots whose ids start with {} is",
                                                              found.size(), ref.prefix);
      std::erase_if(found, [&](auto* one) { return !filter.matches(*one); });
      if (found.empty()) return fail(ErrorKind::kNotFound, fmt::format("{} {}", all, describe_filter(filter)));
    }
    if (found.size() == 1) return found.front();
    std::string text = fmt::format("{} snapshots' ids start with {}:", found.size(), ref.prefix);
    for (std::size_t i = 0; i < found.size() && i < 10; ++i) text += "\n    " + describe_candidate(*found[i]);
    if (found.size() > 10) text += "\n    ...";
    return fail(ErrorKind::kConflict, std::move(text));
  }
  auto chosen = TRY(filter_snapshots(list, filter));
  const bool of_path = ref.has_path && ref.path != "/";
  if (of_path) {
    std::vector<const vault::Snapshot*> whole;
    std::ranges::copy_if(chosen, std::back_inserter(whole), [&](auto* one) { return one->body && holds_whole(*one->body, ref.path); });
    if (!whole.empty()) chosen = std::move(whole);
  }
  const auto newest = [&](auto&& fits) {
    const vault::Snapshot* best = nullptr;
    for (const auto* snapshot : chosen) {
      const bool is_newer = ref.kind == SnapshotRef::Kind::kLatest ||
                            (snapshot_time(*snapshot) < ref.before && (!best || snapshot_time(*best) <= snapshot_time(*snapshot)));
      if (is_newer && fits(*snapshot)) best = snapshot;
    }
    return best;
  };
  const vault::Snapshot* best = newest([](const auto&) { return true; });
  if (best && of_path && best->body && !best->body->complete) {
    const auto is_whole = [&](const auto& one) {
      return one.body && one.body->complete && one.body->host == best->body->host && holds_whole(*one.body, ref.path) &&
             (!filter.signers.empty() || !is_in_anothers_name(one, list));
    };
    if (const vault::Snapshot* whole = newest(is_whole)) {
      if (passed_over) *passed_over = best;
      best = whole;
    }
  }
  if (best && filter.signers.empty() && is_in_anothers_name(*best, list)) {
    const std::string host = render_printable(best->body->host), signer = render_printable(best->signer_name);
    return fail(ErrorKind::kConflict,
                fmt::format("the newest would be {} of {}: it says that it is of host {}, and is signed by {}, while host {} has a key of its own "
                            "name. `--signer {}` takes the newest of the host's own key, `--signer {}` this one",
                            best->short_id(), render_local(snapshot_time(*best)), host, signer, host, host, signer));
  }
  if (best) return best;
  const std::string where = filter.empty() ? "in this vault" : describe_filter(filter);
  if (ref.kind == SnapshotRef::Kind::kLatest || chosen.empty()) {
    return fail(ErrorKind::kNotFound, fmt::format("there is no snapshot {}", where));
  }
  const auto* oldest = *std::min_element(chosen.begin(), chosen.end(),
                                         [](auto* a, auto* b) { return snapshot_time(*a) < snapshot_time(*b); });
  return fail(ErrorKind::kNotFound, fmt::format("there is no snapshot {} from before {}; the oldest is of {}", where,
                                                render_local(ref.before), render_local(snapshot_time(*oldest))));
}

}  // namespace coppice::tasks
