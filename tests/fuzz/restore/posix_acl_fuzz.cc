#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::restore::fuzz::posix_acl)
