#include "vault/vault.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "crypto/hash.h"
#include "crypto/leaf_hash.h"
#include "foundation/encoding.h"
#include "keys/roster.h"
#include "parallel.h"
#include "platform/file.h"
#include "seal.h"

namespace coppice::vault {
namespace {

using format::SessionId;

// How many objects are fetched at once: a listing of a thousand snapshots waits for round trips, not for the processor.
constexpr unsigned kFetchThreads = 8;

// The newest roster seen is that of the highest roster-seen.<version> in the state directory, a text: header line, version, hash. Whoever can
// change it could as well change this program. Programs that saw different ones write different files, so none of them waits for another,
// which may be stopped.
constexpr int kSeenAttemptsMax = 8;
constexpr std::string_view kSeenPrefix = "roster-seen.", kSeenHeader = "coppice roster-seen 1";

struct SeenRoster {
  std::string path;
  keys::RosterMark mark;
};

std::optional<std::uint32_t> parse_number(std::string_view digits) {
  std::uint32_t n = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return n;
}

std::string seen_name(std::uint32_t version) { return fmt::format("{}{}", kSeenPrefix, version); }

// In ascending order.
Result<std::vector<std::uint32_t>> seen_versions(const std::string& directory) {
  std::vector<std::uint32_t> versions;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kSeenPrefix)) continue;
    if (const auto version = parse_number(std::string_view(name).substr(kSeenPrefix.size())); version && seen_name(*version) == name)
      versions.push_back(*version);
  }
  if (error) return fail_errno(error.value(), directory);
  std::ranges::sort(versions);
  return versions;
}

// A listing may miss a name that comes while another goes, and name one that is gone by now: then whoever removed it has written a higher one.
Result<std::optional<SeenRoster>> read_seen(const std::string& directory) {
  for (int attempt = 0; attempt < kSeenAttemptsMax; ++attempt) {
    const std::vector<std::uint32_t> versions = TRY(seen_versions(directory));
    if (versions.empty() && attempt == 0) continue;
    if (versions.empty()) return std::nullopt;
    SeenRoster seen{.path = platform::join_path(directory, seen_name(versions.back())), .mark = {.version = versions.back(), .digest = {}}};
    const Result<Bytes> bytes = platform::read_file(seen.path, 4096);
    if (!bytes && bytes.error().kind() == ErrorKind::kNotFound) continue;
    if (!bytes) return std::unexpected(bytes.error());
    const std::string begin = fmt::format("{}\n{} ", kSeenHeader, seen.mark.version);
    const std::string_view text = as_text(*bytes);
    const Result<Bytes> digest = text.starts_with(begin) && text.ends_with('\n') ? parse_hex(text.substr(begin.size(), text.size() - begin.size() - 1)) : Bytes();
    if (!digest || digest->size() != seen.mark.digest.size())
      return fail(ErrorKind::kCorrupt,
                  fmt::format("{}: not a record of the newest roster seen; remove it if you trust the vault's store", seen.path));
    std::ranges::copy(*digest, seen.mark.digest.begin());
    return seen;
  }
  return fail(ErrorKind::kUnavailable, fmt::format("{}/{}* is listed and cannot be opened", directory, kSeenPrefix));
}

// Of two rosters of one version, the first that was seen stays.
Result<> write_seen(const std::string& directory, const keys::RosterMark& mark) {
  const std::string path = platform::join_path(directory, seen_name(mark.version));
  if (struct stat status {}; ::lstat(path.c_str(), &status) != 0)
    TRY(platform::write_file_durably(path, as_bytes(fmt::format("{}\n{} {}\n", kSeenHeader, mark.version, render_hex(mark.digest)))));
  for (const std::uint32_t version : TRY(seen_versions(directory)))
    if (version < mark.version) ::unlink(platform::join_path(directory, seen_name(version)).c_str());
  return {};
}

// The names below `prefix` as sessions; those that are none go to `strange`.
Result<std::vector<SessionId>> list_sessions(storage::ObjectStore& store, std::string_view prefix,
                                             Result<SessionId> (*parse)(std::string_view), std::vector<std::string>& strange) {
  std::vector<SessionId> sessions;
  TRY(store.list(prefix, [&](const storage::ObjectInfo& object) -> Result<> {
    if (const auto session = parse(object.name))
      sessions.push_back(*session);
    else
      strange.push_back(object.name);
    return {};
  }));
  std::ranges::sort(sessions);
  sessions.erase(std::ranges::unique(sessions).begin(), sessions.end());
  return sessions;
}

