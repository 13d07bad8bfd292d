// COPPICE_REWRITE_GOLDEN=1 writes the seed anew.
#include "support/corpus.h"

#include "fuzz/capture/decoders.h"
#include "support/temp_directory.h"

namespace coppice::capture {
namespace {

// A record with something in each of its fields.
std::string seed_record() {
  testing::TempDirectory directory;
  auto writer = StateWriter::create(directory / "state", crypto::Key(), platform::system_entropy()).value();
  const format::ChunkRef page{.birth = {.pack = {.session = {0, 3}, .kind = format::PackKind::kTree, .sequence = 1}, .ordinal = 2}, .index = 1, .length = 900};
  write_directory_record(writer, {.node = page, .pages = {page}, .leaves = {{.offset = 5, .bytes = 900, .entries = 3}}, .children = {0, 77},
                                  .extents = {{.name = "huge", .births = {page.birth}}}});
  const std::uint64_t bytes = writer.finish().value();
  const auto reader = StateReader::open(directory / "state", crypto::Key(), bytes).value();
  std::string record(bytes, '\0');
  EXPECT_TRUE(reader->read(0, {reinterpret_cast<std::byte*>(record.data()), record.size()}).has_value());
  return record;
}

TEST(CorpusReplay, EveryRecordOfASourceState) {
  if (std::getenv("COPPICE_REWRITE_GOLDEN")) {
    std::filesystem::create_directories(testing::kTests / "fuzz/corpus/directory_record");
    std::ofstream(testing::kTests / "fuzz/corpus/directory_record/seed-0", std::ios::binary) << seed_record();
    std::filesystem::create_directories(testing::kTests / "fuzz/corpus/state_head");
    std::ofstream(testing::kTests / "fuzz/corpus/state_head/seed-0", std::ios::binary)
        << as_text(encode_state_head({.body = "source-0.1", .stream_bytes = 900, .root_record = 1, .started = {1795334400, 5}, .files = 3, .bytes = 77}));
    GTEST_SKIP() << "wrote the seed instead of reading it";
  }
  testing::replay(fuzz::kDecoders);
}

}  // namespace
}  // namespace coppice::capture
