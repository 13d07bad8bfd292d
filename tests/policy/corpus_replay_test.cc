#include "support/corpus.h"

#include "fuzz/policy/decoders.h"

namespace coppice::policy {
namespace {

TEST(CorpusReplay, EveryPatternFileAgainstItsPath) { testing::replay(fuzz::kDecoders); }

}  // namespace
}  // namespace coppice::policy
