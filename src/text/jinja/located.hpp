// How errors raised inside a template get the line and column they belong to.
#pragma once

#include "prefer/core/error.hpp"
#include "src/text/jinja/machine.hpp"

namespace prefer::jinja {

/// An error that knows its place already.
class LocatedError : public Error {
 public:
  using Error::Error;
};

template <class Body>
auto Machine::located(const Place& place, const Body& body) {
  try {
    return body();
  } catch (const LocatedError&) {
    throw;
  } catch (const Error& error) {
    throw LocatedError(name_ + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": " +
                       error.what());
  }
}

}  // namespace prefer::jinja
