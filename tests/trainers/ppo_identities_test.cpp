// What PPO checks of itself in every run: ratio 1 at each iteration's first minibatch, KL 0 in the first one.
#include "support/error.hpp"
#include "support/invariance.hpp"
#include "tests/trainers/ppo_run.hpp"

namespace prefer::testing {
namespace {

/// Of each step of two iterations of two steps, what was checked.
class PpoIdentities : public PpoOnARewardModel {
 protected:
  PpoConfig two_iterations(const std::string& output) const {
    PpoConfig two = config(output);
    two.iterations = 2;
    two.rollout.num_ppo_epochs = 2;
    two.fit.optimizer.learning_rate = 1e-2;
    return two;
  }
  std::vector<std::vector<Identity>> checked_in(const PpoConfig& config) {
    std::vector<std::vector<Identity>> checked;
    PpoTrainer(config, process_).train({[&](StepEvent& event) { checked.push_back(event.identities); }});
    return checked;
  }
  /// Changes one weight of the policy, as an optimizer would.
  static void nudge(Transformer& policy) {
    const c10::NoGradGuard frozen;
    Tensor(policy.weights().at("model.norm.weight")).mul_(1.01);
  }
};

TEST_F(PpoIdentities, AreCheckedToTheBitAtEveryIterationsFirstStep) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  PpoConfig itself = two_iterations("itself"), other = two_iterations("other");
  itself.reference = tiny_.dir / "again";  // the same model by another path
  other.reference = tiny_.dir / "elsewhere";
  const std::map<std::string, std::string> files = {{"tokenizer.json", tiny_tokenizer()},
                                                    {"tokenizer_config.json", R"({"eos_token": "<e>"})"}};
  save_model(process_.fs(), *itself.reference, *tiny_model(at::kFloat), files);
  save_model(process_.fs(), *other.reference, *tiny_model(at::kFloat, tiny_config(), 2), files);
  for (const auto& [config, at_first] : {std::pair{two_iterations("none"), 2u}, {itself, 2u}, {other, 1u}}) {
    const auto checked = checked_in(config);
    ASSERT_EQ(checked.size(), 4u);
    ASSERT_EQ(checked[0].size(), at_first) << config.output;
    EXPECT_TRUE(checked[1].empty());
    ASSERT_EQ(checked[2].size(), 1u);
    EXPECT_TRUE(checked[3].empty());
    for (const std::size_t step : {0, 2}) {
      for (const Identity& identity : checked[step]) {
        EXPECT_EQ(identity.bound, 0) << identity.name;
        EXPECT_EQ(identity.measured, identity.expected) << identity.name;
      }
    }
  }
}

TEST_F(PpoIdentities, AreAskedUntilAStepOfTheIterationPasses) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  PpoConfig skips = two_iterations("skips");
  skips.reward_model.reset();
  skips.rollout.num_mini_batches = 7;  // of two answers each
  skips.rollout.whiten_advantages = false;
  skips.fit.guard.on_bad = "skip";
  skips.fit.guard.max_skips = 100;
  // More than a float holds: the loss of minibatches with such an answer is not finite.
  PpoTrainer trainer(skips, process_, Scorer([](std::span<const Answer> answers) {
                       std::vector<double> scores(answers.size(), 1.0);
                       std::fill_n(scores.begin(), 10, 1e300);
                       return scores;
                     }));
  bool learnt = false, ever = false;
  int64_t late = 0;
  trainer.train({[&](StepEvent& event) {
    if ((event.step - 1) % event.iteration == 0) learnt = false;
    const bool passes = event.skipped.empty();
    ASSERT_EQ(event.identities.size(), !passes || learnt ? 0u : ever ? 1u : 2u) << event.step;
    late += passes && !learnt && (event.step - 1) % event.iteration != 0;
    learnt = learnt || passes;
    ever = ever || passes;
  }});
  EXPECT_TRUE(ever);
  EXPECT_GE(late, 1);  // an iteration's first step was skipped
}

TEST_F(PpoIdentities, APolicyThatIsNotTheReferenceAtTheStartStopsTheRun) {
  PpoTrainer trainer(two_iterations("nudged"), process_);
  nudge(trainer.policy());
  const std::string error = error_of([&] { trainer.train(); });
  EXPECT_TRUE(error.starts_with("step 1: policy equals reference")) << error;
}

TEST_F(PpoIdentities, WeightsThatChangeBetweenSamplingAndUpdateStopTheRun) {
  for (const int64_t iteration : {1, 2}) {
    PpoConfig changed = two_iterations("changed" + std::to_string(iteration));
    changed.reward_model.reset();
    int64_t scored = 0, steps = 0;
    Transformer* policy = nullptr;
    PpoTrainer trainer(changed, process_, Scorer([&](std::span<const Answer> answers) {
                         if (++scored == iteration) nudge(*policy);
                         return std::vector<double>(answers.size(), 1.0);
                       }));
    policy = &trainer.policy();
    const std::string error = error_of([&] { trainer.train({[&](StepEvent&) { ++steps; }}); });
    const std::string first = std::to_string(2 * iteration - 1);
    EXPECT_TRUE(error.starts_with("step " + first + ": ratio is 1 before the first update")) << error;
    EXPECT_EQ(steps, 2 * (iteration - 1));
  }
}

}  // namespace
}  // namespace prefer::testing
