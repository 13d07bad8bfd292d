#include "vault/last_commit.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "foundation/encoding.h"
#include "platform/file.h"

namespace coppice::vault {
namespace {

constexpr const char* kPrefix = "last-";

std::string path_of(const Vault& vault, const format::Digest& lineage) {
  return platform::join_path(vault.state_directory(), kPrefix + render_hex(lineage).substr(0, 32));
}

// "<generation>.<slot> <commit hash>"
struct Remembered {
  format::SessionId session;
  format::Digest commit{};
};

std::optional<Remembered> read_remembered(const std::string& path) {
  const Result<Bytes> read = platform::read_file(path, 4096);
  if (!read) return std::nullopt;
  const std::string text(as_text(*read));
  const std::size_t blank = text.find(' ');
  if (blank == std::string::npos) return std::nullopt;
  const auto session = format::parse_snapshot_object("snapshots/" + text.substr(0, blank));
  if (!session) return std::nullopt;
  Remembered remembered{.session = *session};
  const auto commit = parse_hex(std::string_view(text).substr(blank + 1, 64));
  if (!commit || commit->size() != remembered.commit.size()) return std::nullopt;
  std::ranges::copy(*commit, remembered.commit.begin());
  return remembered;
}

// What the store has of it: the commit, nothing (it was forgotten, or that is not known now), or an error that says that it is lost.
Result<std::optional<Snapshot>> look_for(const Vault& vault, const Remembered& remembered) {
  Result<Snapshot> named = vault.snapshot(remembered.session);
  const bool forgotten = vault.is_forgotten(remembered.session, remembered.commit).value_or(false);
  if (named && named->commit_hash == remembered.commit) {
    named->forgotten = forgotten;
    return std::optional<Snapshot>(std::move(*named));
  }
  if (!named && named.error().kind() == ErrorKind::kNotFound && forgotten) return std::optional<Snapshot>();
  if (!named && named.error().kind() == ErrorKind::kUnavailable) return std::optional<Snapshot>();   // whoever lists meets it again
  return fail(ErrorKind::kNotFound, fmt::format("the vault no longer holds snapshot {} (session {}.{}), which this host committed and nobody forgot: it was "
                                                "rolled back, damaged, or replaced by an older copy",
                                                render_hex(remembered.commit).substr(0, 12), remembered.session.generation, remembered.session.slot));
}

}  // namespace

std::optional<std::string> find_last_commit(const Vault& vault, const format::Digest& lineage, SnapshotList& all) {
  if (vault.state_directory().empty()) return std::nullopt;
  const auto remembered = read_remembered(path_of(vault, lineage));
  if (!remembered) return std::nullopt;
  if (std::ranges::any_of(all.snapshots, [&](const Snapshot& s) { return s.commit_hash == remembered->commit; })) return std::nullopt;
  // The list is a hint; only the name says whether it is there.
  Result<std::optional<Snapshot>> found = look_for(vault, *remembered);
  if (!found) return found.error().message();
  if (!*found) return std::nullopt;
  all.snapshots.push_back(std::move(**found));
  std::ranges::sort(all.snapshots, {}, &Snapshot::session);
  return std::nullopt;
}

std::vector<LostCommit> find_lost_commits(const Vault& vault) {
  std::vector<LostCommit> lost;
  if (vault.state_directory().empty()) return lost;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(vault.state_directory(), error)) {
    if (!file.path().filename().string().starts_with(kPrefix)) continue;
    const auto remembered = read_remembered(file.path().string());
    if (!remembered) continue;
    if (const auto found = look_for(vault, *remembered); !found) lost.push_back({remembered->session, found.error()});
  }
  std::ranges::sort(lost, {}, &LostCommit::session);
  return lost;
}

void remember_last_commit(const Vault& vault, const format::Digest& lineage, format::SessionId session, const format::Digest& commit) {
  if (vault.state_directory().empty()) return;
  const std::string text = fmt::format("{}.{} {}\n", session.generation, session.slot, render_hex(commit));
  (void)platform::write_file_durably(path_of(vault, lineage), as_bytes(text));
}

}  // namespace coppice::vault
