#include "packs/directory.h"

#include <fmt/format.h>

#include "crypto/hash.h"
#include "format/block.h"

namespace coppice::packs {
namespace {

Result<PackDirectory> read_named(storage::ObjectStore& store, const format::PackName& name, const std::string& object) {
  PackDirectory directory{.name = name};
  directory.bytes = TRY(store.size(object));
  if (directory.bytes < format::kPackFooterBytes + format::kBlockHeaderBytes)
    return fail(ErrorKind::kCorrupt, fmt::format("the pack is {} bytes long, too short to be one", directory.bytes));
  if (directory.bytes > format::kPackBytesMax)
    return fail(ErrorKind::kCorrupt,
                fmt::format("the pack is {} bytes long, more than a pack may be", directory.bytes));

  // The longest directory is 8 KiB: asking for that much at once saves a round trip and costs next to nothing.
  constexpr std::uint64_t kTailBytesMax = format::kPackFooterBytes + format::kPackDirectoryBytesMax;
  Bytes tail(std::min(directory.bytes, kTailBytesMax));
  TRY(store.get_range(object, directory.bytes - tail.size(), tail));
  const ByteSpan before_footer = ByteSpan(tail).first(tail.size() - format::kPackFooterBytes);
  const format::PackFooter footer = TRY(format::decode_pack_footer(ByteSpan(tail).last(format::kPackFooterBytes)));
  if (footer.directory_bytes > before_footer.size())
    return fail(ErrorKind::kCorrupt, "the footer names a directory that is too long");
  const ByteSpan encoded = before_footer.last(footer.directory_bytes);
  directory.hash = crypto::sha256(format::pack_hash_input(name, encoded));
  if (directory.hash != footer.hash)
    return fail(ErrorKind::kCorrupt, "the pack's directory does not match its footer and name");
  directory.entries =
      TRY(format::decode_pack_directory(encoded, directory.bytes - format::kPackFooterBytes - footer.directory_bytes));
  return directory;
}

}  // namespace

Result<PackDirectory> read_pack_directory(storage::ObjectStore& store, const format::PackName& name) {
  const std::string object = format::pack_object(name);
  return within(read_named(store, name, object), object);
}

Result<PackDirectory> read_pack_directory(storage::ObjectStore& store, const format::PackRecord& record) {
  PackDirectory directory = TRY(read_pack_directory(store, record.name));
  if (directory.bytes != record.bytes)
    return fail(ErrorKind::kCorrupt, fmt::format("the pack is {} bytes long instead of {}", directory.bytes, record.bytes));
  if (directory.hash != record.hash) return fail(ErrorKind::kCorrupt, "it is not the pack that the commit names");
  return directory;
}

}  // namespace coppice::packs
