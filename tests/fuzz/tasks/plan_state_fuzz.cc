#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::tasks::fuzz::plan_state)
