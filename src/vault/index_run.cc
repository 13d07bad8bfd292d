#include "index_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/hash.h"

namespace coppice::vault {
namespace {

using format::IndexEntry;
using format::IndexHeader;
using format::kIndexFilterPageBytes;
using format::kIndexHeaderBytes;

constexpr std::size_t kHashBytes = 32;
using format::kIndexPageEntries;

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
  void seal(std::uint64_t page, ByteSpan plain, MutableByteSpan out) const {
    aead().seal(suite_, key_.view(), nonce(page), associated_, plain, out);
  }
  Result<Bytes> open(std::uint64_t page, ByteSpan sealed) const {
    Bytes plain(sealed.size() - crypto::kAeadTagBytes);
    TRY(aead().open(suite_, key_.view(), nonce(page), associated_, sealed, plain));
    return plain;
  }

 private:
  static std::array<std::byte, crypto::kAeadNonceBytes> nonce(std::uint64_t page) {
    std::array<std::byte, crypto::kAeadNonceBytes> n{};
    store_le<std::uint64_t>(n, 0, page);
    return n;
  }
  static crypto::Aead& aead() {
    thread_local crypto::Aead one;
    return one;
  }
  crypto::Suite suite_;
  crypto::Key key_;
  Bytes associated_;
};
static_assert(format::kIndexSealBytes == crypto::kAeadTagBytes);

}  // namespace

BuiltRun build_index_run(const format::VaultId& vault, const crypto::Key& index_key, format::SessionId session, std::uint32_t number,
                         ByteSpan salt, std::span<const IndexEntry> entries) {
  CHECK(!entries.empty() && entries.size() <= kRunEntriesMax);
  IndexHeader header{.suite = static_cast<std::uint8_t>(crypto::preferred_suite()), .session = session, .number = number,
                     .entries = entries.size(), .filter_pages = format::index_filter_pages(entries.size())};
  std::ranges::copy(salt, header.salt.begin());
  const PageCipher cipher(vault, index_key, header);
  const std::uint32_t pages = format::index_pages(header);
  const std::size_t head_bytes = kIndexHeaderBytes + format::index_directory_bytes(header);
  BuiltRun run;
  run.object.reserve(format::index_page_offset(header, pages));
  format::encode_index_header(header, run.object);
  run.object.resize(format::index_page_offset(header, pages));

  Bytes filter(std::size_t{header.filter_pages} * kIndexFilterPageBytes, std::byte{0});
  if (!filter.empty())
    for (const IndexEntry& e : entries) format::index_filter_add(filter, e.prefix);
  Bytes encoded;
  for (std::uint32_t page = 0; page < pages; ++page) {
    ByteSpan plain;
    if (page < header.filter_pages) {
      plain = ByteSpan(filter).subspan(std::size_t{page} * kIndexFilterPageBytes, kIndexFilterPageBytes);
    } else {
      encoded.clear();
      const std::size_t first = std::size_t{page - header.filter_pages} * kIndexPageEntries;
      for (const IndexEntry& e : entries.subspan(first, format::index_entries_in_page(header, page))) format::encode_index_entry(e, encoded);
      plain = encoded;
    }
    const MutableByteSpan sealed = MutableByteSpan(run.object).subspan(format::index_page_offset(header, page), format::index_page_bytes(header, page));
    cipher.seal(page, plain, sealed);
    std::ranges::copy(crypto::sha256(sealed), run.object.begin() + static_cast<std::ptrdiff_t>(kIndexHeaderBytes + std::size_t{page} * kHashBytes));
  }
  run.hash = crypto::sha256(ByteSpan(run.object).first(head_bytes));
  return run;
}

struct IndexRun::State {
  State(storage::ObjectStore& s, const format::VaultId& v, const crypto::Key& key, const format::RunRecord& r, const IndexHeader& h, IndexPages& p)
      : store(s), record(r), header(h), pages(p), cipher(v, key, h), name(format::index_object(r.session, r.number)) {}

  // A page as it is in the store, if it is the one that the directory names.
  Result<Bytes> open_page(std::uint32_t page, ByteSpan sealed) const {
    if (!equal(crypto::sha256(sealed), ByteSpan(directory).subspan(std::size_t{page} * kHashBytes, kHashBytes)))
      return fail(ErrorKind::kCorrupt, name + ": a page is not the one that its commit names");
    return within(cipher.open(page, sealed), name);
  }
  Result<std::vector<IndexEntry>> load(std::uint32_t page) const {
    Bytes sealed(format::index_page_bytes(header, page));
    TRY(store.get_range(name, format::index_page_offset(header, page), sealed));
    const Bytes plain = TRY(open_page(page, sealed));
    return within(format::decode_index_page(plain, format::index_entries_in_page(header, page)), name);
  }

