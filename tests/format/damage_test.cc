// Whatever happens to an encoding, a decoder answers; and since every encoding is canonical, what it accepts is exactly what would
// be written for the value it returns (fuzz/decoders.h checks that), so no damage passes unseen as the undamaged value.

#include "format/random_values.h"
#include "fuzz/decoders.h"
#include "format/samples.h"

namespace coppice::format {
namespace {

bool accepts(std::string_view decoder, ByteSpan bytes) {
  for (const auto& named : fuzz::kDecoders)
    if (named.name == decoder) return named.accepts(bytes);
  ADD_FAILURE() << "no decoder " << decoder;
  return false;
}

TEST(Damage, EveryDecoderHasASample) {
  Random random;
  EXPECT_EQ(samples(random).size(), std::size(fuzz::kDecoders));
}

TEST(Damage, WhatIsWrittenIsAccepted) {
  for (int i = 0; i < 300; ++i) {
    WITH_SEED(i);
    Random random(i);
    for (const Sample& sample : samples(random)) EXPECT_TRUE(accepts(sample.decoder, sample.bytes)) << sample.decoder;
  }
}

TEST(Damage, TruncationAtEveryByteIsNoticed) {
  for (int i = 0; i < 10; ++i) {
    WITH_SEED(i);
    Random random(i);
    for (const Sample& sample : samples(random))
      for (std::size_t n = 0; n < sample.bytes.size(); ++n) {
        // A copy of its own, so that a sanitizer sees a read past the end.
        const Bytes cut(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(n));
        const bool accepted = accepts(sample.decoder, cut);
        EXPECT_FALSE(accepted && sample.self_delimiting) << sample.decoder << " cut at " << n;
      }
  }
}

TEST(Damage, BytesLeftOverAreNoticed) {
  Random random;
  for (Sample& sample : samples(random)) {
    if (sample.decoder == "chunk_table") continue;   // the payload follows
    sample.bytes.push_back(std::byte{'1'});
    EXPECT_FALSE(accepts(sample.decoder, sample.bytes) && sample.self_delimiting) << sample.decoder;
  }
}

TEST(Damage, AFlippedByteIsRefusedOrAnotherValue) {
  for (int i = 0; i < 5; ++i) {
    WITH_SEED(i);
    Random random(i);
    for (const Sample& sample : samples(random)) {
      Bytes bytes = sample.bytes;
      for (std::size_t at = 0; at < bytes.size(); ++at)
        for (const unsigned flip : {0x01u, 0x80u, 0xffu, static_cast<unsigned>(1 + random.below(255))}) {
          bytes[at] ^= std::byte(flip);
          accepts(sample.decoder, bytes);
          bytes[at] ^= std::byte(flip);
        }
    }
  }
}

TEST(Damage, ManyFlipsAndNoiseAreSurvived) {
  for (int i = 0; i < 200; ++i) {
    WITH_SEED(i);
    Random random(i);
    for (const Sample& sample : samples(random)) {
      Bytes bytes = sample.bytes;
      if (bytes.empty()) continue;
      for (std::uint64_t n = 1 + random.below(4); n > 0; --n) bytes[random.below(bytes.size())] = std::byte(random.bits());
      accepts(sample.decoder, bytes);
      accepts(sample.decoder, random.bytes(random.below(200)));
    }
  }
}

}  // namespace
}  // namespace coppice::format
