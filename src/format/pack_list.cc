#include "format/pack_list.h"

#include "codec_internal.h"
#include "list_page_internal.h"

namespace coppice::format {

Bytes encode_pack_page(const std::vector<PackRecord>& records) {
  CHECK(!records.empty() && records.size() <= kPackPageRecordsMax);
  Bytes page;
  Writer w(page);
  encode_list_head(w, ListPageKind::kPacks);
  w.varint(records.size());
  const PackRecord* previous = nullptr;
  for (const PackRecord& record : records) {
    CHECK(record.name.sequence <= kPackSequenceMax && record.bytes <= kPackBytesMax);
    CHECK(!previous || previous->name < record.name);
    put_pack_name(w, record.name);
    w.varint(record.bytes);
    w.bytes(record.hash);
    previous = &record;
  }
  return page;
}

Result<std::vector<PackRecord>> decode_pack_page(ByteSpan page) {
  Decoder d("pack list page", page);
  decode_list_head(d, ListPageKind::kPacks);
  const std::uint64_t count = d.count(kPackPageRecordsMax, kPackRecordBytesMin);
  d.rule(count >= 1, "it holds no pack");
  std::vector<PackRecord> records;
  records.reserve(count);
  for (std::uint64_t i = 0; i < count && !d.going_wrong(); ++i) {
    PackRecord record;
    record.name = decode_pack_name(d);
    record.bytes = d.varint_max(kPackBytesMax);
    record.hash = d.array<32>();
    d.rule(i == 0 || records.back().name < record.name, "its packs are not in strict order");
    records.push_back(record);
  }
  TRY(d.complete());
  return records;
}

}  // namespace coppice::format
