#include "last_commit.h"

#include <algorithm>

#include <fmt/format.h>

#include "foundation/encoding.h"
#include "platform/file.h"

namespace coppice::vault {
namespace {

std::string path_of(const Vault& vault, const format::Digest& lineage) {
  return platform::join_path(vault.state_directory(), "last-" + render_hex(lineage).substr(0, 32));
}

}  // namespace

std::optional<std::string> find_last_commit(const Vault& vault, const format::Digest& lineage, SnapshotList& all) {
  if (vault.state_directory().empty()) return std::nullopt;
  const Result<Bytes> remembered = platform::read_file(path_of(vault, lineage), 4096);
  if (!remembered) return std::nullopt;
  const std::string text(as_text(*remembered));
  // "<generation>.<slot> <commit hash>"
  const std::size_t blank = text.find(' ');
  if (blank == std::string::npos) return std::nullopt;
  const auto session = format::parse_snapshot_object("snapshots/" + text.substr(0, blank));
  if (!session) return std::nullopt;
  const std::string hash = text.substr(blank + 1, 64);
  if (std::ranges::any_of(all.snapshots, [&](const Snapshot& s) { return render_hex(s.commit_hash) == hash; })) return std::nullopt;

  // The list is a hint; only the name says whether it is there.
  Result<Snapshot> named = vault.snapshot(*session);
  const auto forget = vault.forget_of(*session);
  const bool forgotten = forget && *forget && render_hex(**forget) == hash;
  if (named && render_hex(named->commit_hash) == hash) {
    named->forgotten = forgotten;
    all.snapshots.push_back(std::move(*named));
    std::ranges::sort(all.snapshots, {}, &Snapshot::session);
    return std::nullopt;
  }
  if (!named && named.error().kind() == ErrorKind::kNotFound && forgotten) return std::nullopt;
  if (!named && named.error().kind() == ErrorKind::kUnavailable) return std::nullopt;   // not known; whoever lists meets it again
  return fmt::format("the vault no longer holds snapshot {} (session {}), which this host committed and nobody forgot: it was rolled back, "
                     "damaged, or replaced by an older copy",
                     hash.substr(0, 12), text.substr(0, blank));
}

void remember_last_commit(const Vault& vault, const format::Digest& lineage, format::SessionId session, const format::Digest& commit) {
  if (vault.state_directory().empty()) return;
  const std::string text = fmt::format("{}.{} {}\n", session.generation, session.slot, render_hex(commit));
  (void)platform::write_file_durably(path_of(vault, lineage), as_bytes(text));
}

}  // namespace coppice::vault
