// Every decoder of layer format. What one accepts must encode to the same bytes again: the encodings are canonical.
#pragma once

#include "format/block.h"
#include "format/index.h"
#include "format/keyring.h"
#include "format/pack.h"
#include "format/pack_list.h"
#include "format/reference_list.h"
#include "format/snapshot.h"
#include "format/tree.h"
#include "foundation/check.h"
#include "fuzz/named_decoder.h"

namespace coppice::format::fuzz {

inline bool block_header(ByteSpan in) {
  const auto header = decode_block_header(in);
  if (!header) return false;
  std::array<std::byte, kBlockHeaderBytes> out;
  encode_block_header(*header, out);
  CHECK(equal(out, in));
  return true;
}

inline bool chunk_table(ByteSpan in) {
  const auto decoded = decode_chunk_table(in);
  if (!decoded) return false;
  Bytes out;
  encode_chunk_table(decoded->table, out);
  CHECK(equal(out, in.first(decoded->table_bytes)));
  return true;
}

// u32 length of the blocks, then the directory.
inline bool pack_directory(ByteSpan in) {
  if (in.size() < 4) return false;
  const auto entries = decode_pack_directory(in.subspan(4), load_le<std::uint32_t>(in));
  if (!entries) return false;
  Bytes out;
  encode_pack_directory(*entries, out);
  CHECK(equal(out, in.subspan(4)));
  return true;
}

inline bool pack_footer(ByteSpan in) {
  const auto footer = decode_pack_footer(in);
  if (!footer) return false;
  Bytes out;
  encode_pack_footer(*footer, out);
  CHECK(equal(out, in));
  return true;
}

inline bool index_header(ByteSpan in) {
  const auto header = decode_index_header(in);
  if (!header) return false;
  Bytes out;
  encode_index_header(*header, out);
  CHECK(equal(out, in));
  return true;
}

inline bool index_page(ByteSpan in) {
  const auto entries = decode_index_page(in, static_cast<std::uint32_t>(in.size() / kIndexEntryBytes));
  if (!entries) return false;
  Bytes out;
  for (const IndexEntry& entry : *entries) encode_index_entry(entry, out);
  CHECK(equal(out, in));
  return true;
}

inline bool reference_leaf(ByteSpan in) {
  ReferenceSet set;
  if (!decode_reference_leaf(in, set)) {
    CHECK(set.packs().empty());
    return false;
  }
  const auto leaves = encode_reference_leaves(set);
  CHECK(leaves.size() == 1 && equal(leaves[0], in));
  return true;
}

inline bool reference_root(ByteSpan in) {
  const auto leaves = decode_reference_root(in);
  if (!leaves) return false;
  CHECK(equal(encode_reference_root(*leaves), in));
  return true;
}

inline bool pack_page(ByteSpan in) {
  const auto records = decode_pack_page(in);
  if (!records) return false;
  CHECK(equal(encode_pack_page(*records), in));
  return true;
}

inline bool envelope(ByteSpan in) {
  bool accepted = false;
  for (const auto magic : {kClaimMagic, kCommitMagic, kForgetMagic, kRosterMagic, kPlanMagic, kSealMagic}) {
    const auto envelope = decode_envelope(magic, in);
    if (!envelope) continue;
    CHECK(!accepted && equal(encode_envelope(magic, *envelope), in));
    accepted = true;
  }
  return accepted;
}

inline bool claim(ByteSpan in) {
  const auto claim = decode_claim(in);
  if (!claim) return false;
  CHECK(equal(encode_claim(*claim), in));
  return true;
}

inline bool commit(ByteSpan in) {
  const auto commit = decode_commit(in);
  if (!commit) return false;
  CHECK(equal(encode_commit(*commit), in));
  return true;
}

inline bool snapshot_body(ByteSpan in) {
  const auto body = decode_snapshot_body(in);
  if (!body) return false;
  CHECK(check_snapshot_body(*body).has_value());
  CHECK(equal(encode_snapshot_body(*body), in));
  return true;
}

inline bool forget(ByteSpan in) {
  const auto forget = decode_forget(in);
  if (!forget) return false;
  CHECK(equal(encode_forget(*forget), in));
  return true;
}

inline bool generation(ByteSpan in) {
  const auto generation = decode_empty_generation(in);
  if (!generation) return false;
  CHECK(equal(encode_empty_generation(*generation), in));
  return true;
}

// Text: white space and the order of keys are free, so only the value is compared.
inline bool vault_description(ByteSpan in) {
  const auto description = decode_vault_description(in);
  if (!description) return false;
  const auto again = decode_vault_description(encode_vault_description(*description));
  CHECK(again.has_value() && *again == *description);
  return true;
}

inline bool roster(ByteSpan in) {
  const auto roster = decode_roster(in);
  if (!roster) return false;
  CHECK(equal(encode_roster(*roster), in));
  return true;
}

inline bool key_slot(ByteSpan in) {
  const auto slot = decode_key_slot(in);
  if (!slot) return false;
  CHECK(equal(encode_key_slot(*slot), in));
  return true;
}

inline bool tree_leaf(ByteSpan in) {
  auto reader = LeafReader::open(in);
  if (!reader) return false;
  LeafBuilder builder;
  for (const ChunkRef& chunk : reader->chunks()) builder.add_chunk(chunk);
  Entry entry;
  for (;;) {
    const auto more = reader->next(entry);
    if (!more) {
      CHECK(!reader->next(entry));   // a broken page stays broken
      return false;
    }
    if (!*more) break;
    CHECK(check_entry(entry).has_value());
    builder.add_entry(entry);
  }
  CHECK(page_kind(in) == PageKind::kLeaf && builder.entries() == reader->count());
  CHECK(equal(builder.finish(), in));
  return true;
}

inline bool tree_index(ByteSpan in) {
  const auto entries = decode_index_page_entries(in);
  if (!entries) return false;
  CHECK(page_kind(in) == PageKind::kIndex && equal(encode_index_page(*entries), in));
  return true;
}

inline bool extent_page(ByteSpan in) {
  const auto page = decode_extent_page(in);
  if (!page) return false;
  CHECK(page_kind(in) == PageKind::kExtent && equal(encode_extent_page(*page), in));
  return true;
}

inline bool object_name(ByteSpan in) {
  const std::string_view name = as_text(in);
  bool accepted = false;
  if (const auto pack = parse_pack_object(name)) {
    CHECK(pack_object(*pack) == name);
    accepted = true;
  }
  if (const auto slot = parse_slot_object(name)) {
    CHECK(slot_object(*slot) == name);
    accepted = true;
  }
  if (const auto snapshot = parse_snapshot_object(name)) {
    CHECK(snapshot_object(*snapshot) == name);
    accepted = true;
  }
  return accepted;
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {
    {"block_header", block_header}, {"chunk_table", chunk_table}, {"pack_directory", pack_directory},
    {"pack_footer", pack_footer}, {"index_header", index_header}, {"index_page", index_page},
    {"reference_leaf", reference_leaf}, {"reference_root", reference_root}, {"pack_page", pack_page}, {"envelope", envelope},
    {"claim", claim}, {"commit", commit}, {"snapshot_body", snapshot_body},
    {"forget", forget}, {"generation", generation}, {"vault_description", vault_description},
    {"roster", roster}, {"key_slot", key_slot}, {"tree_leaf", tree_leaf},
    {"tree_index", tree_index}, {"extent_page", extent_page}, {"object_name", object_name},
};

}  // namespace coppice::format::fuzz
