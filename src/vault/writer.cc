#include "vault/writer.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "block_packer.h"
#include "chunk_index.h"
#include "crypto/hash.h"
#include "crypto/leaf_hash.h"
#include "foundation/queue.h"
#include "journal.h"
#include "keys/roster.h"
#include "vault/last_commit.h"
#include "own_past.h"
#include "packs/lists.h"
#include "packs/session.h"
#include "rate_limit.h"

namespace coppice::vault {
namespace {

// A chunk to hash (with its ticket), or a block to seal.
struct Job {
  SharedBytes chunk;
  ChunkTicketPtr ticket;
  PlainBlockPtr block;

  // Of the memory that may wait. Chunks that lie in one buffer share its cost.
  std::size_t cost() const {
    if (block) return kOverheadBytes + block->plain_bytes;
    return kOverheadBytes + (chunk.bytes.size() == chunk.owner->size() ? chunk.owner->capacity() : chunk.bytes.size());
  }
  static constexpr std::size_t kOverheadBytes = 4096;
};

// What a session with `memory_bytes` sets up.
struct Pipeline {
  IndexLimits index;
  PackerLimits packer;
  std::size_t waiting_bytes;   // of jobs
  unsigned threads;            // that hash and seal
  bool sequencer_helps;        // it hashes and seals as well
};

Pipeline plan_pipeline(const WriterOptions& options, bool first) {
  const IndexLimits index = IndexLimits::within(options.memory_bytes);
  const unsigned cores = options.workers ? options.workers : std::max(1u, std::thread::hardware_concurrency());
  // A worker's share: plaintext, compressed, sealed and decoded copies of one block, a compressor, and two chunks that wait for it.
  constexpr std::uint64_t kRoomyBytes = 160u << 20;
  const bool roomy = options.memory_bytes >= kRoomyBytes;
  const std::uint32_t block_bytes = roomy ? 4u << 20 : 2u << 20;
  const std::uint64_t worker_bytes = 4u * block_bytes + (10u << 20);
  const auto workers = static_cast<unsigned>(std::clamp<std::uint64_t>(options.memory_bytes / 2 / worker_bytes, 1, cores));
  const unsigned threads = std::max(1u, std::min(workers, cores - 1));
  // Besides: jobs that wait; what the block being filled keeps alive, its copies, and the buffer that is read into; a pack of trees and its block.
  const std::uint64_t waiting = options.memory_bytes / 16, tree_pack = roomy ? kTreePackBytes : kTreePackBytes / 2;
  const std::uint64_t taken = std::min(options.memory_bytes, workers * worker_bytes + waiting + kBlockKeepsBytesMax + format::kBlockPlainBytesMax +
                                                                 (4u << 20) + tree_pack + 2 * kTreeBlockBytes + index.filter_bytes + index.page_bytes);
  // Packs take the rest: one being filled, one waiting, one being stored, and where the store is slow, each thread has one that it cannot hand on.
  const std::uint64_t packs = 4 + threads;
  return {.index = index,
          .packer = {.data_pack_bytes = std::clamp<std::uint64_t>((options.memory_bytes - taken) / packs, 4u << 20, 32u << 20), .tree_pack_bytes = tree_pack,
                     .data_block_bytes = block_bytes, .compression_level = options.compression_level, .first = first, .verify = options.verify},
          .waiting_bytes = waiting, .threads = threads, .sequencer_helps = threads < workers};
}

format::Digest lineage_of(const Vault& vault, std::string_view name) {
  return crypto::Hmac(vault.keys().id_key->view()).mac(as_bytes(name));
}

crypto::Key random_key(platform::Entropy& entropy) {
  crypto::Key key;
  entropy.fill(key.writable());
  return key;
}

}  // namespace

// Threads: the sequencer (the caller), workers that hash and seal, one that stores packs. The sequencer and the workers push packs to the
// storing thread, the sequencer pushes jobs to the workers; nobody pushes backwards, so full queues cannot deadlock. A sequencer that finds
// the workers busy does a job itself instead of waiting: then there are as many busy threads as cores. With one more, two of them often
// wait for one core while the other idles.
struct WriterState {
  WriterState(const Vault& v, const WriterOptions& o, format::SessionId id, SessionSecret secret, OwnPast own_past, const Pipeline& pipeline,
              Journal j)
      : vault(v), options(o), session(id), id_mac(v.keys().id_key->view()), past(std::move(own_past)),
        index(v, std::move(past.runs), past.lost, pipeline.index),
        packer(v, std::move(secret), id, index, pipeline.packer, stats), jobs(pipeline.waiting_bytes), packs(1), journal(std::move(j)),
        records(v.store()), rate(o.rate_limit, o.cancel, failed) {
    if (pipeline.sequencer_helps) sequencers_hand.emplace(v.id(), pipeline.packer);
  }

