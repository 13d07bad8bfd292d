// How a person names a snapshot, and a place in it: "3fa29c", "latest", "@2026-11-22T08:00", each with ":/path" after
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foundation/time.h"
#include "vault/vault.h"

namespace coppice::tasks {

struct SnapshotRef {
  enum class Kind { kPrefix, kLatest, kMoment };
  Kind kind = Kind::kLatest;
  std::string text;    // as written, without the path: for messages
  std::string prefix;  // kPrefix: lower-case hexadecimal digits
  Timestamp before;    // kMoment: the first moment that is too late
  bool has_path = false;
  std::string path;  // clean and absolute: "/", "/data/a"
};
inline constexpr std::size_t kSnapshotPrefixDigitsMin = 4;

// The path starts at the first ":/". ".." in it is kInvalid.
Result<SnapshotRef> parse_snapshot_ref(std::string_view text);
// One slash between components, none at the end, no "."; kInvalid for ".." and for what does not start with a slash.
Result<std::string> clean_snapshot_path(std::string_view path);

// Which snapshots are meant: any of the hosts, all of the tags, all of the paths (each a source or below one; a relative
// path is meant from the working directory), any of the signers. Empty: every one.
struct SnapshotFilter {
  std::vector<std::string> hosts, tags, paths, signers;
  bool looks_inside() const { return !hosts.empty() || !tags.empty() || !paths.empty(); }
  bool empty() const { return !looks_inside() && signers.empty(); }
  bool matches(const vault::Snapshot& snapshot) const;  // false without a body, where it looks inside
};

// Host, sources and tags are what the signer claims; the signer's name is the owner's word, and by custom the host's. Whether a snapshot
// stands in another's name: its host's own key has signed some of `list` too, and this one is another's (and not the owner's).
bool is_in_anothers_name(const vault::Snapshot& snapshot, const vault::SnapshotList& list);

// The snapshot's sources below `path` (clean and absolute), when it has only those of it; none when it has all of it, or nothing.
std::vector<std::string> sources_below(const format::SnapshotBody& body, const std::string& path);

// When the source was looked at; with a writer's key, when the commit says it was made.
Timestamp snapshot_time(const vault::Snapshot& snapshot);

// The snapshot that `ref` means. "latest" is the last that began (sessions are numbered: a clock set wrongly once does
// not pin it for ever); a moment is that of the times shown; with a path, both are of the snapshots that have it whole,
// if there are any: a newer one may have nothing of it, or a part. Of these, where the newest is partial (it lacks a source,
// which may be this one), the newest of its host that is not, and `passed_over` is set to the partial one. All three choose
// from what the filter takes. kNotFound, which tells when only the filter is in the way; kConflict for an ambiguous prefix,
// naming the candidates, and when "latest" or a moment would choose one in another's name, unless the filter names signers;
// kDenied when a filter needs bodies that this key cannot open.
Result<const vault::Snapshot*> find_snapshot(const vault::SnapshotList& list, const SnapshotRef& ref,
                                             const SnapshotFilter& filter, const vault::Snapshot** passed_over = nullptr);

// All that the filter takes, oldest session first. kDenied as above.
Result<std::vector<const vault::Snapshot*>> filter_snapshots(const vault::SnapshotList& list,
                                                             const SnapshotFilter& filter);

}  // namespace coppice::tasks
