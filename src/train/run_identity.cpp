// Compares the run that wrote a checkpoint with the one that wants to continue it.
#include "prefer/train/run_identity.hpp"

#include "prefer/core/config.hpp"

#include <algorithm>

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

std::string change(const std::string& path, const Json* before, const Json* after) {
  const auto text = [](const Json* value) { return value ? dump(*value) : std::string("not there"); };
  return path + " was " + text(before) + " and is " + text(after);
}

/// The first leaf that differs, or "".
std::string difference(const Json& before, const Json& after, const std::string& path = "") {
  if (!before.is_object() || !after.is_object()) return before == after ? "" : change(path, &before, &after);
  for (const auto& [key, value] : before.as_object()) {
    const Json* other = after.find(key);
    const std::string found =
        other ? difference(value, *other, under(path, key)) : change(under(path, key), &value, other);
    if (!found.empty()) return found;
  }
  for (const auto& [key, value] : after.as_object()) {
    if (!before.contains(key)) return change(under(path, key), nullptr, &value);
  }
  return "";
}

}  // namespace

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
  const std::string config_change = difference(manifest.at("config"), mine.at("config"));
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
