// A good encoding for every decoder of fuzz/decoders.h, from one seed.
#pragma once

#include "format/random_values.h"

namespace coppice::format {

template <class F>
Bytes made(F&& encode) {
  Bytes out;
  encode(out);
  return out;
}

// One good encoding for each decoder; `self_delimiting`: a shorter one is always refused.
struct Sample {
  std::string_view decoder;
  Bytes bytes;
  bool self_delimiting = true;
};

inline std::vector<Sample> samples(Random& random) {
  std::vector<Sample> all;
  all.push_back({"block_header", made([&](Bytes& out) {
                   out.resize(kBlockHeaderBytes);
                   encode_block_header(random_block_header(random), std::span<std::byte, kBlockHeaderBytes>(out.data(), kBlockHeaderBytes));
                 })});
  ChunkTable table = random_chunk_table(random);
  table.codec = Codec::kZstd;
  all.push_back({"chunk_table", made([&](Bytes& out) {
                   encode_chunk_table(table, out);
                   append(out, random.bytes(1));
                 })});
  all.push_back({"pack_directory", made([&](Bytes& out) {
                   const auto entries = random_pack_entries(random);
                   Writer(out).u32(entries.empty() ? 0 : static_cast<std::uint32_t>(entries.back().offset + entries.back().bytes));
                   encode_pack_directory(entries, out);
                 })});
  all.push_back({"pack_footer", made([&](Bytes& out) {
                   encode_pack_footer({1 + random.number32(kPackDirectoryBytesMax - 1), random.array<32>()}, out);
                 })});
  all.push_back({"index_header", made([&](Bytes& out) { encode_index_header(random_index_header(random), out); })});
  all.push_back({"index_page", made([&](Bytes& out) {
                   for (const IndexEntry& entry : random_index_page(random, 8)) encode_index_entry(entry, out);
                 }), false});
  ReferenceSet set = random_reference_set(random, 200);
  set.add(random.birth());
  all.push_back({"reference_leaf", encode_reference_leaves(set).front()});
  all.push_back({"reference_root", encode_reference_root({random.array<32>(), random.array<32>(), random.array<32>()})});
  all.push_back({"pack_page", encode_pack_page(random_pack_records(random, 20))});
  const Commit commit = random_commit(random);
  all.push_back({"envelope", encode_envelope(kCommitMagic, {encode_commit(commit), random.array<16>(), random.array<64>()})});
  all.push_back({"claim", encode_claim(random_claim(random))});
  all.push_back({"commit", encode_commit(commit)});
  all.push_back({"snapshot_body", encode_snapshot_body(random_snapshot_body(random))});
  all.push_back({"forget", encode_forget({random.session(), random.array<32>(), random.time()})});
  all.push_back({"generation", encode_empty_generation(random.number32())});
  all.push_back({"vault_description", encode_vault_description(random_vault_description(random)), false});
  all.push_back({"roster", encode_roster(random_roster(random))});
  all.push_back({"key_slot", encode_key_slot(random_key_slot(random))});
  LeafBuilder builder;
  all.push_back({"tree_leaf", encode(random_leaf(random, 12), builder)});
  all.push_back({"tree_index", encode_index_page(random_index_entries(random))});
  all.push_back({"extent_page", encode_extent_page(random_extent_page(random))});
  all.push_back({"object_name", to_bytes(as_bytes(pack_object(random.pack()))), false});
  return all;
}

}  // namespace coppice::format
