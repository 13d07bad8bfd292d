#include "support/corpus.h"

#include "fuzz/restore/decoders.h"

namespace coppice::restore {
namespace {

TEST(CorpusReplay, ExtendedAttributes) { testing::replay(fuzz::kDecoders); }

}  // namespace
}  // namespace coppice::restore