Result<std::optional<format::SnapshotBody>> open_body(const keys::KeyBundle& bundle, const format::VaultId& vault,
                                                      const format::Commit& commit) {
  const format::Birth birth = snapshot_birth(commit.session);
  const format::BlockHeader header = TRY(read_block_header(commit.sealed_body, birth, format::BlockType::kSnapshot));
  const keys::EpochKey* epoch = bundle.epoch(header.epoch);
  if (!epoch || !epoch->private_key) return std::nullopt;  // sealed for others: a fact, not a fault
  const SessionSecret secret = TRY(SessionSecret::for_reader(vault, *epoch, header.session_key));
  BlockOpener opener(vault);
  DecodedBlock block;
  TRY(opener.open(secret, commit.sealed_body, header, block));
  if (block.chunks.size() != 1) return fail(ErrorKind::kCorrupt, "the sealed body holds more than one chunk");
  if (format::ChunkId{crypto::LeafMac(bundle.id_key->view()).mac(block.plain)} != block.chunks[0].id)
    return fail(ErrorKind::kCorrupt, "the sealed body is not what its id says");
  return TRY(format::decode_snapshot_body(block.plain));
}

}  // namespace

std::uint32_t listed_roster(storage::ObjectStore& store) {
  std::uint32_t highest = 0;
  (void)store.list("roster/", [&](const storage::ObjectInfo& object) -> Result<> {
    const auto n = parse_number(std::string_view(object.name).substr(std::string_view("roster/").size()));
    if (n && format::roster_object(*n) == object.name) highest = std::max(highest, *n);
    return {};
  });
  return highest;
}

Result<> go_to_newest(storage::ObjectStore& store, StoredRoster& roster) {
  while (roster.version < UINT32_MAX) {
    const std::string object = format::roster_object(roster.version + 1);
    Result<Bytes> next = store.get(object, format::kControlObjectBytesMax);
    if (!next && next.error().kind() == ErrorKind::kNotFound) break;
    if (!next) return std::unexpected(std::move(next).error().within(object));
    roster = {roster.version + 1, *std::move(next)};
  }
  return {};
}

Error missing_description(storage::ObjectStore& store) {
  if (store.size(format::roster_object(0)))
    return Error(ErrorKind::kCorrupt, fmt::format("{} is gone from the vault at {}, whose {} is there: put it back from a copy of the vault",
                                                  format::kVaultObject, store.describe(), format::roster_object(0)));
  return Error(ErrorKind::kNotFound, fmt::format("there is no vault at {}: make one with `coppice init`", store.describe()));
}

std::string Snapshot::id() const { return render_hex(commit_hash); }
std::string Snapshot::short_id() const { return render_hex(ByteSpan(commit_hash).first(6)); }

Result<std::unique_ptr<Vault>> Vault::open(storage::ObjectStore& store, keys::KeyBundle bundle,
                                           const std::string& state_directory, const platform::Clock& clock,
                                           platform::Entropy& entropy) {
  std::unique_ptr<Vault> vault(new Vault(store, std::move(bundle), clock, entropy));
  TRY(vault->load_description());
  if (!state_directory.empty()) {
    vault->state_directory_ = platform::join_path(state_directory, render_hex(vault->id()));
    if (const Result<> made = platform::make_directories(vault->state_directory_, 0700); !made)
      vault->go_on_without_state(made.error().within("making the state directory"));
  }
  TRY(within(vault->load_roster(), fmt::format("opening the vault at {}", store.describe())));
  TRY(within(vault->reconcile_keys(), fmt::format("opening the vault at {}", store.describe())));
  return vault;
}

Result<> Vault::load_description() {
  const Result<Bytes> bytes = store_.get(format::kVaultObject, format::kVaultDescriptionBytesMax);
  if (!bytes && bytes.error().kind() == ErrorKind::kNotFound)
    return std::unexpected(missing_description(store_));
  if (!bytes) return std::unexpected(bytes.error().within(fmt::format("reading the vault at {}", store_.describe())));
  description_ =
      TRY(within(format::decode_vault_description(*bytes), fmt::format("the vault at {}", store_.describe())));
  if (description_.id != bundle_.vault)
    return fail(ErrorKind::kDenied,
                fmt::format("this key belongs to vault {}, but {} holds vault {}", render_hex(bundle_.vault),
                            store_.describe(), render_hex(description_.id)));
  if (description_.owner != bundle_.owner)
    return fail(ErrorKind::kUnauthentic,
                fmt::format("{} in {} names another owner than the key at hand: it was replaced", format::kVaultObject,
                            store_.describe()));
  description_hash_ = crypto::sha256(*bytes);
  return {};
}

