#include "decoders.h"

COPPICE_FUZZ_TARGET(coppice::capture::fuzz::directory_record)
