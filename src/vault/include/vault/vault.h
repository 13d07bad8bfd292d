// An opened vault: who we are in it, what snapshots it holds.
//
// open() reads vault.json and the newest roster, verifies both against the owner key that the bundle pins, and refuses a roster
// older than the newest this machine has seen. Thread-safe after open().
//
// A revoked member may still open the vault and read what its key opens: refusing would protect nothing, since the key is in its
// hands, and would keep an honest holder from their own backups. It cannot write or forget.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/keyring.h"
#include "format/snapshot.h"
#include "foundation/result.h"
#include "keys/bundle.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "storage/object_store.h"

namespace coppice::vault {

// A commit whose signature is that of a roster member allowed to write, with its body when our key can read it.
struct Snapshot {
  format::SessionId session;
  format::Digest commit_hash{};        // SHA-256 of the object; its first hex digits are the snapshot's id
  format::MemberId signer{};
  std::string signer_name;
  format::Role signer_role = format::Role::kWriter;
  format::Commit commit;               // but for its sealed body, which `body` is when our key opens it
  std::optional<format::SnapshotBody> body;   // absent with a writer's key
  bool forgotten = false;              // a signed forget names it; only snapshots() looks
  std::string id() const;              // 64 hex digits
  std::string short_id() const;        // 12
};

// An object that should be a snapshot and is not: named, never skipped in silence.
struct BadSnapshot {
  std::string object;
  Error error;
};

struct SnapshotList {
  std::vector<Snapshot> snapshots;     // by session
  std::vector<BadSnapshot> bad;
};

// What to say when the store has no vault.json: kNotFound where there is no vault, kCorrupt where it was lost.
Error missing_description(storage::ObjectStore& store);

class Vault {
 public:
  // `store` must outlive the vault. `state_directory`: host-local, 0700, made when missing; empty: nothing is remembered. One that cannot
  // be made, read or written is no reason not to read the vault: notices() says so, and only a backup refuses (state_status()).
  static Result<std::unique_ptr<Vault>> open(storage::ObjectStore& store, keys::KeyBundle bundle, const std::string& state_directory,
                                             const platform::Clock& clock, platform::Entropy& entropy);

  const format::VaultId& id() const { return description_.id; }
  const format::VaultDescription& description() const { return description_; }
  const format::Roster& roster() const { return roster_; }
  const keys::KeyBundle& keys() const { return bundle_; }
  storage::ObjectStore& store() const { return store_; }
  const platform::Clock& clock() const { return clock_; }
  platform::Entropy& entropy() const { return entropy_; }
  const std::string& state_directory() const { return state_directory_; }   // <state>/<vault id>, or empty

  // What a person should know of this opening.
  const std::vector<std::string>& notices() const { return notices_; }
  // Why this host's record of the vault cannot be kept, if it cannot.
  Result<> state_status() const { return state_status_; }

  // Whether the roster has revoked our key. kDenied from may_write() then, or with a keeper's key; kUnsupported when the vault
  // has features that a writer must know and this program does not.
  bool revoked() const { return revoked_; }
  Result<> may_write() const;
  // Whether a commit of ours counts by the newest roster that the store has. kDenied: our key was removed since this vault was opened.
  Result<> still_counts(format::SessionId session, ByteSpan commit) const;

  // Every snapshot that is not forgotten; with `include_forgotten`, those too.
  Result<SnapshotList> snapshots(bool include_forgotten = false) const;
  // One by its session; verified. kNotFound, kUnauthentic, kCorrupt.
  Result<Snapshot> snapshot(format::SessionId session) const;
  // Whether a forget of `session` that counts, and is not signed by `without`, names that commit. kDenied: those that stand there are of
  // signers who may not, or may no longer; another error: what stands there is damaged, cannot be read, or names another commit.
  Result<bool> is_forgotten(format::SessionId session, const format::Digest& commit, const std::optional<format::MemberId>& without = {}) const;
  // Signs and stores the wish to drop it. Durable on return.
  Result<> forget(const Snapshot& snapshot) const;
  // The snapshots that are forgotten by the signature of `member` alone, as far as the store lists them.
  Result<std::vector<Snapshot>> forgotten_by(const format::MemberId& member) const;
  // The same wish under the owner key, so that it counts without the signature of `member`. Durable on return.
  Result<> adopt_forget(const Snapshot& snapshot, const format::MemberId& member, const crypto::Key& owner_seed) const;

 private:
  Vault(storage::ObjectStore& store, keys::KeyBundle bundle, const platform::Clock& clock, platform::Entropy& entropy)
      : store_(store), bundle_(std::move(bundle)), clock_(clock), entropy_(entropy) {}
  Result<> load_description();
  Result<> load_roster();
  void go_on_without_state(const Error& error);
  Result<> reconcile_keys();
  Result<Snapshot> verify_snapshot(format::SessionId session, ByteSpan object) const;
  struct SignedForget {
    format::Forget forget;
    format::MemberId signer{};
  };
  Result<SignedForget> verify_forget(format::SessionId session, ByteSpan object) const;
  Result<> put_forget(const Snapshot& snapshot, ByteSpan envelope, const std::optional<format::MemberId>& without) const;

  storage::ObjectStore& store_;
  keys::KeyBundle bundle_;
  const platform::Clock& clock_;
  platform::Entropy& entropy_;
  format::VaultDescription description_;
  format::Roster roster_;
  format::Digest description_hash_{};
  std::string state_directory_;
  Result<> state_status_;
  std::vector<std::string> notices_;
  bool revoked_ = false;
};

// The highest roster number that the store lists, zero when it lists none. A hint: it may be stale, or name what is not there.
std::uint32_t listed_roster(storage::ObjectStore& store);

struct StoredRoster {
  std::uint32_t version = 0;
  Bytes envelope;   // unverified
};
// Goes on to the newest one that the store has. Each is asked for by name: only a failed get says that there is none. After an error `roster`
// is the newest that was found.
Result<> go_to_newest(storage::ObjectStore& store, StoredRoster& roster);

}  // namespace coppice::vault
