#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::policy::fuzz::duration)