  storage::ObjectStore& store;
  const format::RunRecord record;
  const IndexHeader header;
  IndexPages& pages;
  const PageCipher cipher;
  const std::string name;
  Bytes directory, filter;
};

IndexRun::IndexRun(std::unique_ptr<State> state) : state_(std::move(state)) {}
IndexRun::~IndexRun() = default;
const format::RunRecord& IndexRun::record() const { return state_->record; }
std::uint32_t IndexRun::entry_pages() const { return format::index_pages(state_->header) - state_->header.filter_pages; }
std::uint64_t IndexRun::memory() const { return state_->directory.size() + state_->filter.size(); }
std::uint64_t IndexRun::memory_of(const format::RunRecord& record) {
  const IndexHeader header{.entries = record.entries, .filter_pages = format::index_filter_pages(record.entries)};
  return std::uint64_t{header.filter_pages} * kIndexFilterPageBytes + format::index_directory_bytes(header);
}

Result<std::unique_ptr<IndexRun>> IndexRun::open(storage::ObjectStore& store, const format::VaultId& vault, const crypto::Key& index_key,
                                                 const format::RunRecord& record, IndexPages& pages) {
  const std::string name = format::index_object(record.session, record.number);
  const auto another = [&] { return fail(ErrorKind::kCorrupt, name + ": this index run is not the one that its commit names"); };
  Bytes head(kIndexHeaderBytes);
  TRY(store.get_range(name, 0, head));
  const IndexHeader header = TRY(within(format::decode_index_header(head), name));
  if (header.session != record.session || header.number != record.number || header.entries != record.entries || header.entries == 0 ||
      format::index_page_offset(header, format::index_pages(header)) != record.bytes)
    return another();
  if (header.suite != static_cast<std::uint8_t>(crypto::Suite::kAes256Gcm) && header.suite != static_cast<std::uint8_t>(crypto::Suite::kChaCha20Poly1305))
    return fail(ErrorKind::kUnsupported, name + ": sealed with an unknown cipher suite");
  auto state = std::make_unique<State>(store, vault, index_key, record, header, pages);
  state->directory.resize(format::index_directory_bytes(header));
  TRY(store.get_range(name, kIndexHeaderBytes, state->directory));
  if (crypto::sha256({ByteSpan(head), ByteSpan(state->directory)}) != record.hash) return another();
  if (header.filter_pages > 0) {
    const std::size_t sealed_bytes = format::index_page_bytes(header, 0);
    Bytes sealed(header.filter_pages * sealed_bytes);
    TRY(store.get_range(name, format::index_page_offset(header, 0), sealed));
    state->filter.reserve(std::size_t{header.filter_pages} * kIndexFilterPageBytes);
    for (std::uint32_t p = 0; p < header.filter_pages; ++p)
      append(state->filter, TRY(state->open_page(p, ByteSpan(sealed).subspan(p * sealed_bytes, sealed_bytes))));
  }
  return std::unique_ptr<IndexRun>(new IndexRun(std::move(state)));
}

Result<std::optional<IndexEntry>> IndexRun::find(const std::array<std::byte, 16>& prefix) {
  State& s = *state_;
  if (!s.filter.empty() && !format::index_filter_may_contain(s.filter, prefix)) return std::optional<IndexEntry>();
  // Prefixes are uniform, so a prefix's share of the number space says where it lies, give or take a page; from there step.
  std::uint64_t high = 0;
  for (int i = 0; i < 8; ++i) high = high << 8 | static_cast<std::uint64_t>(prefix[i]);
  const std::uint32_t pages = entry_pages();
  std::uint32_t low_page = 0, high_page = pages - 1;
  auto guess = static_cast<std::uint32_t>((static_cast<long double>(high) / 18446744073709551616.0L) * pages);
  guess = std::min(guess, pages - 1);
  while (low_page <= high_page) {
    const IndexPages::Handle entries =
        TRY(s.pages.get({s.record.session, s.record.number, guess}, [&]() -> Result<IndexPages::Made> {
          auto loaded = std::make_shared<const std::vector<IndexEntry>>(TRY(s.load(s.header.filter_pages + guess)));
          return IndexPages::Made{loaded, loaded->size() * sizeof(IndexEntry)};
        }));
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

Result<std::vector<IndexEntry>> IndexRun::read_page(std::uint32_t entry_page) const { return state_->load(state_->header.filter_pages + entry_page); }

}  // namespace coppice::vault