  void fail_with(Error error) {
    {
      MutexLock lock(mutex);
      if (!failure) failure = std::move(error);
      failed.store(true, std::memory_order_release);
      progress.notify_all();
    }
    jobs.close();
    packs.close();
  }
  Result<> status() const {
    if (!failed.load(std::memory_order_acquire)) return {};
    MutexLock lock(mutex);
    return std::unexpected(*failure);
  }

  void work();
  void run(SealContext& context, Job job);
  void store();
  void hand_on(OpenPackPtr pack) {
    if (pack) packs.push(std::move(pack));
  }
  Result<> seal(SealContext& context, PlainBlockPtr block) {
    hand_on(TRY(packer.seal(context, std::move(block))));
    return {};
  }
  Result<> hash(SealContext& context, Job job);
  Result<> store_pack(OpenPack& pack);
  Result<> adopt(std::vector<Journal> orphans);
  Result<> flush();
  void finished_one() {
    MutexLock lock(mutex);
    --in_flight;
    if (in_flight == 0) progress.notify_all();
  }
  Result<> go_on() const {
    if (options.cancel && options.cancel->cancelled()) return fail(ErrorKind::kCancelled, "cancelled");
    return {};
  }
  // False when the writer has failed.
  bool submit(Job job) {
    {
      MutexLock lock(mutex);
      ++in_flight;
    }
    const std::size_t cost = job.cost();
    bool taken = false;
    if (sequencers_hand)
      while (!(taken = jobs.try_push(job, cost))) {
        std::optional<Job> other = jobs.try_pop();
        if (!other) break;   // empty by now, or closed
        run(*sequencers_hand, std::move(*other));
      }
    if (!taken) taken = jobs.push(std::move(job), cost);   // after the loop there is room: nobody else pushes
    if (!taken) finished_one();
    return taken;
  }
  // Waits until every job is done, or one has failed.
  void settle() {
    if (sequencers_hand)
      while (std::optional<Job> job = jobs.try_pop()) run(*sequencers_hand, std::move(*job));
    MutexLock lock(mutex);
    while (in_flight > 0 && !failure) progress.wait(mutex);
  }

  const Vault& vault;
  const WriterOptions options;
  const format::SessionId session;
  const crypto::LeafMac id_mac;
  format::Digest lineage{};
  OwnPast past;
  WriterStats stats;
  ChunkIndex index;
  BlockPacker packer;
  BoundedQueue<Job> jobs;
  BoundedQueue<OpenPackPtr> packs;
  format::ReferenceSet references;
  std::vector<Journal> adopted_journals;
  std::optional<SealContext> sequencers_hand;          // where the sequencer helps; its thread's

  mutable Mutex mutex;
  CondVar progress;
  std::uint64_t in_flight GUARDED_BY(mutex) = 0;       // jobs submitted and not finished
  std::optional<Error> failure GUARDED_BY(mutex);
  std::atomic<bool> failed{false};

