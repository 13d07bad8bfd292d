// How tests look at a Result.
#pragma once

#include <gtest/gtest.h>

#include <ostream>

#include "foundation/result.h"

namespace coppice {

inline void PrintTo(ErrorKind kind, std::ostream* out) { *out << error_kind_name(kind); }

namespace testing {

template <class T>
::testing::AssertionResult is_ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << error_kind_name(result.error().kind()) << ": " << result.error().message();
}

template <class T>
::testing::AssertionResult failed_as(const Result<T>& result, ErrorKind kind) {
  if (result) return ::testing::AssertionFailure() << "succeeded, wanted " << error_kind_name(kind);
  if (result.error().kind() == kind) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "wanted " << error_kind_name(kind) << ", got "
                                       << error_kind_name(result.error().kind()) << ": " << result.error().message();
}

}  // namespace testing
}  // namespace coppice

#define EXPECT_OK(expression) EXPECT_TRUE(::coppice::testing::is_ok(expression))
#define ASSERT_OK(expression) ASSERT_TRUE(::coppice::testing::is_ok(expression))
#define EXPECT_FAILS(expression, kind) EXPECT_TRUE(::coppice::testing::failed_as(expression, ::coppice::ErrorKind::kind))
