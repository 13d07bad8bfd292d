#include "support/corpus.h"

#include "fuzz/tasks/decoders.h"

namespace coppice::tasks {
namespace {

TEST(CorpusReplay, PlansSnapshotsAndVaultsByName) { testing::replay(fuzz::kDecoders); }

}  // namespace
}  // namespace coppice::tasks
