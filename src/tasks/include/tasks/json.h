// What all JSON that this program writes has in common: docs/json.md.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/time.h"

namespace coppice::tasks {

using Json = nlohmann::ordered_json;

// `bytes` under `key` when it is UTF-8, else in base64 under `key`_b64.
void put_path(Json& object, const std::string& key, std::string_view bytes);
// The same for many: an array of objects that have a "path" each.
void put_paths(Json& object, const std::string& key, const std::vector<std::string>& paths);
std::string render_time_json(Timestamp t);  // RFC 3339 in UTC, with nanoseconds when there are any
// One line, without its end; what is not UTF-8 is replaced.
std::string render_json(const Json& object);

}  // namespace coppice::tasks
