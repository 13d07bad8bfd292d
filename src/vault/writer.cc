#include "vault/writer.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "block_packer.h"
#include "chunk_index.h"
#include "crypto/hash.h"
#include "crypto/leaf_hash.h"
#include "foundation/encoding.h"
#include "foundation/queue.h"
#include "journal.h"
#include "keys/roster.h"
#include "last_commit.h"
#include "packs/session.h"

namespace coppice::vault {
namespace {

// A chunk to hash (with its ticket), or a block to seal.
struct Job {
  SharedBytes chunk;
  ChunkTicketPtr ticket;
  PlainBlockPtr block;
};

format::Digest lineage_of(const Vault& vault, std::string_view name) {
  return crypto::Hmac(vault.keys().id_key->view()).mac(as_bytes(name));
}

const Snapshot* newest_in(const SnapshotList& list, const format::MemberId& writer, const format::Digest& lineage) {
  const Snapshot* newest = nullptr;
  for (const Snapshot& snapshot : list.snapshots)
    if (snapshot.signer == writer && snapshot.commit.lineage == lineage && (!newest || snapshot.commit.sequence > newest->commit.sequence)) newest = &snapshot;
  return newest;
}

crypto::Key random_key(platform::Entropy& entropy) {
  crypto::Key key;
  entropy.fill(key.writable());
  return key;
}

}  // namespace

// Threads: the sequencer (the caller), `workers` that hash and seal, one that stores packs. The sequencer and the workers push packs to the
// storing thread, the sequencer pushes jobs to the workers; nobody pushes backwards, so full queues cannot deadlock.
struct WriterState {
  WriterState(const Vault& v, const WriterOptions& o, format::SessionId id, SessionSecret secret, std::vector<format::RunRecord> runs,
              PackerLimits limits, unsigned worker_count, Journal j)
      : vault(v), options(o), session(id), id_mac(v.keys().id_key->view()), index(v, std::move(runs)),
        packer(v, std::move(secret), id, index, limits, stats), jobs(2 * worker_count + 8), packs(1), journal(std::move(j)) {}

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
  // False when the writer has failed.
  bool submit(Job job) {
    {
      MutexLock lock(mutex);
      ++in_flight;
    }
    if (jobs.push(std::move(job))) return true;
    finished_one();
    return false;
  }

  const Vault& vault;
  const WriterOptions options;
  const format::SessionId session;
  const crypto::LeafMac id_mac;
  format::Digest lineage{};
  std::optional<Snapshot> previous;
  std::vector<std::string> notices;
  WriterStats stats;
  ChunkIndex index;
  BlockPacker packer;
  BoundedQueue<Job> jobs;
  BoundedQueue<OpenPackPtr> packs;
  format::ReferenceSet references;
  std::vector<Journal> adopted_journals;

  mutable Mutex mutex;
  CondVar progress;
  std::uint64_t in_flight GUARDED_BY(mutex) = 0;       // jobs submitted and not finished
  std::optional<Error> failure GUARDED_BY(mutex);
  std::atomic<bool> failed{false};

