#include "index_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>

#include "crypto/hash.h"

namespace coppice::vault {
namespace {

using format::IndexEntry;
using format::IndexHeader;
using format::kIndexEntryBytes;
using format::kIndexFilterPageBytes;
using format::kIndexHeaderBytes;
using format::kIndexPageEntries;

constexpr std::size_t kSealedFilterPage = kIndexFilterPageBytes + crypto::kAeadTagBytes;
constexpr std::size_t kSealedEntryPage = std::size_t{kIndexPageEntries} * kIndexEntryBytes + crypto::kAeadTagBytes;
constexpr std::size_t kPagesCached = 32;   // half a megabyte a run

// Seals and opens the pages of one run.
class PageCipher {
 public:
  PageCipher(const format::VaultId& vault, const crypto::Key& index_key, const IndexHeader& header) : suite_(static_cast<crypto::Suite>(header.suite)) {
    Bytes info = to_bytes(as_bytes("coppice 1 index"));
    format::Writer w(info);
    w.u32(header.session.generation);
    w.u32(header.session.slot);
    w.u32(header.number);
    crypto::hkdf(index_key.view(), header.salt, info, key_.writable());
    append(associated_, vault);
    format::encode_index_header(header, associated_);
  }
  void seal(std::uint64_t page, ByteSpan plain, Bytes& out) {
    const std::size_t at = out.size();
    out.resize(at + plain.size() + crypto::kAeadTagBytes);
    aead_.seal(suite_, key_.view(), nonce(page), associated_, plain, MutableByteSpan(out).subspan(at));
  }
  Result<Bytes> open(std::uint64_t page, ByteSpan sealed) {
    Bytes plain(sealed.size() - crypto::kAeadTagBytes);
    TRY(aead_.open(suite_, key_.view(), nonce(page), associated_, sealed, plain));
    return plain;
  }

 private:
  static std::array<std::byte, crypto::kAeadNonceBytes> nonce(std::uint64_t page) {
    std::array<std::byte, crypto::kAeadNonceBytes> n{};
    store_le<std::uint64_t>(n, 0, page);
    return n;
  }
  crypto::Suite suite_;
  crypto::Key key_;
  Bytes associated_;
  crypto::Aead aead_;
};

std::uint32_t entry_pages(std::uint64_t entries) { return static_cast<std::uint32_t>((entries + kIndexPageEntries - 1) / kIndexPageEntries); }
std::uint32_t entries_in_page(std::uint64_t entries, std::uint32_t page) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(kIndexPageEntries, entries - std::uint64_t{page} * kIndexPageEntries));
}
std::uint64_t entry_page_offset(const IndexHeader& header, std::uint32_t page) {
  return kIndexHeaderBytes + std::uint64_t{header.filter_pages} * kSealedFilterPage + std::uint64_t{page} * kSealedEntryPage;
}
std::uint64_t run_bytes(const IndexHeader& header) {
  const std::uint32_t pages = entry_pages(header.entries);
  return entry_page_offset(header, pages - 1) + std::uint64_t{entries_in_page(header.entries, pages - 1)} * kIndexEntryBytes + crypto::kAeadTagBytes;
}

}  // namespace

Bytes build_index_run(const format::VaultId& vault, const crypto::Key& index_key, format::SessionId session, std::uint32_t number,
                      ByteSpan salt, const std::vector<IndexEntry>& entries) {
  CHECK(!entries.empty() && entries.size() <= kRunEntriesMax);
  IndexHeader header{.suite = static_cast<std::uint8_t>(crypto::preferred_suite()), .session = session, .number = number,
                     .entries = entries.size(), .filter_pages = format::index_filter_pages(entries.size())};
  std::ranges::copy(salt, header.salt.begin());
  PageCipher cipher(vault, index_key, header);
  Bytes out;
  out.reserve(run_bytes(header));
  format::encode_index_header(header, out);

  Bytes filter(std::size_t{header.filter_pages} * kIndexFilterPageBytes, std::byte{0});
  for (const IndexEntry& e : entries) format::index_filter_add(filter, e.prefix);
  std::uint64_t page_number = 0;
  for (std::uint32_t p = 0; p < header.filter_pages; ++p)
    cipher.seal(page_number++, ByteSpan(filter).subspan(std::size_t{p} * kIndexFilterPageBytes, kIndexFilterPageBytes), out);
  Bytes page;
  for (std::size_t at = 0; at < entries.size(); at += kIndexPageEntries) {
    page.clear();
    for (std::size_t i = at; i < std::min<std::size_t>(entries.size(), at + kIndexPageEntries); ++i) format::encode_index_entry(entries[i], page);
    cipher.seal(page_number++, page, out);
  }
  CHECK(out.size() == run_bytes(header));
  return out;
}

struct IndexRun::State {
  State(storage::ObjectStore& s, const format::VaultId& v, const crypto::Key& key, const format::RunRecord& r, const IndexHeader& h)
      : store(s), record(r), header(h), cipher(v, key, h), name(format::index_object(r.session, r.number)) {}

