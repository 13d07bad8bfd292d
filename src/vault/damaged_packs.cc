#include "vault/damaged_packs.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "packs/directory.h"
#include "platform/file.h"
#include "vault/reader.h"

namespace coppice::vault {
namespace {

constexpr std::size_t kPacksMax = 100'000, kListBytesMax = 4u << 20;   // a name is up to 38 bytes

std::string path_of(const Vault& vault) { return platform::join_path(vault.state_directory(), "damaged-packs"); }

// One object's name a line. kNotFound: nothing was ever remembered.
Result<std::vector<format::PackName>> read_list(const Vault& vault) {
  std::vector<format::PackName> packs;
  const Bytes read = TRY(platform::read_file(path_of(vault), kListBytesMax));
  std::string_view text = as_text(read);
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

// A check and a backup may both be at it.
Result<> change_list(const Vault& vault, const std::function<std::vector<format::PackName>(const std::vector<format::PackName>&)>& change) {
  const platform::Fd lock = TRY(platform::lock_directory(vault.state_directory()));
  Result<std::vector<format::PackName>> before = read_list(vault);
  if (!before && before.error().kind() != ErrorKind::kNotFound) return std::unexpected(std::move(before).error());
  std::vector<format::PackName> after = change(before ? *before : std::vector<format::PackName>());
  after.resize(std::min(after.size(), kPacksMax));   // the rest is found by the check after the mending of these
  std::string text;
  for (const format::PackName& pack : after) text += format::pack_object(pack) + "\n";
  return platform::write_file_durably(path_of(vault), as_bytes(text));
}

}  // namespace

std::vector<format::PackName> remembered_damaged_packs(const Vault& vault) {
  if (vault.state_directory().empty()) return {};
  return read_list(vault).value_or(std::vector<format::PackName>());
}

Result<> remember_damaged_packs(const Vault& vault, std::vector<format::PackName> packs) {
  if (packs.empty() || vault.state_directory().empty()) return {};
  std::ranges::sort(packs);
  return change_list(vault, [&](const std::vector<format::PackName>& before) {
    std::vector<format::PackName> all;
    std::ranges::set_union(before, packs, std::back_inserter(all));
    return all;
  });
}

void forget_damaged_packs(const Vault& vault, const std::vector<format::PackName>& packs) {
  if (packs.empty()) return;
  (void)change_list(vault, [&](const std::vector<format::PackName>& before) {
    std::vector<format::PackName> left;
    std::ranges::set_difference(before, packs, std::back_inserter(left));
    return left;
  });
}

Result<> verify_pack(const Vault& vault, const format::PackRecord& record) {
  const packs::PackDirectory directory = TRY(packs::read_pack_directory(vault.store(), record));
  std::unique_ptr<ChunkReader> reader;
  if (vault.keys().can_read()) reader = TRY(ChunkReader::create(vault, 0));
  Bytes block;
  for (const format::PackEntry& entry : directory.entries) {
    block.resize(entry.bytes);
    TRY(vault.store().get_range(format::pack_object(record.name), entry.offset, block));
    // What was sealed for an epoch that our key lacks is no damage.
    if (const auto verified = verify_block(reader.get(), entry, block); !verified && verified.error().kind() != ErrorKind::kDenied)
      return std::unexpected(verified.error());
  }
  return {};
}

}  // namespace coppice::vault
