#include "source_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "crypto/hash.h"
#include "foundation/encoding.h"

namespace coppice::capture {
namespace {

constexpr std::string_view kPrefix = "source-";
constexpr std::size_t kLineageHexBytes = 32, kTagHexBytes = 16;

bool is_body_name(std::string_view name) {
  return name.starts_with(kPrefix) && name.size() == kPrefix.size() + kLineageHexBytes + 1 + kTagHexBytes && name[kPrefix.size() + kLineageHexBytes] == '.';
}

// The lock comes before the look at the head: whoever holds it knows that no run will name this body any more.
void sweep_bodies(const std::string& directory, const crypto::Key& local_key) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!is_body_name(name)) continue;
    const platform::Fd fd(::open(entry.path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    const Result<StateHead> head = read_state_head(platform::join_path(directory, name.substr(0, name.find('.'))), local_key);
    if (head ? head->body == name : head.error().kind() != ErrorKind::kNotFound) continue;
    ::unlink(entry.path().c_str());
  }
}

Result<> sync_directory(const std::string& directory) {
  const platform::Fd fd = TRY(platform::open_at(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY));
  return platform::sync_fd(fd.get());
}

}  // namespace

SourceState SourceState::open(const vault::Vault& vault, std::string_view lineage, const std::optional<vault::Snapshot>& base, bool force, Use use,
                              std::vector<std::string>& notices) {
  SourceState state(vault.entropy());
  state.directory_ = vault.state_directory();
  if (state.directory_.empty()) return state;
  if (Result<> opened = state.open_key_and_old(vault, lineage, base, force); !opened)
    notices.push_back("the source state cannot be used, so everything is read: " + opened.error().message());
  if (!state.local_key_) return state;
  sweep_bodies(state.directory_, *state.local_key_);
  if (use == Use::kReadOnly) return state;
  if (Result<> begun = state.begin_new(); !begun)
    notices.push_back("no source state can be kept, so the next backup reads everything: " + begun.error().message());
  return state;
}

Result<> SourceState::open_key_and_old(const vault::Vault& vault, std::string_view lineage, const std::optional<vault::Snapshot>& base, bool force) {
  local_key_ = TRY(load_local_key(directory_, *entropy_));
  crypto::hkdf(local_key_->view(), {}, as_bytes("coppice 1 fingerprint"), fingerprint_secret_.emplace().writable());
  head_path_ = platform::join_path(directory_, std::string(kPrefix) + render_hex(crypto::Hmac(vault.keys().id_key->view()).mac(as_bytes(lineage))).substr(0, kLineageHexBytes));
  Result<StateHead> head = read_state_head(head_path_, *local_key_);
  if (!head) {
    if (head.error().kind() == ErrorKind::kNotFound) return {};
    return std::unexpected(std::move(head).error());
  }
  named_body_ = head->body;
  if (!base || force || head->base != base->commit_hash) return {};
  reader_ = TRY(StateReader::open(platform::join_path(directory_, head->body), *local_key_, head->stream_bytes));
  head_ = std::move(*head);
  return {};
}

Result<> SourceState::begin_new() {
  constexpr int kAttemptsMax = 8;
  for (int attempt = 1;; ++attempt) {
    std::array<std::byte, kTagHexBytes / 2> tag;
    entropy_->fill(tag);
    new_body_ = std::string(std::string_view(head_path_).substr(head_path_.rfind('/') + 1)) + "." + render_hex(tag);
    Result<StateWriter> writer = StateWriter::create(platform::join_path(directory_, new_body_), *local_key_, *entropy_);
    if (!writer && writer.error().kind() == ErrorKind::kConflict && attempt < kAttemptsMax) continue;   // a sweep came in between
    writer_ = std::make_unique<StateWriter>(TRY(std::move(writer)));
    return {};
  }
}

void SourceState::drop_new() {
  if (writer_) ::unlink(platform::join_path(directory_, new_body_).c_str());
  writer_.reset();
}

void SourceState::forget_old() {
  reader_.reset();
  head_.reset();
  if (!writer_) return;
  drop_new();
  (void)begin_new();   // a failure: the run keeps no state
}

Result<> SourceState::keep(const DirectoryBuild::Child& root, const format::Digest& commit, Timestamp started, std::uint64_t files, std::uint64_t bytes) {
  if (!local_key_) return {};
  if (root.unchanged && head_) {
    drop_new();
    head_->base = commit;
    head_->started = started;
    return write_state_head(head_path_, *local_key_, *entropy_, *head_);
  }
  if (!writer_) return {};
  StateHead head{.body = new_body_, .stream_bytes = 0, .root_record = root.record, .base = commit, .started = started, .files = files, .bytes = bytes};
  head.stream_bytes = TRY(writer_->finish());
  TRY(sync_directory(directory_));   // the body's name too is there before a head names it
  TRY(write_state_head(head_path_, *local_key_, *entropy_, head));
  writer_.reset();                   // unlocked: it is named now
  if (!named_body_.empty()) ::unlink(platform::join_path(directory_, named_body_).c_str());
  return {};
}

}  // namespace coppice::capture
