#include "tasks/json.h"

#include <fmt/format.h>

#include "foundation/encoding.h"

namespace coppice::tasks {

void put_path(Json& object, const std::string& key, std::string_view bytes) {
  if (is_utf8(bytes))
    object[key] = std::string(bytes);
  else
    object[key + "_b64"] = render_base64(as_bytes(bytes));
}

void put_paths(Json& object, const std::string& key, const std::vector<std::string>& paths) {
  Json list = Json::array();
  for (const auto& path : paths) put_path(list.emplace_back(Json::object()), "path", path);
  object[key] = std::move(list);
}

std::string render_time_json(Timestamp t) {
  std::string text = render_utc(t);
  if (t.nanoseconds != 0 && text.ends_with('Z')) {
    text.pop_back();
    text += fmt::format(".{:09}Z", t.nanoseconds);
  }
  return text;
}

std::string render_json(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace coppice::tasks
