#include "packs/lists.h"

#include <algorithm>
#include <utility>

#include "crypto/hash.h"

namespace coppice::packs {

Result<format::Digest> put_list_page(storage::ObjectStore& store, ByteSpan page) {
  const format::Digest hash = crypto::sha256(page);
  const std::string object = format::list_object(hash);
  Result<> put = storage::put_or_confirm(store, object, page);
  if (!put && put.error().kind() == ErrorKind::kConflict) {
    const Result<Bytes> there = read_list_page(store, hash);
    if (!there) return fail(ErrorKind::kConflict, there.error().message() + ". Move it out of the vault and run again: it is then stored anew");
    return hash;
  }
  TRY(std::move(put));
  return hash;
}

Result<Bytes> read_list_page(storage::ObjectStore& store, const format::Digest& hash) {
  const std::string object = format::list_object(hash);
  Bytes page = TRY(store.get(object, format::kControlObjectBytesMax));
  if (crypto::sha256(page) != hash) return fail(ErrorKind::kCorrupt, object + ": its bytes are not those that its name says");
  return page;
}

Result<std::vector<format::PackRecord>> read_pack_page(storage::ObjectStore& store, const format::Digest& hash) {
  return within(format::decode_pack_page(TRY(read_list_page(store, hash))), format::list_object(hash));
}

Result<> read_pack_list(storage::ObjectStore& store, const format::PackList& list,
                        const std::function<Result<>(const std::vector<format::PackRecord>&)>& each) {
  std::uint64_t packs = 0, bytes = 0;
  for (const format::Digest& page : list.pages) {
    const std::vector<format::PackRecord> records = TRY(read_pack_page(store, page));
    packs += records.size();
    for (const format::PackRecord& record : records) bytes += record.bytes;
    TRY(each(records));
  }
  if (packs != list.packs || bytes != list.bytes)
    return fail(ErrorKind::kCorrupt, "the pages of its pack list hold other packs than it says");
  return {};
}

Result<> read_reference_list(storage::ObjectStore& store, const format::Digest& root,
                             const std::function<Result<>(const format::ReferenceSet&)>& each) {
  const Bytes page = TRY(read_list_page(store, root));
  const std::vector<format::Digest> leaves = TRY(within(format::decode_reference_root(page), format::list_object(root)));
  for (const format::Digest& hash : leaves) {
    format::ReferenceSet set;
    TRY(within(format::decode_reference_leaf(TRY(read_list_page(store, hash)), set), format::list_object(hash)));
    TRY(each(set));
  }
  return {};
}

Result<> PackListWriter::add(const format::PackRecord& record) {
  records_.push_back(record);
  ++list_.packs;
  list_.bytes += record.bytes;
  if (records_.size() < format::kPackPageRecordsMax) return {};
  return put_page();
}

Result<> PackListWriter::put_page() {
  if (list_.pages.size() == format::kPackPagesMax)
    return fail(ErrorKind::kInvalid, "one session cannot store that many packs: back up its parts as sources of their own");
  std::ranges::sort(records_, {}, &format::PackRecord::name);
  list_.pages.push_back(TRY(within(put_list_page(store_, format::encode_pack_page(records_)), "storing the list of packs")));
  records_.clear();
  return {};
}

Result<format::PackList> PackListWriter::finish() {
  if (!records_.empty()) TRY(put_page());
  return std::move(list_);
}

}  // namespace coppice::packs
