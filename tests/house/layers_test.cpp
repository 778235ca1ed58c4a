// The table of layers, enforced: what a file may include follows from the folder it stands in.
#include "tests/house/tree.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

namespace prefer::house {
namespace {

using Layers = std::set<std::string>;

Layers operator+(Layers a, const Layers& b) {
  a.insert(b.begin(), b.end());
  return a;
}

/// Which layers, or single headers of them, each layer may include, itself among them. A header that is an
/// interface of its own has a row of its own, so that who includes it sees no more than that.
const std::map<std::string, Layers>& table() {
  static const std::map<std::string, Layers> rows = [] {
    const Layers plain = {"kernels", "core", "text", "data"};
    const Layers ops = {"kernels", "core", "tensor", "ops"};
    const Layers losses = ops + Layers{"losses", "credit"};
    const Layers dist = ops + Layers{"dist"};
    const Layers model = plain + ops + Layers{"batch", "model"};
    const Layers rollout = model + losses + dist + Layers{"objectives", "rollout"};
    const Layers interface = plain + dist + Layers{"batch", "losses/loss.hpp"};
    const Layers all = rollout + Layers{"train", "eval", "trainers"};
    return std::map<std::string, Layers>{
        {"kernels", {"kernels"}},
        {"core", {"kernels", "core"}},
        {"text", {"core", "text"}},
        {"data", {"core", "text", "data"}},
        {"tensor", ops},
        {"ops", ops},
        {"losses", losses},
        {"credit", losses},
        {"dist", dist},
        {"batch", model},
        {"model", model},
        {"objectives", rollout},
        {"rollout", rollout},
        {"objectives/objective.hpp", interface},
        {"train", interface + Layers{"train", "objectives/objective.hpp"}},
        {"eval", rollout + Layers{"eval"}},
        {"trainers", all},
        {"prefer", all},
        {"examples", {"prefer"}},
    };
  }();
  return rows;
}

/// The layer of `path`: include/prefer/X/..., src/X/..., kernels/..., examples/..., and the two headers that
/// stand alone.
std::optional<std::string> layer_of(const std::string& path) {
  static const std::regex place(R"(^(?:include/prefer|src)/(\w+)(?:/.*|\.hpp)$|^(kernels|examples)/.*$)");
  std::smatch match;
  if (!std::regex_match(path, match, place)) return std::nullopt;
  return match[1].matched ? match[1] : match[2];
}

/// The project's file that an include in quotes names, as a path that layer_of understands.
std::string target_of(const std::string& from, const std::string& name) {
  if (name.starts_with("prefer/")) return "include/" + name;
  if (starts_with_any(name, {"kernels/", "src/", "examples/"})) return name;
  return from.substr(0, from.rfind('/') + 1) + name;  // beside the file
}

const std::vector<std::string> kTorch = {"torch/", "ATen/", "c10/", "caffe2/"};
const Layers kWithoutTorch = {"kernels", "core", "text", "data", "examples"};

/// The layer of `path` and its file's name, as single headers stand in the table.
std::string header_of(const std::string& path) {
  return layer_of(path).value_or("?") + path.substr(path.rfind('/'));
}

/// What the table lets `path` include; null where it stands in no layer.
const Layers* row_of(const std::string& path) {
  for (const std::string& key : {header_of(path), layer_of(path).value_or("?")}) {
    if (const auto row = table().find(key); row != table().end()) return &row->second;
  }
  return nullptr;
}

/// What is wrong with one include, or nothing.
std::optional<std::string> fault(const SourceFile& file, const Include& include) {
  const Layers* allowed = row_of(file.path);
  if (allowed == nullptr) return "stands in no layer of the table";
  const std::string layer = *layer_of(file.path);
  if (include.name == "torch/torch.h") return "costs 18 s a file";
  if (starts_with_any(include.name, kTorch)) {
    if (kWithoutTorch.contains(layer)) return layer + " must not see LibTorch";
    return std::nullopt;
  }
  if (file.path.starts_with("include/") && starts_with_any(include.name, {"nlohmann/", "spdlog/"})) {
    return "a public header must not bring it along";
  }
  if (!include.quoted) {
    if (include.name.starts_with("prefer/")) return "is written in quotes";
    return std::nullopt;
  }
  const std::string target = target_of(file.path, include.name);
  const std::string other = layer_of(target).value_or("?");
  if (allowed->contains(other) || allowed->contains(header_of(target))) return std::nullopt;
  return layer + " may not include " + other;
}

std::vector<std::string> faults(const SourceFile& file) {
  std::vector<std::string> found;
  for (const Include& include : includes_of(file)) {
    if (const auto what = fault(file, include))
      found.push_back(file.path + ": " + include.name + ": " + *what);
  }
  return found;
}

TEST(Layers, EveryFileKeepsToTheTable) {
  const auto files = read_tree(PREFER_SOURCE_DIR, {"kernels", "include", "src", "examples"});
  ASSERT_GT(files.size(), 20u);
  for (const SourceFile& file : files) {
    EXPECT_TRUE(layer_of(file.path) && table().contains(*layer_of(file.path)))
        << file.path << " stands in no layer";
    for (const std::string& line : faults(file)) ADD_FAILURE() << line;
  }
}

TEST(Layers, ThirdPartyHeadersStayInOneFileEach) {
  std::map<std::string, Layers> users;
  for (const SourceFile& file : read_tree(PREFER_SOURCE_DIR, {"kernels", "include", "src", "examples"})) {
    for (const Include& include : includes_of(file)) {
      for (const std::string name :
           {"sentencepiece", "spdlog/", "torch/csrc/distributed/c10d/ProcessGroupGloo",
            "torch/csrc/distributed/c10d/ProcessGroupNCCL"}) {
        if (include.name.starts_with(name)) users[name].insert(file.path);
      }
    }
  }
  for (const auto& [name, paths] : users)
    EXPECT_EQ(paths.size(), 1u) << name << " is included by several files";
}

// The rules themselves, on made-up files: each wrong line is seen, each right one is let through.
struct Sample {
  const char* path;
  const char* line;
  bool allowed;
};

class LayerRules : public ::testing::TestWithParam<Sample> {};

TEST_P(LayerRules, JudgeALine) {
  const Sample& sample = GetParam();
  EXPECT_EQ(faults({sample.path, {sample.line}}).empty(), sample.allowed)
      << sample.path << " " << sample.line;
}

INSTANTIATE_TEST_SUITE_P(
    Samples, LayerRules,
    ::testing::Values(
        Sample{"kernels/norm/norm.cpp", "#include \"kernels/number.hpp\"", true},
        Sample{"kernels/norm/norm.cpp", "#include \"norm.hpp\"", true},
        Sample{"kernels/norm/norm.cpp", "#include \"prefer/core/error.hpp\"", false},
        Sample{"kernels/norm/norm.cu", "#include <ATen/core/Tensor.h>", false},
        Sample{"src/core/random.cpp", "#include \"kernels/philox.hpp\"", true},
        Sample{"src/core/log.cpp", "#include <spdlog/spdlog.h>", true},
        Sample{"include/prefer/core/log.hpp", "#include <spdlog/spdlog.h>", false},
        Sample{"src/text/spans.cpp", "#include \"prefer/data/record.hpp\"", false},
        Sample{"src/data/forest.cpp", "#  include <c10/core/Device.h>", false},
        Sample{"include/prefer/losses/dpo.hpp", "#include \"prefer/tensor.hpp\"", true},
        Sample{"include/prefer/losses/dpo.hpp", "#include \"prefer/model/model.hpp\"", false},
        Sample{"include/prefer/losses/dpo.hpp", "#include <prefer/tensor.hpp>", false},
        Sample{"include/prefer/train/fit.hpp", "#include \"prefer/losses/loss.hpp\"", true},
        Sample{"include/prefer/train/fit.hpp", "#include \"prefer/losses/dpo.hpp\"", false},
        Sample{"include/prefer/train/fit.hpp", "#include \"prefer/model/model.hpp\"", false},
        Sample{"include/prefer/train/fit.hpp", "#include \"prefer/objectives/objective.hpp\"", true},
        Sample{"include/prefer/train/fit.hpp", "#include \"prefer/objectives/preference.hpp\"", false},
        Sample{"include/prefer/objectives/objective.hpp", "#include \"prefer/model/model.hpp\"", false},
        Sample{"src/eval/report.cpp", "#include \"prefer/train/fit.hpp\"", false},
        Sample{"src/ops/linear.cpp", "#include <torch/torch.h>", false},
        Sample{"src/ops/linear.cpp", "#include <torch/csrc/autograd/custom_function.h>", true},
        Sample{"examples/dpo.cpp", "#include \"prefer/prefer.hpp\"", true},
        Sample{"examples/dpo.cpp", "#include \"prefer/trainers/dpo.hpp\"", false},
        Sample{"src/misc/x.cpp", "#include <vector>", false}));

}  // namespace
}  // namespace prefer::house
