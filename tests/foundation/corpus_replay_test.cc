#include "support/corpus.h"

#include "fuzz/foundation/decoders.h"

namespace coppice {
namespace {

TEST(CorpusReplay, EveryTextThroughItsDecoder) { testing::replay(foundation_fuzz::kDecoders); }

}  // namespace
}  // namespace coppice