// A restore needs the vault and a key, nothing else.
void Vault::go_on_without_state(const Error& error) {
  if (!state_status_) return;   // one reason is enough
  state_status_ = std::unexpected(error);
  notices_.push_back("what this machine knows of the vault cannot be kept, so an older copy put in its place may go unnoticed: " + error.message());
}

Result<> Vault::load_roster() {
  std::optional<SeenRoster> seen;
  if (!state_directory_.empty()) {
    Result<std::optional<SeenRoster>> read = read_seen(state_directory_);
    if (read)
      seen = *std::move(read);
    else if (read.error().kind() == ErrorKind::kCorrupt)
      return std::unexpected(std::move(read).error());
    else
      go_on_without_state(std::move(read).error().within("reading what this machine last saw of the vault"));
  }

  // Start as high as we have reason to, then upwards until there is none.
  std::uint32_t version = seen ? seen->mark.version : 0;
  Result<Bytes> envelope = store_.get(format::roster_object(version), format::kControlObjectBytesMax);
  if (!envelope && envelope.error().kind() == ErrorKind::kNotFound) {
    if (seen)
      return fail(
          ErrorKind::kUnauthentic,
          fmt::format(
              "this machine has seen {} of this vault, and the store no longer has it: the vault was rolled back or "
              "replaced by an older copy. If that was done on purpose, remove {}",
              format::roster_object(version), seen->path));
    return fail(ErrorKind::kCorrupt, fmt::format("{} is missing: the vault is damaged, or was never finished",
                                                 format::roster_object(version)));
  }
  if (!envelope) return std::unexpected(std::move(envelope).error().within(format::roster_object(version)));
  if (seen && crypto::sha256(*envelope) != seen->mark.digest)
    return fail(ErrorKind::kUnauthentic, fmt::format("{} is not the one that this machine has seen before: the vault "
                                                     "was tampered with, or replaced by another copy. "
                                                     "If that was done on purpose, remove {}",
                                                     format::roster_object(version), seen->path));
  if (const std::uint32_t listed = listed_roster(store_); listed > version) {
    if (Result<Bytes> hinted = store_.get(format::roster_object(listed), format::kControlObjectBytesMax)) {
      envelope = std::move(hinted);
      version = listed;
    }
  }
  StoredRoster newest{version, *std::move(envelope)};
  TRY(go_to_newest(store_, newest));
  version = newest.version;
  roster_ =
      TRY(within(keys::verify_roster(newest.envelope, bundle_.anchor(), description_hash_), format::roster_object(version)));
  if (roster_.version != version)
    return fail(ErrorKind::kUnauthentic,
                fmt::format("{} holds version {} of the roster: it was put there by someone else",
                            format::roster_object(version), roster_.version));
  const keys::RosterMark found = keys::mark_of(roster_, newest.envelope);
  if (seen) TRY(keys::check_not_older(found, seen->mark));
  // What could not be read is not written over.
  if (!state_directory_.empty() && state_status_ && (!seen || seen->mark != found))
    if (const Result<> written = within(write_seen(state_directory_, found), "remembering the vault's roster"); !written)
      go_on_without_state(written.error());
  return {};
}

Result<> Vault::reconcile_keys() {
  const format::Member* member = keys::find_member(roster_, bundle_.member);
  revoked_ = member && !keys::is_living(*member);
  return revoked_ ? Result<>{} : keys::reconcile_bundle(roster_, bundle_);
}

Result<> Vault::may_write() const {
  if (revoked_) return fail(ErrorKind::kDenied, "this key has been revoked: it can no longer write to the vault");
  if (!bundle_.can_write())
    return fail(ErrorKind::kDenied, "this key cannot make backups: a writer's or reader's key is needed");
  if (!description_.write_features.empty())
    return fail(
        ErrorKind::kUnsupported,
        fmt::format("writing to this vault takes the feature \"{}\", which this program (format {}) does not have",
                    description_.write_features.front(), format::kFormatVersion));
  return {};
}

