// Compares the run that wrote a checkpoint with the one that wants to continue it.
#include "prefer/train/run_identity.hpp"

#include "prefer/core/config.hpp"

#include <algorithm>
#include <functional>

namespace prefer {
namespace {

std::string under(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

Json without(const Json& config, const std::vector<std::string>& free, const std::string& path = "") {
  if (!config.is_object()) return config;
  Json result = Json::object();
  for (const auto& [key, value] : config.as_object()) {
    const std::string here = under(path, key);
    if (std::ranges::find(free, here) == free.end()) result.set(key, without(value, free, here));
  }
  return result;
}

/// What is said of a leaf that two values have differently.
using Say = std::function<std::string(const std::string& path, const std::string& a, const std::string& b)>;

std::string was_and_is(const std::string& path, const std::string& before, const std::string& after) {
  return path + " was " + before + " and is " + after;
}

/// The first leaf that differs, or "".
std::string difference(const Json& a, const Json& b, const Say& say, const std::string& path = "") {
  constexpr const char* kNone = "not there";
  if (!a.is_object() || !b.is_object()) return a == b ? "" : say(path, dump(a), dump(b));
  for (const auto& [key, value] : a.as_object()) {
    const Json* other = b.find(key);
    const std::string found =
        other ? difference(value, *other, say, under(path, key)) : say(under(path, key), dump(value), kNone);
    if (!found.empty()) return found;
  }
  for (const auto& [key, value] : b.as_object()) {
    // A key that a newer program has, and that says nothing, changes nothing.
    const bool empty = value.is_null() || (value.is_array() && value.size() == 0);
    if (!a.contains(key) && !empty) return say(under(path, key), kNone, dump(value));
  }
  return "";
}

}  // namespace

std::string first_difference(const Json& a, const Json& b) {
  return difference(a, b, [](const std::string& path, const std::string& one, const std::string& other) {
    return path + " is " + one + " and " + other;
  });
}

Json RunIdentity::to_json() const {
  const Json core = without(config, free);
  Json all_inputs = Json::object();
  for (const auto& [name, fingerprint] : inputs) all_inputs.set(name, fingerprint);
  Json result = Json::object();
  result.set("version", version).set("route", route).set("isa", isa);
  result.set("config_hash", config_hash(core)).set("config", core).set("inputs", all_inputs);
  return result;
}

std::string RunIdentity::obstacle(const Json& manifest) const {
  const Json mine = to_json();
  const std::string config_change = difference(manifest.at("config"), mine.at("config"), was_and_is);
  if (!config_change.empty()) return config_change;
  const Json &before = manifest.at("inputs"), &now = mine.at("inputs");
  for (const auto& [name, fingerprint] : before.as_object()) {
    const Json* other = now.find(name);
    if (!other) return name + " was given and is not";
    if (*other != fingerprint) return "the contents of " + name + " have changed";
  }
  for (const auto& [name, _] : now.as_object()) {
    if (!before.contains(name)) return name + " was not given and is";
  }
  return "";
}

std::string RunIdentity::drift(const Json& manifest) const {
  std::string result;
  const auto compare = [&](const std::string& now, const char* key) {
    const std::string& before = manifest.at(key).as_string();
    if (before != now) result += (result.empty() ? "" : ", ") + (now + " instead of " + before);
  };
  compare(route, "route");
  compare(isa, "isa");
  compare(version, "version");
  return result;
}

}  // namespace prefer
