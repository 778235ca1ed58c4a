// A consumer of the lowest layer alone: JSON, and an error with a path, without LibTorch.
#include "prefer/core/error.hpp"
#include "prefer/core/json.hpp"

#include <cstdio>
#include <string>

int main() {
  const prefer::Json json = prefer::parse_json(R"({"name": "\u00e4"})", "here");
  std::string refused;
  try {
    json.at("age");
  } catch (const prefer::Error& error) {
    refused = error.what();
  }
  std::printf("%s; %s\n", prefer::dump(json).c_str(), refused.c_str());
  return json.at("name").as_string() == "ä" && refused.find("\"age\"") != std::string::npos ? 0 : 1;
}