Result<> Vault::still_counts(SessionId session, ByteSpan commit) const {
  StoredRoster newest{roster_.version, {}};
  (void)go_to_newest(store_, newest);
  if (newest.version == roster_.version) return {};
  const Result<format::Roster> roster = keys::verify_roster(newest.envelope, bundle_.anchor(), description_hash_);
  if (!roster) return {};   // nobody's word; the next opening says so
  if (const auto counted = keys::verify_envelope(format::kCommitMagic, commit, bundle_.anchor(), *roster, session); !counted)
    return fail(ErrorKind::kDenied, fmt::format("this host's key was removed from the vault meanwhile, so the snapshot does not count: {}", counted.error().message()));
  return {};
}

Result<Snapshot> Vault::verify_snapshot(SessionId session, ByteSpan object) const {
  auto verified = keys::verify_envelope(format::kCommitMagic, object, bundle_.anchor(), roster_, session);
  if (!verified && verified.error().kind() == ErrorKind::kDenied)
    return fail(ErrorKind::kDenied, verified.error().message() + ": it is no snapshot, and nothing is lost by moving it out of the vault");
  const keys::Signed opened = TRY(std::move(verified));
  Snapshot snapshot;
  snapshot.session = session;
  snapshot.commit_hash = crypto::sha256(object);
  snapshot.signer = opened.signer;
  snapshot.signer_name = opened.signer_name;
  snapshot.signer_role = opened.role;
  snapshot.commit = TRY(format::decode_commit(opened.body));
  if (snapshot.commit.session != session)
    return fail(ErrorKind::kUnauthentic, fmt::format("it is a copy of {}, put under another name",
                                                     format::snapshot_object(snapshot.commit.session)));
  if (snapshot.commit.read_features != 0)
    return fail(ErrorKind::kUnsupported,
                fmt::format("reading it takes features (bits {:#x}) that this program (format {}) does not have",
                            snapshot.commit.read_features, format::kFormatVersion));
  if (bundle_.can_read()) snapshot.body = TRY(open_body(bundle_, id(), snapshot.commit));
  Bytes().swap(snapshot.commit.sealed_body);
  return snapshot;
}

Result<Snapshot> Vault::snapshot(SessionId session) const {
  const std::string object = format::snapshot_object(session);
  const Bytes bytes = TRY(within(store_.get(object, format::kControlObjectBytesMax), object));
  return within(verify_snapshot(session, bytes), object);
}

Result<Vault::SignedForget> Vault::verify_forget(SessionId session, ByteSpan object) const {
  const keys::Signed opened =
      TRY(keys::verify_envelope(format::kForgetMagic, object, bundle_.anchor(), roster_, session));
  const format::Forget forget = TRY(format::decode_forget(opened.body));
  if (forget.session != session)
    return fail(ErrorKind::kUnauthentic,
                fmt::format("it is a copy of {}, put under another name", format::forget_object(forget.session)));
  return SignedForget{forget, opened.signer};
}

Result<bool> Vault::is_forgotten(SessionId session, const format::Digest& commit, const std::optional<format::MemberId>& without) const {
  std::optional<Error> bad, of_no_right;
  unsigned missing = 0;   // one name may have been cleared of garbage
  for (std::uint32_t place = 0; place < format::kForgetPlaces && missing < 2; ++place) {
    const std::string object = format::forget_object(session, place);
    const Result<Bytes> bytes = store_.get(object, format::kControlObjectBytesMax);
    if (!bytes && bytes.error().kind() == ErrorKind::kNotFound) {
      ++missing;
      continue;
    }
    if (!bytes) {
      const ErrorKind kind = bytes.error().kind() == ErrorKind::kDenied ? ErrorKind::kUnavailable : bytes.error().kind();   // not said of a signer
      if (!bad) bad = Error(kind, bytes.error().message()).within(object);
      continue;
    }
    Result<SignedForget> verified = verify_forget(session, *bytes);
    if (verified && verified->signer == without) continue;
    if (verified && verified->forget.commit == commit) return true;
    Error error = verified ? Error(ErrorKind::kUnauthentic, "it names another snapshot than the one that stands there, and is not honoured") : std::move(verified).error();
    std::optional<Error>& kept = error.kind() == ErrorKind::kDenied ? of_no_right : bad;
    if (!kept) kept = std::move(error).within(object);
  }
  if (bad) return std::unexpected(std::move(*bad));
  if (of_no_right) return std::unexpected(std::move(*of_no_right));
  return false;
}