  // Of the storing thread until it ends:
  Journal journal;
  coppice::packs::PackListWriter records;
  RateLimit rate;
  std::vector<std::jthread> threads;
};

void WriterState::work() {
  SealContext context(vault.id(), packer.limits());
  while (std::optional<Job> job = jobs.pop()) run(context, std::move(*job));
}

void WriterState::run(SealContext& context, Job job) {
  Result<> done;
  if (!failed) done = job.block ? seal(context, std::move(job.block)) : hash(context, std::move(job));
  if (!done) fail_with(std::move(done).error());
  finished_one();
}

Result<> WriterState::hash(SealContext& context, Job job) {
  format::ChunkRef& ref = job.ticket->ref_;
  const auto length = static_cast<std::uint32_t>(job.chunk.bytes.size());
  const format::ChunkId id{id_mac.mac(job.chunk.bytes)};
  ++stats.chunks;
  if (const auto known = index.find(prefix_of(id), length)) {
    ref = {.id = id, .birth = known->birth, .index = known->index, .length = length};
    job.ticket->ready_.store(true, std::memory_order_release);
    return {};
  }
  BlockPacker::Placement placed = packer.place(format::PackKind::kData, id, std::move(job.chunk));
  ref = placed.ref;
  job.ticket->ready_.store(true, std::memory_order_release);
  hand_on(std::move(placed.complete));
  if (placed.full) return seal(context, std::move(placed.full));
  return {};
}

void WriterState::store() {
  while (std::optional<OpenPackPtr> pack = packs.pop()) {
    if (failed) continue;
    if (Result<> stored = store_pack(**pack); !stored) fail_with(std::move(stored).error());
  }
}

// The pack is complete: nobody else touches it any more, and its lock is held for form's sake, never across a call that takes another.
Result<> WriterState::store_pack(OpenPack& open) {
  std::optional<packs::PackBuilder> taken;
  {
    MutexLock lock(open.mutex);
    taken.emplace(std::move(open.builder));
  }
  packs::PackBuilder& pack = *taken;
  const format::PackRecord record = pack.finish();
  const std::string name = format::pack_object(record.name);
  const storage::Pace pace = [this](std::size_t bytes) { rate.wait_for(bytes); };
  TRY(within(storage::put_or_confirm(vault.store(), name, pack.bytes(), rate.is_limited() ? pace : storage::Pace()), "storing a pack"));
  // From here the pack is durable: first the journal learns of it, then the index.
  TRY(journal.append({.pack = record, .chunks = pack.chunks()}));
  TRY(records.add(record));
  ++stats.packs;
  stats.bytes_stored += record.bytes;
  if (options.bytes_stored) *options.bytes_stored += record.bytes;
  TRY(index.add_stored(pack.chunks(), session));
  packer.give_back(pack.take_buffer());
  return {};
}

// Takes over what a dead session of ours had acknowledged: its packs are named by our commit, its chunks are found by our lookups. Its
// records move into our journal first, so that dying now loses nothing either. A session that died between its commit and the end of its
// journal, or while it adopted, leaves packs that a commit names already, or that stand in two journals.
Result<> WriterState::adopt(std::vector<Journal> orphans) {
  std::vector<format::PackName> names;
  for (Journal& orphan : orphans) {
    while (const std::optional<JournalRecord> record = TRY(orphan.next())) names.push_back(record->pack.name);
    orphan.rewind();
  }
  std::ranges::sort(names);
  std::vector<format::PackName> done = committed_among(vault, past, names);
  for (Journal& orphan : orphans) {
    while (const std::optional<JournalRecord> record = TRY(orphan.next())) {
      const format::PackName& name = record->pack.name;
      if (name.session.generation != session.generation) continue;
      const auto at = std::ranges::lower_bound(done, name);
      if (at != done.end() && *at == name) continue;
      const Result<std::uint64_t> size = vault.store().size(format::pack_object(name));
      if (!size || *size != record->pack.bytes) continue;
      TRY(journal.append(*record));
      done.insert(at, name);
      TRY(records.add(record->pack));
      stats.bytes_adopted += record->pack.bytes;
      for (const format::IndexEntry& entry : record->chunks) index.add_recent(entry);
      TRY(index.add_stored(record->chunks, session));
    }
    adopted_journals.push_back(std::move(orphan));
  }
  return {};
}

// Seals what is half full and waits until every pack is stored. Ends the threads.
Result<> WriterState::flush() {
  settle();   // a chunk still being hashed would begin another block after we took the half-full ones
  for (PlainBlockPtr& block : packer.take_partial()) submit({.chunk = {}, .ticket = nullptr, .block = std::move(block)});
  settle();
  if (!failed)
    for (OpenPackPtr& pack : packer.close_packs()) hand_on(std::move(pack));
  jobs.close();
  packs.close();
  threads.clear();   // joins
  return status();
}

Writer::Writer(std::unique_ptr<WriterState> state) : state_(std::move(state)) {}

Writer::~Writer() {
  if (!state_) return;
  state_->jobs.close();
  state_->packs.close();
  {
    // Whatever still waits in the queues is not wanted any more.
    MutexLock lock(state_->mutex);
    if (!state_->failure) state_->failure = Error(ErrorKind::kCancelled, "the session ended without a commit");
    state_->failed.store(true, std::memory_order_release);
  }
  state_->threads.clear();
}

Result<std::optional<Snapshot>> newest_of_lineage(const Vault& vault, std::string_view lineage_name) {
  if (!vault.keys().can_write()) return fail(ErrorKind::kDenied, "this key may not write to the vault: a writer's, reader's or owner's key is needed");
  return newest_of(vault, lineage_of(vault, lineage_name));
}

Result<std::unique_ptr<Writer>> Writer::begin(const Vault& vault, std::string_view lineage_name, WriterOptions options) {
  const keys::KeyBundle& keys = vault.keys();
  TRY(vault.may_write());
  TRY(vault.state_status());
  const format::Digest lineage = lineage_of(vault, lineage_name);
  OwnPast past = TRY(look_back(vault, lineage));

  std::vector<Journal> orphans = TRY(Journal::orphans(vault.state_directory(), keys.member));
  // Whether a revoked member may still claim is no question here: a claim made while the key was being removed takes its slot all the same.
  format::Roster everybody = vault.roster();
  for (format::Member& member : everybody.members) member.revoked_from.reset();
  packs::ClaimedSlot claimed = TRY(packs::claim_slot(
      vault.store(), past.after,
      [&](format::SessionId id) {
        format::Claim claim{.session = id, .kind = format::SessionKind::kWriter, .started = vault.clock().now()};
        vault.entropy().fill(claim.nonce);
        return keys::sign_envelope(format::kClaimMagic, vault.id(), format::encode_claim(claim), keys);
      },
      [&](format::SessionId id, ByteSpan object) -> Result<> {
        const keys::Signed claim = TRY(keys::verify_envelope(format::kClaimMagic, object, {vault.id(), keys.owner}, everybody, id));
        if (TRY(format::decode_claim(claim.body)).session != id) return fail(ErrorKind::kUnauthentic, "a claim of another slot stands here");
        return {};
      }));
  const format::SessionId session = claimed.session;
  std::ranges::move(claimed.notices, std::back_inserter(past.notices));

  const Pipeline pipeline = plan_pipeline(options, !past.previous);
  const crypto::Key ephemeral = random_key(vault.entropy());
  SessionSecret secret = TRY(SessionSecret::for_writer(vault.id(), keys.newest_epoch(), ephemeral));
  Journal journal = TRY(Journal::create(vault.state_directory(), keys.member, session));
  auto state = std::make_unique<WriterState>(vault, options, session, std::move(secret), std::move(past), pipeline, std::move(journal));
  state->lineage = lineage;
  TRY(within(state->adopt(std::move(orphans)), "adopting what an interrupted run had stored"));
  WriterState* s = state.get();
  for (unsigned i = 0; i < pipeline.threads; ++i) state->threads.emplace_back([s] { s->work(); });
  state->threads.emplace_back([s] { s->store(); });
  return std::unique_ptr<Writer>(new Writer(std::move(state)));
}

format::SessionId Writer::session() const { return state_->session; }
const std::optional<Snapshot>& Writer::previous() const { return state_->past.previous; }
bool Writer::previous_usable() const { return state_->past.previous_usable; }
const WriterStats& Writer::stats() const { return state_->stats; }
Result<> Writer::status() const { return state_->status(); }
void Writer::refer(const format::ChunkRef& ref) { state_->references.add(ref.birth); }

std::vector<std::string> Writer::notices() const {
  std::vector<std::string> all = state_->past.notices;
  std::ranges::copy(state_->index.notices(), std::back_inserter(all));
  return all;
}

Result<> Writer::put_data(SharedBytes chunk, ChunkTicketPtr ticket) {
  CHECK(!chunk.bytes.empty() && chunk.bytes.size() <= format::kChunkBytesMax);
  if (!state_->submit({.chunk = std::move(chunk), .ticket = std::move(ticket), .block = nullptr})) return state_->status();
  return {};
}

Result<format::ChunkRef> Writer::put_tree(ByteSpan page) {
  CHECK(!page.empty() && page.size() <= format::kTreeNodeBytesMax);
  WriterState& s = *state_;
  TRY(s.status());
  const format::ChunkId id{s.id_mac.mac(page)};
  ++s.stats.chunks;
  const auto length = static_cast<std::uint32_t>(page.size());
  format::ChunkRef ref;
  if (const auto known = s.index.find(prefix_of(id), length)) {
    ref = {.id = id, .birth = known->birth, .index = known->index, .length = length};
  } else {
    BlockPacker::Placement placed = s.packer.place(format::PackKind::kTree, id, share(to_bytes(page)));
    ref = placed.ref;
    s.hand_on(std::move(placed.complete));
    if (placed.full && !s.submit({.chunk = {}, .ticket = nullptr, .block = std::move(placed.full)})) return std::unexpected(s.status().error());
  }
  refer(ref);
  return ref;
}

Result<> Writer::drain() {
  WriterState& s = *state_;
  s.settle();
  return s.status();
}

Result<> Writer::suspend() { return state_->flush(); }

Result<Snapshot> Writer::commit(format::SnapshotBody body) {
  WriterState& s = *state_;
  const std::uint64_t began = s.vault.clock().monotonic_ns();
  TRY(s.flush());
  TRY(s.go_on());
  TRY(s.index.flush(s.session));
  const format::PackList pack_list = TRY(s.records.finish());

  // The reference list: leaves, then the root that names them.
  std::vector<format::Digest> leaves;
  for (const Bytes& leaf : format::encode_reference_leaves(s.references))
    leaves.push_back(TRY(within(packs::put_list_page(s.vault.store(), leaf), "storing the reference list")));
  const format::Digest root = TRY(within(packs::put_list_page(s.vault.store(), format::encode_reference_root(leaves)), "storing the reference list"));

  body.finished = s.vault.clock().now();
  body.duration_ms += (s.vault.clock().monotonic_ns() - began) / 1'000'000;   // with a rate, most of a run may be spent here
  body.added_plain = s.stats.bytes_new;
  body.added_stored = s.stats.bytes_stored + s.stats.bytes_adopted;
  TRY(within(format::check_snapshot_body(body), "recording the snapshot"));
  const Bytes plain_body = format::encode_snapshot_body(body);
  format::ChunkTable table;
  for (std::size_t at = 0; at < plain_body.size(); at += format::kChunkBytesMax) {
    const ByteSpan part = ByteSpan(plain_body).subspan(at, std::min<std::size_t>(format::kChunkBytesMax, plain_body.size() - at));
    table.chunks.push_back({.id = {s.id_mac.mac(part)}, .length = static_cast<std::uint32_t>(part.size())});
  }
  if (table.chunks.size() != 1) return fail(ErrorKind::kInvalid, "the sources, tags and excludes together are too long to record");
  const crypto::Key ephemeral = random_key(s.vault.entropy());
  const SessionSecret secret = TRY(SessionSecret::for_writer(s.vault.id(), s.vault.keys().newest_epoch(), ephemeral));
  std::array<std::byte, 32> random;
  s.vault.entropy().fill(random);
  crypto::Aead aead;
  format::Commit commit{.session = s.session, .lineage = s.lineage, .sequence = 1, .claimed_time = body.finished, .list_root = root,
                        .packs = pack_list, .runs = s.index.written(), .superseded = s.index.superseded()};
  if (const auto& previous = s.past.previous) {
    commit.sequence = previous->commit.sequence + 1;
    commit.previous = previous->commit_hash;
    commit.previous_session = previous->session;
  }
  Bytes encoded_table;
  format::encode_chunk_table(table, encoded_table);
  commit.sealed_body.resize(sealed_block_bytes(encoded_table.size(), plain_body.size()));
  seal_block(secret, crypto::preferred_suite(), s.vault.id(), aead, random, format::BlockType::kSnapshot, snapshot_birth(s.session), encoded_table,
             plain_body, commit.sealed_body);

  const Bytes object = keys::sign_envelope(format::kCommitMagic, s.vault.id(), format::encode_commit(commit), s.vault.keys());
  TRY(s.go_on());
  TRY(s.vault.still_counts(s.session, object));   // a commit that counts nowhere would be told as damage for ever
  TRY(within(storage::put_or_confirm(s.vault.store(), format::snapshot_object(s.session), object), "committing the snapshot"));
  TRY(s.vault.still_counts(s.session, object));

  remember_last_commit(s.vault, s.lineage, s.session, crypto::sha256(object));
  Bytes().swap(commit.sealed_body);
  for (Journal& journal : s.adopted_journals) journal.remove();
  s.journal.remove();
  Snapshot snapshot{.session = s.session, .commit_hash = crypto::sha256(object), .signer = s.vault.keys().member, .commit = std::move(commit), .body = std::move(body)};
  if (const format::Member* member = keys::find_member(s.vault.roster(), snapshot.signer)) snapshot.signer_name = member->name;
  snapshot.signer_role = s.vault.keys().role;
  return snapshot;
}

}  // namespace coppice::vault
