#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::foundation_fuzz::size)
