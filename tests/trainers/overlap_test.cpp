// Every trainer's gradients go to the other ranks while backward runs, each bucket as soon as it is full.
#include "support/program.hpp"
#include "support/tiny_run.hpp"
#include "tests/trainers/trainer_of.hpp"

#include <torch/csrc/autograd/function.h>

#include <gtest/gtest.h>

#include <set>

namespace prefer::testing {
namespace {

using Node = const torch::autograd::Node*;

/// A team of one that notes at which node of backward each bucket went out; null where none ran any more.
class Watching final : public Team {
 public:
  explicit Watching(std::vector<Node>& sent) : sent_(sent) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void reduce(std::vector<Tensor>&) override {}
  std::function<void()> start(Tensor) override {
    sent_.push_back(torch::autograd::get_current_node().get());
    return [] {};
  }
  bool any(bool mine) override { return mine; }
  void barrier() override {}

 private:
  std::vector<Node>& sent_;
};

struct Enough {};  // thrown after the first step

class Overlap : public ::testing::TestWithParam<bool> {
 protected:
  /// A model that fills two buckets, each with two layers.
  Overlap() {
    ModelConfig config = tiny_config();
    config.hidden_size = 64;
    config.head_dim = 16;
    config.rope.dim = 16;
    config.intermediate_size = 16384;
    config.layers = 4;
    config.initializer_range = 0.02;
    config.tied = GetParam();
    save_model(process_fs_, model_, *tiny_model(at::kFloat, config),
               {{"tokenizer.json", tiny_tokenizer()}, {"tokenizer_config.json", R"({"eos_token": "<e>"})"}});
    std::vector<std::string> lines;
    for (const char* letter : {"a", "b"})
      lines.push_back(dump(Json::object({{"prompt", std::string("do ") + letter},
                                         {"completion", std::string(" good ") + letter},
                                         {"label", *letter < 'b'}})));
    texts_ = file_of(tiny_.dir, "texts.jsonl", lines);
  }
  /// Where each bucket of the first step went out.
  template <class Config>
  std::vector<Node> sent(Config config) const {
    config.model = model_;
    config.output = tiny_.dir / ("out-" + std::to_string(runs_++));
    config.order.batch_size = 2;
    std::vector<Node> nodes;
    Process process({.device = "cpu", .threads = 1}, std::make_unique<Watching>(nodes));
    auto trainer = trainer_of(config, process);
    EXPECT_THROW(trainer.train({[](StepEvent&) { throw Enough(); }}), Enough);
    return nodes;
  }
  template <class Config>
  static Config on(const std::string& records) {
    Config config;
    config.train = records;
    return config;
  }

  TinyRun tiny_;
  PosixFs process_fs_;
  const std::string model_ = tiny_.dir / "wide";
  std::string texts_;
  mutable int runs_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Embeddings, Overlap, ::testing::Bool(),
                         [](const auto& tied) { return tied.param ? "Tied" : "Untied"; });

/// Two buckets that go out at one node: one was full before, and waited for the other.
void expect_overlap(const std::vector<Node>& sent, std::size_t buckets, const std::string& what) {
  EXPECT_EQ(sent.size(), buckets) << what;
  const std::set<Node> different(sent.begin(), sent.end());
  EXPECT_EQ(different.size(), sent.size()) << what;
  EXPECT_FALSE(different.contains(nullptr)) << what << ": after backward";
}

TEST_P(Overlap, OfEachTrainerWithItsBackward) {
  expect_overlap(sent(on<SftConfig>(texts_)), 2, "sft");
  expect_overlap(sent(on<KtoConfig>(texts_)), 2, "kto");
  expect_overlap(sent(on<DpoConfig>(tiny_.pairs)), 2, "dpo");
  expect_overlap(sent(on<RewardConfig>(tiny_.pairs)), 2, "reward");
  auto ppo = on<PpoConfig>(tiny_.pairs);
  ppo.rollout.response_length = 3;
  ppo.iterations = 1;
  expect_overlap(sent(ppo), 4, "ppo, own value model");
  ppo.value = "shared";
  expect_overlap(sent(ppo), 2, "ppo, shared value model");
}

}  // namespace
}  // namespace prefer::testing
