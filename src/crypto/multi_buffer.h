// Intel's multi-buffer library (libipsec-mb, amd64): hashes many lanes at a time, and enciphers with the vector AES that OpenSSL 3.0 does
// not use. What it computes is what OpenSSL computes; it is for what is long.
#pragma once

#ifdef COPPICE_HAS_IPSEC_MB
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

namespace coppice::crypto {

// This thread's manager, made at the first call; null on a processor that is too old for the library. It holds parts of what it works on
// and is wiped when the thread ends.
IMB_MGR* multi_buffer_manager();

}  // namespace coppice::crypto
#endif
