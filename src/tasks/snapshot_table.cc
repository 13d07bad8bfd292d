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

// What matters least gives way first.
const std::vector<Squeeze> kSteps{{kWhat, 16}, {kTags, 12}, {kWhen, std::string_view("2026-11-22 08:00").size(), true}, {kId, 8, true}, {kHost, 10},
                                  {kTook, 0}, {kWhat, 8}, {kTags, 8}, {kHost, 6}};

std::vector<std::size_t> layout(const std::vector<Row>& rows, std::size_t width) {
  std::vector<std::size_t> widths;
  for (const std::string_view head : kHeads) widths.push_back(head.size());
  bool any_tags = false;
  for (const Row& row : rows) {
    for (std::size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], columns_of(row.cells[c]));
    any_tags = any_tags || !row.cells[kTags].empty();
  }
  if (!any_tags) widths[kTags] = 0;
  return fit_columns(std::move(widths), width, kSteps);
}
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

std::vector<std::size_t> fit_columns(std::vector<std::size_t> widths, std::size_t width, const std::vector<Squeeze>& steps) {
  if (width == 0 || steps.empty()) return widths;
  const auto excess = [&] {
    std::size_t total = 0;
    for (const std::size_t one : widths) total += one == 0 ? 0 : one + kGap;
    return static_cast<std::ptrdiff_t>(total - kGap) - static_cast<std::ptrdiff_t>(width);
  };
  const std::size_t first = widths[steps[0].column];
  for (const Squeeze& step : steps) {
    std::size_t& column = widths[step.column];
    if (excess() <= 0 || column <= step.least) continue;
    column -= step.at_once || step.least == 0 ? column - step.least : std::min(column - step.least, static_cast<std::size_t>(excess()));
  }
  std::size_t& column = widths[steps[0].column];
  if (column > 0 && excess() < 0) column = std::min(first, column + static_cast<std::size_t>(-excess()));
  return widths;
}

std::string render_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right, std::size_t width,
                         const std::vector<Squeeze>& steps) {
  std::vector<std::size_t> widths(right.size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  widths = fit_columns(std::move(widths), width, steps);
  std::vector<std::vector<std::string>> table(rows.size());
  std::vector<bool> table_right;
  for (std::size_t c = 0; c < widths.size(); ++c) {
    if (widths[c] == 0) continue;
    table_right.push_back(right[c]);
    const bool plain = std::ranges::any_of(steps, [&](const Squeeze& step) { return step.column == c && step.at_once && step.least > 0; });
    for (std::size_t i = 0; i < rows.size(); ++i)
      table[i].push_back(plain && i > 0 ? rows[i][c].substr(0, widths[c]) : shorten_back(rows[i][c], widths[c]));
  }
  return render_table(table, table_right);
}

std::string render_snapshots(const std::vector<const vault::Snapshot*>& snapshots, std::size_t width,
                             const std::function<std::string(std::string_view)>& shown) {
  std::vector<Row> rows;
  for (const auto* snapshot : snapshots) rows.push_back(row_of(*snapshot, shown));
  const std::vector<std::size_t> widths = layout(rows, width);
  std::vector<std::vector<std::string>> table(rows.size() + 1);
  std::vector<bool> right;
  for (std::size_t c = 0; c < kColumns; ++c) {
    if (widths[c] == 0) continue;
    table[0].emplace_back(kHeads[c]);
    right.push_back(c == kSize || c == kAdded || c == kTook);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::string& cell = rows[i].cells[c];
      table[i + 1].push_back(c == kWhat               ? shorten_list(rows[i].sources, widths[c])
                             : c == kId || c == kWhen ? cell.substr(0, widths[c])
                                                      : shorten_back(cell, widths[c]));
    }
  }
  return render_table(table, right);
}

}  // namespace coppice::tasks
