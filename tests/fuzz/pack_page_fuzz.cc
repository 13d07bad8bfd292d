#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::format::fuzz::pack_page)
