// own_model: a model of one's own learns from preferences which letter follows which. No files; a second.
#include "prefer/prefer.hpp"

#include <iostream>

using namespace prefer;

constexpr int64_t kLetters = 26;
constexpr int64_t kWidth = 16;

/// A model that sees one token back: hidden = tanh(embedding[token] W^T), logits = hidden head^T.
class Bigram final : public Model {
 public:
  explicit Bigram(bool trained)
      : embedding_(random(kLetters, 1, trained)),
        inner_(random(kWidth, 2, trained)),
        head_(random(kLetters, 3, trained)) {}

  Tensor hidden(const Batch& batch) const override {
    return at::tanh(linear(at::embedding(embedding_.weight(), batch.tokens), inner_));  // [T, D]
  }
  const Matrix& head() const override { return head_; }
  Parameters parameters() const override {
    return {{"embedding", embedding_.weight()}, {"inner", inner_.weight()}, {"head", head_.weight()}};
  }

 private:
  static Matrix random(int64_t rows, uint64_t which, bool trained) {
    std::vector<double> values;
    for (uint64_t i = 0; i < static_cast<uint64_t>(rows * kWidth); ++i) {
      values.push_back(uniform({.record = which, .site = random_site::kWeights, .position = i}) - 0.5);
    }
    return Matrix(
        tensor_of(values, at::kFloat).reshape({rows, kWidth}).requires_grad_(trained));  // [rows, D]
  }
  Matrix embedding_, inner_, head_;
};

/// Pairs of three letters: after "c", "def" is better than "bcd" (of any two answers, the one that goes on).
std::shared_ptr<std::vector<Record>> make_pairs() {
  auto records = std::make_shared<std::vector<Record>>();
  const auto answer = [](int32_t prompt, int32_t first, int64_t role) {
    const auto letter = [&](int32_t i) { return (first + i + 26) % 26; };
    return Sequence{.tokens = {prompt, letter(0), letter(1), letter(2)}, .scored = {{1, 4}}, .role = role};
  };
  for (int32_t prompt = 0; prompt < kLetters; ++prompt) {
    records->push_back(
        {answer(prompt, prompt + 1, role::kChosen), answer(prompt, prompt - 1, role::kRejected)});
  }
  return records;
}

struct OwnModelConfig {
  FitConfig fit = {.steps = 100, .optimizer = {.learning_rate = 0.01}};
  RecordOrder order = {.batch_size = 26};
  ProcessConfig process;

  void describe(Fields& f) {
    fit.describe(f);
    order.describe(f);
    process.describe(f);
  }
};

int main(int argc, char** argv, char** envp) {
  return run_program<OwnModelConfig>(argc, argv, [&](OwnModelConfig config) {
    Process process(config.process, environment(envp));
    process.wants_one_rank("own_model");
    RecordSource source(make_pairs(), config.order);
    config.fit.resolve_steps(source.size(), config.order.batch_size);
    const auto policy = std::make_shared<Bigram>(true);
    const auto reference = std::make_shared<Bigram>(false);
    PreferenceObjective objective(policy, PreferenceLoss(), {.model = reference});

    Alone team;
    const auto say = [&](const std::string& when) {
      const auto metrics = measure(objective, source, "", team).values();
      std::cout << when << ": loss " << metrics.at("loss") << ", accuracy "
                << metrics.at("rewards/accuracies") << '\n';
    };
    say("before");
    fit(config.fit, source, objective, team, {console(standard_error(10))});
    say("after");
  });
}
