#include "foundation/check.h"

#include <cstdio>
#include <cstdlib>

namespace coppice::detail {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "coppice: internal error: %s is not true (%s:%d); stopping before anything wrong is written\n",
               expression, file, line);
  std::abort();
}

}  // namespace coppice::detail
