// The source state of one lineage through a run: the last one, to compare with, and the one that the run writes.
//
// State directory:  source-<lineage>          the head: which body counts, and of which snapshot it is
//                   source-<lineage>.<tag>    bodies; locked (flock) by the run that writes them, until a head names them
// Whatever is wrong with a state makes it no state: the run then reads everything, and stores nothing twice.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state_file.h"
#include "tree_builder.h"
#include "vault/vault.h"

namespace coppice::capture {

// The file that keeps a lineage's head is called after a keyed hash of its name.
class SourceState {
 public:
  enum class Use { kReadOnly, kReadAndWrite };
  // `base`: the snapshot whose state is wanted; absent, or `force`: none is looked for. What is amiss goes to `notices`. Removes bodies
  // that no head names and no run is writing.
  static SourceState open(const vault::Vault& vault, std::string_view lineage, const std::optional<vault::Snapshot>& base, bool force, Use use,
                          std::vector<std::string>& notices);
  SourceState(SourceState&&) noexcept = default;
  SourceState& operator=(SourceState&&) = delete;
  ~SourceState() { drop_new(); }

  StateReader* old() const { return reader_.get(); }             // null: none
  const StateHead* head() const { return head_ ? &*head_ : nullptr; }
  StateWriter* fresh() { return writer_.get(); }  // null: none is kept
  // Random bytes that stay the same from state to state; empty: no state is kept.
  ByteSpan fingerprint_secret() const { return fingerprint_secret_ ? ByteSpan(fingerprint_secret_->view()) : ByteSpan(); }
  // The old state turned out not to read: the run begins again without it.
  void forget_old();
  // After the commit: durable on return. A failure costs the next run a full read, not a backup. `files` and `bytes`: of the snapshot.
  Result<> keep(const DirectoryBuild::Child& root, const format::Digest& commit, Timestamp started, std::uint64_t files, std::uint64_t bytes);

 private:
  explicit SourceState(platform::Entropy& entropy) : entropy_(&entropy) {}
  Result<> open_key_and_old(const vault::Vault& vault, std::string_view lineage, const std::optional<vault::Snapshot>& base, bool force);
  Result<> begin_new();
  void drop_new();

  platform::Entropy* entropy_;
  std::string directory_, head_path_, named_body_, new_body_;    // named_body_: what the head named when the run began
  std::optional<crypto::Key> local_key_;
  std::optional<crypto::Secret<192>> fingerprint_secret_;
  std::optional<StateHead> head_;                                // of the base
  std::unique_ptr<StateReader> reader_;
  std::unique_ptr<StateWriter> writer_;
};

}  // namespace coppice::capture
