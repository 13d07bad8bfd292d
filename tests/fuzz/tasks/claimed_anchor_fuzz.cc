#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::tasks::fuzz::claimed_anchor)
