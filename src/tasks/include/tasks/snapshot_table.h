// Snapshots as a table for people, within the width of their terminal. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vault/vault.h"

namespace coppice::tasks {

// Columns that a terminal needs for `text`: one for each character of UTF-8.
std::size_t columns_of(std::string_view text);
// The end of `text`, or its beginning, in at most `width` columns, with "..." for what was cut.
std::string shorten_front(std::string_view text, std::size_t width);
std::string shorten_back(std::string_view text, std::size_t width);
// "/data /etc +3": as many whole as fit into `width`, and how many more there are.
std::string shorten_list(const std::vector<std::string>& parts, std::size_t width);

// Columns as wide as their widest cell, two blanks between them; numbers to the right. Each row ends in a line end.
std::string render_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);

// How a table becomes narrower: this column by as much as it takes, down to `least` columns of the terminal (0: it goes). `at_once`: to `least`
// or not at all, and cut without a mark, as a time loses its seconds.
struct Squeeze {
  std::size_t column, least;
  bool at_once = false;
};
// The widths of columns (0: left out) after as many of the steps as it takes to fit into `width` (0: it is wide enough); the first step's column gets back what is left.
std::vector<std::size_t> fit_columns(std::vector<std::size_t> widths, std::size_t width, const std::vector<Squeeze>& steps);
// As above, within `width`; what is too long ends in "...".
std::string render_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right, std::size_t width,
                         const std::vector<Squeeze>& steps);

// ID, WHEN, HOST, WHAT, SIZE, ADDED, TOOK, TAGS of snapshots that have a body. `width` 0: as wide as it gets, nothing cut.
// Else what matters least gives way first: long lists of sources and tags, seconds, digits of the id (eight stay), TOOK.
// `shown` makes a name fit to be shown.
std::string render_snapshots(const std::vector<const vault::Snapshot*>& snapshots, std::size_t width,
                             const std::function<std::string(std::string_view)>& shown);

}  // namespace coppice::tasks
