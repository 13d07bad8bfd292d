#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::vault::fuzz::index_run)