Result<SnapshotList> Vault::snapshots(bool include_forgotten) const {
  SnapshotList list;
  std::vector<std::string> strange;
  const std::vector<SessionId> sessions = TRY(list_sessions(store_, "snapshots/", format::parse_snapshot_object, strange));
  std::vector<std::optional<Result<Snapshot>>> found(sessions.size());
  parallel_for(sessions.size(), kFetchThreads, [&](std::size_t i) { found[i] = snapshot(sessions[i]); });

  const std::vector<SessionId> names = TRY(list_sessions(store_, "forgets/", format::parse_forget_object, strange));
  std::vector<Result<bool>> forgotten(sessions.size(), false);
  parallel_for(sessions.size(), kFetchThreads, [&](std::size_t i) {
    if (*found[i] && std::ranges::binary_search(names, sessions[i])) forgotten[i] = is_forgotten(sessions[i], (*found[i])->commit_hash);
  });

  for (std::size_t i = 0; i < sessions.size(); ++i) {
    Result<Snapshot>& result = *found[i];
    if (!result) {
      list.bad.push_back({format::snapshot_object(sessions[i]), std::move(result).error()});
      continue;
    }
    if (!forgotten[i] && forgotten[i].error().kind() != ErrorKind::kDenied)   // else: its signer was removed, and its wish with it
      list.bad.push_back({format::forget_object(sessions[i]), forgotten[i].error()});
    result->forgotten = forgotten[i].value_or(false);
    if (result->forgotten && !include_forgotten) continue;
    list.snapshots.push_back(std::move(*result));
  }
  for (std::string& object : strange) {
    Error error(ErrorKind::kCorrupt, fmt::format("{}: no session has such a name", object));
    list.bad.push_back({std::move(object), std::move(error)});
  }
  return list;
}

namespace {
Bytes forget_body(const Snapshot& snapshot, Timestamp now) {
  return format::encode_forget({.session = snapshot.session, .commit = snapshot.commit_hash, .claimed_time = now});
}
}  // namespace

Result<> Vault::forget(const Snapshot& snapshot) const {
  if (revoked_) return fail(ErrorKind::kDenied, "this key has been revoked: it can no longer forget snapshots");
  if (!keys::role_may_sign(bundle_.role, format::kForgetMagic))
    return fail(ErrorKind::kDenied,
                "this key may not forget snapshots: a writer's key only adds, so that a stolen one destroys nothing");
  return put_forget(snapshot, keys::sign_envelope(format::kForgetMagic, id(), forget_body(snapshot, clock_.now()), bundle_), std::nullopt);
}

Result<> Vault::adopt_forget(const Snapshot& snapshot, const format::MemberId& member, const crypto::Key& owner_seed) const {
  return put_forget(snapshot, keys::sign_as_owner(format::kForgetMagic, id(), forget_body(snapshot, clock_.now()), owner_seed), member);
}

// Where one that says the same stands already, unless it is signed by `without`, that is enough. What else has a name leaves the next to us.
Result<> Vault::put_forget(const Snapshot& snapshot, ByteSpan envelope, const std::optional<format::MemberId>& without) const {
  for (std::uint32_t place = 0; place < format::kForgetPlaces; ++place) {
    const std::string object = format::forget_object(snapshot.session, place);
    const Result<> stored = storage::put_or_confirm(store_, object, envelope);
    if (stored || stored.error().kind() != ErrorKind::kConflict) return within(stored, object);
    const Result<Bytes> theirs = store_.get(object, format::kControlObjectBytesMax);
    if (!theirs) continue;
    const Result<SignedForget> other = verify_forget(snapshot.session, *theirs);
    if (other && other->signer != without && other->forget.commit == snapshot.commit_hash) return {};
  }
  return fail(ErrorKind::kConflict, fmt::format("{}: its {} names are taken by what is no valid forget of it", format::forget_object(snapshot.session), format::kForgetPlaces));
}

Result<std::vector<Snapshot>> Vault::forgotten_by(const format::MemberId& member) const {
  SnapshotList list = TRY(snapshots(true));
  std::erase_if(list.snapshots, [&](const Snapshot& s) { return !s.forgotten || is_forgotten(s.session, s.commit_hash, member).value_or(false); });
  return std::move(list.snapshots);
}

}  // namespace coppice::vault
