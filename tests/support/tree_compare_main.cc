// treecmp [--no-atime] [--no-owners] [--no-xattrs] [--no-flags] [--no-holes] [--no-top] A B: 0 when the trees are
// alike, else 1 and each difference on a line.
#include <sys/resource.h>

#include <cstdio>
#include <string>

#include "support/tree_compare.h"

int main(int argc, char** argv) {
  coppice::testing::CompareOptions options;
  std::vector<std::string> trees;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--no-atime")
      options.atime = false;
    else if (argument == "--no-owners")
      options.owners = false;
    else if (argument == "--no-xattrs")
      options.xattrs = false;
    else if (argument == "--no-flags")
      options.flags = false;
    else if (argument == "--no-holes")
      options.holes = false;
    else if (argument == "--no-top")
      options.top = false;
    else
      trees.push_back(argument);
  }
  if (trees.size() != 2) {
    fprintf(stderr,
            "usage: treecmp [--no-atime] [--no-owners] [--no-xattrs] [--no-flags] [--no-holes] [--no-top] A B\n");
    return 2;
  }
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {  // two descriptors for each level of the tree
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  coppice::testing::TreeComparer comparer(options);
  auto differences = comparer.compare(trees[0], trees[1]);
  for (const auto& difference : differences) puts(difference.c_str());
  if (differences.size() >= options.differences_max) puts("... and perhaps more");
  fprintf(stderr, "%zu objects compared, %zu differences\n", comparer.objects(), differences.size());
  return differences.empty() ? 0 : 1;
}
