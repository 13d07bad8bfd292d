#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::capture::fuzz::state_head)
