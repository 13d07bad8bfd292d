// The records of a source state and its head, as they stand below the seal of its pages.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "directory_record.h"
#include "foundation/check.h"
#include "fuzz/named_decoder.h"

namespace coppice::capture::fuzz {

inline bool directory_record(ByteSpan in) {
  static const std::string path = [] {
    std::string directory = "/tmp/coppice-fuzz-XXXXXX";
    CHECK(mkdtemp(directory.data()) != nullptr);
    return directory + "/state";
  }();
  const crypto::Key key;
  {
    auto writer = StateWriter::create(path, key, platform::system_entropy());
    CHECK(writer.has_value());
    writer->append(in);
    CHECK(writer->finish().has_value());
  }
  const auto reader = StateReader::open(path, key, in.size());
  CHECK(reader.has_value());
  ::unlink(path.c_str());
  return read_directory_record(**reader, 1).has_value();
}

inline bool state_head(ByteSpan in) {
  const auto head = decode_state_head(in);
  if (!head) return false;
  CHECK(equal(encode_state_head(*head), in));
  return true;
}

inline constexpr coppice::fuzz::NamedDecoder kDecoders[] = {{"directory_record", directory_record}, {"state_head", state_head}};

}  // namespace coppice::capture::fuzz
