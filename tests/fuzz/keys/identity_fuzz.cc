#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::keys::fuzz::identity)
