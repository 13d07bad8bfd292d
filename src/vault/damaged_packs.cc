#include "vault/damaged_packs.h"

#include <algorithm>
#include <iterator>

#include "crypto/leaf_hash.h"
#include "packs/directory.h"
#include "platform/file.h"
#include "vault/reader.h"

namespace coppice::vault {
namespace {

constexpr std::size_t kListBytesMax = 4u << 20;

std::string path_of(const Vault& vault) { return platform::join_path(vault.state_directory(), "damaged-packs"); }

// One object's name a line.
Result<> write_list(const Vault& vault, const std::vector<format::PackName>& packs) {
  std::string text;
  for (const format::PackName& pack : packs) text += format::pack_object(pack) + "\n";
  return platform::write_file_durably(path_of(vault), as_bytes(text));
}

}  // namespace

std::vector<format::PackName> remembered_damaged_packs(const Vault& vault) {
  std::vector<format::PackName> packs;
  if (vault.state_directory().empty()) return packs;
  const Result<Bytes> read = platform::read_file(path_of(vault), kListBytesMax);
  if (!read) return packs;
  std::string_view text = as_text(*read);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (const auto pack = format::parse_pack_object(text.substr(0, end))) packs.push_back(*pack);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::ranges::sort(packs);
  const auto same = std::ranges::unique(packs);
  packs.erase(same.begin(), same.end());
  return packs;
}

Result<> remember_damaged_packs(const Vault& vault, std::vector<format::PackName> packs) {
  if (packs.empty() || vault.state_directory().empty()) return {};
  const std::vector<format::PackName> before = remembered_damaged_packs(vault);
  std::ranges::sort(packs);
  std::vector<format::PackName> all;
  std::ranges::set_union(before, packs, std::back_inserter(all));
  return write_list(vault, all);
}

void forget_damaged_packs(const Vault& vault, const std::vector<format::PackName>& packs) {
  if (packs.empty()) return;
  std::vector<format::PackName> left;
  std::ranges::set_difference(remembered_damaged_packs(vault), packs, std::back_inserter(left));
  (void)write_list(vault, left);
}

Result<> verify_pack(const Vault& vault, const format::PackRecord& record) {
  const packs::PackDirectory directory = TRY(packs::read_pack_directory(vault.store(), record.name));
  if (directory.bytes != record.bytes || directory.hash != record.hash) return fail(ErrorKind::kCorrupt, "it is not the pack that the commit names");
  std::unique_ptr<ChunkReader> reader;
  if (vault.keys().can_read()) reader = TRY(ChunkReader::create(vault, 0));
  Bytes block;
  for (const format::PackEntry& entry : directory.entries) {
    block.resize(entry.bytes);
    TRY(vault.store().get_range(format::pack_object(record.name), entry.offset, block));
    if (crypto::leaf_hash(block) != entry.hash) return fail(ErrorKind::kCorrupt, "the block's bytes are not those that the pack's directory names");
    if (!reader) continue;
    // What was sealed for an epoch that our key lacks is no damage.
    if (const auto verified = reader->verify_block(entry.birth, block); !verified && verified.error().kind() != ErrorKind::kDenied)
      return std::unexpected(verified.error());
  }
  return {};
}

}  // namespace coppice::vault
