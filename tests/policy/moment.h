// A moment by its UTC text.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "foundation/time.h"

namespace coppice::policy {

inline Timestamp at(const std::string& utc) {
  const auto span = parse_time(utc + "Z");
  EXPECT_TRUE(span) << utc;
  return span ? span->begin : Timestamp{};
}

}  // namespace coppice::policy
