#include "window.h"

#include <algorithm>
#include <numeric>

namespace coppice::restore {
namespace {
constexpr std::size_t kEdgeBlocks = 4;  // a group of small files seldom spans more than two
}

std::uint32_t Window::add_chunk(const format::ChunkRef& ref) {
  // Neighbours share their chunk. A chunk that comes again later gets a second number, which costs memory and nothing
  // else.
  const std::size_t n = chunks.size();
  for (std::size_t i = n; i > 0 && n - i < 4; --i)
    if (chunks[i - 1] == ref) return static_cast<std::uint32_t>(i - 1);
  chunks.push_back(ref);
  return static_cast<std::uint32_t>(n);
}

std::size_t Window::bytes() const {
  return arena.bytes() + chunks.size() * (sizeof(format::ChunkRef) + 8) + pieces.size() * (2 * sizeof(Piece)) +
         nodes.size() * sizeof(Record*) + links.size() * sizeof(LinkRecord);
}

void Window::seal(std::vector<format::Birth>& edge) {
  std::vector<format::Birth> new_edge;
  for (std::size_t i = chunks.size(); i > 0 && new_edge.size() < kEdgeBlocks; --i)
    if (std::find(new_edge.begin(), new_edge.end(), chunks[i - 1].birth) == new_edge.end())
      new_edge.push_back(chunks[i - 1].birth);

  std::vector<std::uint32_t> order(chunks.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return chunks[a].birth < chunks[b].birth; });
  std::vector<std::uint32_t> group_of(chunks.size());
  for (const std::uint32_t c : order) {
    const format::Birth& birth = chunks[c].birth;
    if (groups.empty() || groups.back().birth != birth) {
      const auto in = [&](const std::vector<format::Birth>& list) {
        return std::find(list.begin(), list.end(), birth) != list.end();
      };
      groups.push_back({.birth = birth, .begin = 0, .end = 0, .keep = in(edge) || in(new_edge)});
    }
    group_of[c] = static_cast<std::uint32_t>(groups.size() - 1);
  }
  // Counting sort: in a block the pieces keep the order of the walk, so one file's and one directory's stay together.
  for (const Piece& p : pieces) ++groups[group_of[p.chunk]].end;
  std::uint32_t at = 0;
  for (BlockGroup& g : groups) {
    g.begin = at;
    at += g.end;
    g.end = g.begin;
  }
  scratch_.resize(pieces.size());
  for (const Piece& p : pieces) scratch_[groups[group_of[p.chunk]].end++] = p;
  pieces.swap(scratch_);
  edge = std::move(new_edge);
}

void Window::reset() {
  chunks.clear();
  pieces.clear();
  nodes.clear();
  links.clear();
  groups.clear();
  scratch_.clear();
  arena.reset();
  entries_ = 0;
}

}  // namespace coppice::restore
