// treemake [--locked] SEED DIR makes the tree of that seed in DIR; treemake --unlock DIR takes off what would keep it
// from being removed.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "support/tree_maker.h"

int main(int argc, char** argv) {
  std::string first = argc > 1 ? argv[1] : "";
  try {
    if (argc == 3 && first == "--unlock") {
      coppice::testing::unlock_tree(argv[2]);
      return 0;
    }
    coppice::testing::TreeOptions options;
    options.locked = argc == 4 && first == "--locked";
    if (argc == 3 || options.locked) {
      coppice::testing::make_tree(std::strtoull(argv[argc - 2], nullptr, 10), argv[argc - 1], options);
      return 0;
    }
  } catch (const std::exception& error) {
    fprintf(stderr, "treemake: %s\n", error.what());
    return 1;
  }
  fprintf(stderr, "usage: treemake [--locked] SEED DIR | treemake --unlock DIR\n");
  return 2;
}
