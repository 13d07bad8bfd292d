#include "tasks/snapshot_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "foundation/time.h"
#include "tasks/quantities.h"
#include "tasks/snapshot_ref.h"

namespace coppice::tasks {

namespace {
constexpr std::string_view kCut = "...";
constexpr std::size_t kGap = 2;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::string join(const std::vector<std::string>& parts, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all.append(i == 0 ? "" : " ").append(parts[i]);
  return all;
}

enum Column : std::size_t { kId, kWhen, kHost, kWhat, kSize, kAdded, kTook, kTags, kColumns };
constexpr std::array<std::string_view, kColumns> kHeads{"ID", "WHEN", "HOST", "WHAT", "SIZE", "ADDED", "TOOK", "TAGS"};

// One snapshot's cells, uncut.
struct Row {
  std::array<std::string, kColumns> cells;
  std::vector<std::string> sources;
};

Row row_of(const vault::Snapshot& snapshot, const std::function<std::string(std::string_view)>& shown) {
  const format::SnapshotBody& body = *snapshot.body;
  Row row;
  for (const auto& source : body.sources) row.sources.push_back(shown(source));
  std::vector<std::string> tags;
  if (snapshot.signer_name != body.host) tags.push_back(fmt::format("(by {})", shown(snapshot.signer_name)));
  for (const auto& tag : body.tags) tags.push_back(shown(tag));
  if (snapshot.forgotten) tags.emplace_back("(forgotten)");
  if (!body.complete) tags.emplace_back("(partial)");
  if (body.warnings > 0) tags.push_back(fmt::format("({})", render_count(body.warnings, "warning")));
  row.cells = {snapshot.short_id(),
               render_local(body.started),
               shown(body.host),
               join(row.sources, row.sources.size()),
               render_size(body.bytes),
               render_size(body.added_stored),
               render_seconds(static_cast<double>(body.duration_ms) / 1000),
               join(tags, tags.size())};
  return row;
}

// How wide each column may be; 0: left out.
class Layout {
 public:
  Layout(const std::vector<Row>& rows, std::size_t width) : width_(width) {
    for (std::size_t c = 0; c < kColumns; ++c) widths_[c] = kHeads[c].size();
    bool any_tags = false;
    for (const Row& row : rows) {
      for (std::size_t c = 0; c < kColumns; ++c) widths_[c] = std::max(widths_[c], columns_of(row.cells[c]));
      any_tags = any_tags || !row.cells[kTags].empty();
    }
    if (!any_tags) widths_[kTags] = 0;
    if (width_ == 0) return;
    const std::size_t what = widths_[kWhat];
    shrink(kWhat, 16);
    shrink(kTags, 12);
    shrink(kWhen, std::string_view("2026-11-22 08:00").size());
    shrink(kId, 8);
    shrink(kHost, 10);
    if (excess() > 0) widths_[kTook] = 0;
    shrink(kWhat, 8);
    shrink(kTags, 8);
    shrink(kHost, 6);
    if (excess() < 0) widths_[kWhat] = std::min(what, widths_[kWhat] + static_cast<std::size_t>(-excess()));
  }

  std::size_t operator[](std::size_t column) const { return widths_[column]; }

 private:
  std::ptrdiff_t excess() const {
    std::size_t total = 0;
    for (const std::size_t width : widths_) total += width == 0 ? 0 : width + kGap;
    return static_cast<std::ptrdiff_t>(total - kGap) - static_cast<std::ptrdiff_t>(width_);
  }
  void shrink(Column column, std::size_t least) {
    if (excess() <= 0 || widths_[column] <= least) return;
    // A time is whole or without its seconds; an id of eight digits is as good as one of ten.
    const bool at_once = column == kWhen || column == kId;
    widths_[column] -=
        at_once ? widths_[column] - least : std::min(widths_[column] - least, static_cast<std::size_t>(excess()));
  }

  std::size_t width_;
  std::array<std::size_t, kColumns> widths_{};
};
}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string shorten_front(std::string_view text, std::size_t width) {
  std::size_t columns = columns_of(text);
  if (columns <= width) return std::string(text);
  const std::string_view mark = kCut.substr(0, width);
  std::size_t at = 0;
  for (; columns + mark.size() > width && at < text.size(); --columns)
    for (++at; at < text.size() && continues(text[at]);) ++at;
  return std::string(mark).append(text.substr(at));
}

std::string shorten_back(std::string_view text, std::size_t width) {
  if (columns_of(text) <= width) return std::string(text);
  const std::string_view mark = kCut.substr(0, width);
  std::size_t at = 0;
  for (std::size_t columns = 0; columns + mark.size() < width; ++columns)
    for (++at; at < text.size() && continues(text[at]);) ++at;
  return std::string(text.substr(0, at)).append(mark);
}

std::string shorten_list(const std::vector<std::string>& parts, std::size_t width) {
  std::string all = join(parts, parts.size());
  if (columns_of(all) <= width) return all;
  std::string more;
  for (std::size_t count = parts.size() - 1; count > 0; --count) {
    more = fmt::format(" +{}", parts.size() - count);
    all = join(parts, count) + more;
    if (columns_of(all) <= width) return all;
  }
  if (more.size() >= width) return shorten_front(parts[0], width);
  return shorten_front(parts[0], width - more.size()) + more;
}

std::string render_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right) {
  std::vector<std::size_t> widths(right.size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  std::string table;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - columns_of(row[i]), ' ');
      if (i > 0) line.append(kGap, ' ');
      line += right[i] ? blanks + row[i] : row[i] + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
  return table;
}

std::string render_snapshots(const std::vector<const vault::Snapshot*>& snapshots, std::size_t width,
                             const std::function<std::string(std::string_view)>& shown) {
  std::vector<Row> rows;
  for (const auto* snapshot : snapshots) rows.push_back(row_of(*snapshot, shown));
  const Layout layout(rows, width);
  std::vector<std::vector<std::string>> table(rows.size() + 1);
  std::vector<bool> right;
  for (std::size_t c = 0; c < kColumns; ++c) {
    if (layout[c] == 0) continue;
    table[0].emplace_back(kHeads[c]);
    right.push_back(c == kSize || c == kAdded || c == kTook);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::string& cell = rows[i].cells[c];
      table[i + 1].push_back(c == kWhat               ? shorten_list(rows[i].sources, layout[c])
                             : c == kId || c == kWhen ? cell.substr(0, layout[c])
                                                      : shorten_back(cell, layout[c]));
    }
  }
  return render_table(table, right);
}

}  // namespace coppice::tasks