  // Of the storing thread until it ends:
  Journal journal;
  std::vector<format::PackRecord> records;
  std::vector<std::jthread> threads;
};

void WriterState::work() {
  SealContext context(vault.id(), options.compression_level);
  while (std::optional<Job> job = jobs.pop()) {
    Result<> done;
    if (!failed) done = job->block ? seal(context, std::move(job->block)) : hash(context, std::move(*job));
    if (!done) fail_with(std::move(done).error());
    finished_one();
  }
}

Result<> WriterState::hash(SealContext& context, Job job) {
  format::ChunkRef& ref = job.ticket->ref_;
  const auto length = static_cast<std::uint32_t>(job.chunk.bytes.size());
  const format::ChunkId id{id_mac.mac(job.chunk.bytes)};
  ++stats.chunks;
  if (const auto known = index.find(prefix_of(id))) {
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
  const auto began = std::chrono::steady_clock::now();
  TRY(within(storage::put_or_confirm(vault.store(), name, pack.bytes()), "storing " + name));
  // From here the pack is durable: first the journal learns of it, then the index.
  TRY(journal.append({.pack = record, .chunks = pack.chunks()}));
  records.push_back(record);
  ++stats.packs;
  stats.bytes_stored += record.bytes;
  TRY(index.add_stored(pack.chunks(), session));
  if (options.rate_limit > 0) {
    const auto due = began + std::chrono::microseconds(record.bytes * 1'000'000 / options.rate_limit);
    while (!failed && std::chrono::steady_clock::now() < due) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  packer.give_back(pack.take_buffer());
  return {};
}

// Takes over what a dead session of ours had acknowledged: its packs are named by our commit, its chunks are found by our lookups. Its
// records move into our journal first, so that dying now loses nothing either.
Result<> WriterState::adopt(std::vector<Journal> orphans) {
  for (Journal& orphan : orphans) {
    for (JournalRecord& record : TRY(orphan.read())) {
      if (record.pack.name.session.generation != session.generation) continue;
      const Result<std::uint64_t> size = vault.store().size(format::pack_object(record.pack.name));
      if (!size || *size != record.pack.bytes) continue;
      if (std::ranges::any_of(records, [&](const auto& r) { return r.name == record.pack.name; })) continue;
      TRY(journal.append(record));
      records.push_back(record.pack);
      stats.bytes_adopted += record.pack.bytes;
      for (const format::IndexEntry& entry : record.chunks) index.add_recent(entry);
      TRY(index.add_stored(record.chunks, session));
    }
    adopted_journals.push_back(std::move(orphan));
  }
  return {};
}

// Seals what is half full and waits until every pack is stored. Ends the threads.
Result<> WriterState::flush() {
  const auto settle = [this] {
    MutexLock lock(mutex);
    while (in_flight > 0 && !failure) progress.wait(mutex);
  };
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
  const SnapshotList list = TRY(vault.snapshots(true));
  const Snapshot* newest = newest_in(list, vault.keys().member, lineage_of(vault, lineage_name));
  return newest ? std::optional<Snapshot>(*newest) : std::nullopt;
}

Result<std::unique_ptr<Writer>> Writer::begin(const Vault& vault, std::string_view lineage_name, WriterOptions options) {
  const keys::KeyBundle& keys = vault.keys();
  TRY(vault.may_write());

  // What this writer committed before: its runs may be used, its newest snapshot of this lineage is our base.
  const format::Digest lineage = lineage_of(vault, lineage_name);
  const SnapshotList before = TRY(vault.snapshots(true));
  std::vector<format::RunRecord> runs, superseded;
  const Snapshot* previous = newest_in(before, keys.member, lineage);
  for (const Snapshot& snapshot : before.snapshots) {
    if (snapshot.signer != keys.member) continue;
    runs.insert(runs.end(), snapshot.commit.runs.begin(), snapshot.commit.runs.end());
    superseded.insert(superseded.end(), snapshot.commit.superseded.begin(), snapshot.commit.superseded.end());
  }
  std::ranges::sort(superseded);
  std::erase_if(runs, [&](const format::RunRecord& run) { return std::ranges::binary_search(superseded, run); });

  std::vector<Journal> orphans = TRY(Journal::orphans(vault.state_directory(), keys.member));
  const format::SessionId session = TRY(packs::claim_slot(
      vault.store(), 0,
      [&](format::SessionId id) {
        format::Claim claim{.session = id, .kind = format::SessionKind::kWriter, .started = vault.clock().now()};
        vault.entropy().fill(claim.nonce);
        return keys::sign_envelope(format::kClaimMagic, vault.id(), format::encode_claim(claim), keys);
      },
      [&](format::SessionId id, ByteSpan object) -> Result<> {
        const keys::Signed claim = TRY(keys::verify_envelope(format::kClaimMagic, object, {vault.id(), keys.owner}, vault.roster(), id));
        if (TRY(format::decode_claim(claim.body)).session != id) return fail(ErrorKind::kUnauthentic, "a claim of another slot stands here");
        return {};
      }));

  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  // A worker's share: plaintext, compressed, sealed and decoded copies of one block, a compressor, and two chunks that wait for it; eight
  // more chunks wait for anybody. Packs take the rest: one being filled, one waiting, one being stored, two buffers kept.
  constexpr std::uint64_t kWorkerBytes = 18u << 20, kWaitingBytes = 8 * format::kChunkBytesMax;
  unsigned workers = options.workers ? options.workers : cores;
  workers = std::clamp<unsigned>(static_cast<unsigned>(options.memory_bytes / 2 / kWorkerBytes), 1, workers);
  const std::uint64_t taken = std::min(options.memory_bytes, workers * kWorkerBytes + kWaitingBytes);
  const PackerLimits limits{.data_pack_bytes = std::clamp<std::uint64_t>((options.memory_bytes - taken) / 5, 4u << 20, 32u << 20),
                            .compression_level = options.compression_level, .verify = options.verify};

  const crypto::Key ephemeral = random_key(vault.entropy());
  SessionSecret secret = TRY(SessionSecret::for_writer(vault.id(), keys.newest_epoch(), ephemeral));
  Journal journal = TRY(Journal::create(vault.state_directory(), keys.member, session));
  auto state = std::make_unique<WriterState>(vault, options, session, std::move(secret), std::move(runs), limits, workers, std::move(journal));
  state->lineage = lineage;
  if (previous) state->previous = *previous;
  if (auto notice = check_last_commit(vault, lineage, before)) state->notices.push_back(std::move(*notice));
  for (const BadSnapshot& bad : before.bad) state->notices.push_back(bad.object + ": " + bad.error.message());
  TRY(within(state->adopt(std::move(orphans)), "adopting what an interrupted run had stored"));
  WriterState* s = state.get();
  for (unsigned i = 0; i < workers; ++i) state->threads.emplace_back([s] { s->work(); });
  state->threads.emplace_back([s] { s->store(); });
  return std::unique_ptr<Writer>(new Writer(std::move(state)));
}

format::SessionId Writer::session() const { return state_->session; }
const std::optional<Snapshot>& Writer::previous() const { return state_->previous; }
const WriterStats& Writer::stats() const { return state_->stats; }
Result<> Writer::status() const { return state_->status(); }
void Writer::refer(const format::ChunkRef& ref) { state_->references.add(ref.birth); }

std::vector<std::string> Writer::notices() const {
  std::vector<std::string> all = state_->notices;
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
  format::ChunkRef ref;
  if (const auto known = s.index.find(prefix_of(id))) {
    ref = {.id = id, .birth = known->birth, .index = known->index, .length = static_cast<std::uint32_t>(page.size())};
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
  {
    MutexLock lock(s.mutex);
    while (s.in_flight > 0 && !s.failure) s.progress.wait(s.mutex);
  }
  return s.status();
}

Result<> Writer::suspend() { return state_->flush(); }

Result<Snapshot> Writer::commit(format::SnapshotBody body) {
  WriterState& s = *state_;
  TRY(s.flush());
  TRY(s.index.flush(s.session));

  // The reference list: leaves, then the root that names them.
  std::vector<format::Digest> leaves;
  const auto put_page = [&](const Bytes& page) -> Result<format::Digest> {
    const format::Digest hash = crypto::sha256(page);
    const Result<> put = s.vault.store().put(format::list_object(hash), page);
    // Named by content: one that is there is the same page (check compares them).
    if (!put && put.error().kind() != ErrorKind::kConflict) TRY(storage::put_or_confirm(s.vault.store(), format::list_object(hash), page));
    return hash;
  };
  for (const Bytes& leaf : format::encode_reference_leaves(s.references)) leaves.push_back(TRY(within(put_page(leaf), "storing the reference list")));
  const format::Digest root = TRY(within(put_page(format::encode_reference_root(leaves)), "storing the reference list"));

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
                        .packs = s.records, .runs = s.index.written(), .superseded = s.index.superseded()};
  if (s.previous) {
    commit.sequence = s.previous->commit.sequence + 1;
    commit.previous = s.previous->commit_hash;
    commit.previous_session = s.previous->session;
  }
  UnsealedBlock block;
  block.begin(format::BlockType::kSnapshot, snapshot_birth(s.session), table);
  append(block.bytes, plain_body);
  seal_block(secret, crypto::preferred_suite(), s.vault.id(), aead, random, block);
  commit.sealed_body = std::move(block.bytes);

  const Bytes object = keys::sign_envelope(format::kCommitMagic, s.vault.id(), format::encode_commit(commit), s.vault.keys());
  if (object.size() > format::kControlObjectBytesMax)
    return fail(ErrorKind::kInvalid, "this backup has too many packs for one snapshot: back up its parts as sources of their own");
  TRY(within(storage::put_or_confirm(s.vault.store(), format::snapshot_object(s.session), object), "committing the snapshot"));

  remember_last_commit(s.vault, s.lineage, s.session, crypto::sha256(object));
  for (Journal& journal : s.adopted_journals) journal.remove();
  s.journal.remove();
  Snapshot snapshot{.session = s.session, .commit_hash = crypto::sha256(object), .signer = s.vault.keys().member, .commit = std::move(commit), .body = std::move(body)};
  if (const format::Member* member = keys::find_member(s.vault.roster(), snapshot.signer)) snapshot.signer_name = member->name;
  return snapshot;
}

}  // namespace coppice::vault
