// What an action complains about, as text that a test can compare.
#pragma once

#include "prefer/core/error.hpp"

#include <string>

namespace prefer::testing {

/// The message of the prefer::Error that `action` throws, or "" when it throws none.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace prefer::testing
