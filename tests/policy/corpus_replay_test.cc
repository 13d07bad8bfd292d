#include "support/corpus.h"

#include "fuzz/policy/decoders.h"

namespace coppice::policy {
namespace {

TEST(CorpusReplay, PatternFilesConfigurationsAndCalendars) { testing::replay(fuzz::kDecoders); }

}  // namespace
}  // namespace coppice::policy
