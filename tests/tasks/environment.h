// The environment that a test makes up.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tasks/places.h"

namespace coppice::tasks {

inline Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

}  // namespace coppice::tasks