  // The entries of one page, from the cache or the store.
  Result<std::shared_ptr<const std::vector<IndexEntry>>> page(std::uint32_t number) REQUIRES(mutex) {
    for (auto it = cache.begin(); it != cache.end(); ++it)
      if (it->first == number) {
        cache.splice(cache.begin(), cache, it);
        return cache.front().second;
      }
    const std::uint32_t count = entries_in_page(header.entries, number);
    Bytes sealed(std::size_t{count} * kIndexEntryBytes + crypto::kAeadTagBytes);
    TRY(within(store.get_range(name, entry_page_offset(header, number), sealed), name));
    const Bytes plain = TRY(within(cipher.open(std::uint64_t{header.filter_pages} + number, sealed), name));
    auto entries = std::make_shared<const std::vector<IndexEntry>>(TRY(within(format::decode_index_page(plain, count), name)));
    cache.emplace_front(number, entries);
    if (cache.size() > kPagesCached) cache.pop_back();
    return entries;
  }

  storage::ObjectStore& store;
  const format::RunRecord record;
  const IndexHeader header;
  Mutex mutex;
  PageCipher cipher GUARDED_BY(mutex);
  const std::string name;
  Bytes filter;
  std::list<std::pair<std::uint32_t, std::shared_ptr<const std::vector<IndexEntry>>>> cache GUARDED_BY(mutex);
};

IndexRun::IndexRun(std::unique_ptr<State> state) : state_(std::move(state)) {}
IndexRun::~IndexRun() = default;
const format::RunRecord& IndexRun::record() const { return state_->record; }
std::uint32_t IndexRun::pages() const { return entry_pages(state_->header.entries); }

Result<std::unique_ptr<IndexRun>> IndexRun::open(storage::ObjectStore& store, const format::VaultId& vault, const crypto::Key& index_key,
                                                 const format::RunRecord& record) {
  const std::string name = format::index_object(record.session, record.number);
  Bytes head(kIndexHeaderBytes);
  TRY(within(store.get_range(name, 0, head), name));
  const IndexHeader header = TRY(within(format::decode_index_header(head), name));
  if (header.session != record.session || header.number != record.number || header.entries != record.entries || run_bytes(header) != record.bytes)
    return fail(ErrorKind::kCorrupt, name + ": this index run is not the one that its commit names");
  if (header.suite != static_cast<std::uint8_t>(crypto::Suite::kAes256Gcm) && header.suite != static_cast<std::uint8_t>(crypto::Suite::kChaCha20Poly1305))
    return fail(ErrorKind::kUnsupported, name + ": sealed with an unknown cipher suite");
  auto state = std::make_unique<State>(store, vault, index_key, record, header);
  Bytes sealed(std::size_t{header.filter_pages} * kSealedFilterPage);
  TRY(within(store.get_range(name, kIndexHeaderBytes, sealed), name));
  MutexLock lock(state->mutex);
  for (std::uint32_t p = 0; p < header.filter_pages; ++p)
    append(state->filter, TRY(within(state->cipher.open(p, ByteSpan(sealed).subspan(p * kSealedFilterPage, kSealedFilterPage)), name)));
  return std::unique_ptr<IndexRun>(new IndexRun(std::move(state)));
}

Result<std::optional<IndexEntry>> IndexRun::find(const std::array<std::byte, 16>& prefix) {
  State& s = *state_;
  if (!s.filter.empty() && !format::index_filter_may_contain(s.filter, prefix)) return std::optional<IndexEntry>();
  // Prefixes are uniform, so a prefix's share of the number space says where it lies, give or take a page; from there step.
  std::uint64_t high = 0;
  for (int i = 0; i < 8; ++i) high = high << 8 | static_cast<std::uint64_t>(prefix[i]);
  const std::uint32_t pages = this->pages();
  std::uint32_t low_page = 0, high_page = pages - 1;
  auto guess = static_cast<std::uint32_t>((static_cast<long double>(high) / 18446744073709551616.0L) * pages);
  guess = std::min(guess, pages - 1);
  MutexLock lock(s.mutex);
  while (low_page <= high_page) {
    const auto entries = TRY(s.page(guess));
    if (prefix < entries->front().prefix) {
      if (guess == low_page) return std::optional<IndexEntry>();
      high_page = guess - 1;
      guess = std::max(low_page, guess - 1);
    } else if (prefix > entries->back().prefix) {
      if (guess == high_page) return std::optional<IndexEntry>();
      low_page = guess + 1;
      guess = low_page;
    } else {
      const auto it = std::ranges::lower_bound(*entries, prefix, {}, &IndexEntry::prefix);
      if (it != entries->end() && it->prefix == prefix) return std::optional<IndexEntry>(*it);
      return std::optional<IndexEntry>();
    }
  }
  return std::optional<IndexEntry>();
}

Result<std::vector<IndexEntry>> IndexRun::read_page(std::uint32_t page) {
  MutexLock lock(state_->mutex);
  return *TRY(state_->page(page));
}

}  // namespace coppice::vault
