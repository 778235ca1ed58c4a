// The loop: any cut and any ranks give one gradient; identities, the guard and precision.
#include "prefer/train/hooks.hpp"
#include "support/error.hpp"
#include "tests/train/tiny.hpp"

#include <limits>

namespace prefer::testing {
namespace {

/// The gradient of the first step and the weights after `steps`.
struct Outcome {
  NamedTensors weights;
  std::vector<Tensor> gradient;
  std::map<std::string, double> metrics;
};

Outcome outcome(int64_t slot, bool reversed, int64_t steps, Team& team, at::ScalarType type = at::kDouble) {
  TinySource source;
  source.slot = slot;
  source.reversed = reversed;
  TinyObjective objective({type});
  Training training(tiny_config(steps), source, objective);
  Outcome result;
  fit(training, team, {[&](StepEvent& event) { result.metrics = event.metrics; }});
  result.weights = copied(training.weights());
  for (const Tensor& sum : training.gradients.sums()) result.gradient.push_back(sum.clone());
  return result;
}

void expect_close(const Outcome& a, const Outcome& b, double tolerance) {
  for (std::size_t i = 0; i < a.gradient.size(); ++i) {
    EXPECT_LE((a.gradient[i] - b.gradient[i]).abs().max().item<double>(), tolerance);
  }
  ASSERT_EQ(a.metrics.size(), b.metrics.size());
  for (const auto& [name, value] : a.metrics) EXPECT_NEAR(value, b.metrics.at(name), tolerance) << name;
}

TEST(Fit, GradientIsTheClosedForm) {
  Alone team;
  const Outcome result = outcome(3, false, 1, team);
  TinySource source;
  source.slot = source.batch_size;
  const Batch batch = source.batch(1, source.plan(1).slots.at(0));
  const Tensor x = batch.column("x");
  const Tensor error = x.mm(at::full({kWidth, 1}, 0.125, at::kDouble)) - batch.column("y").unsqueeze(1);
  const Tensor expected = x.t().mm(error) * 2 / source.batch_size;
  EXPECT_LE((result.gradient.at(0) - expected).abs().max().item<double>(), 1e-15);
  EXPECT_NEAR(result.metrics.at("loss"), (error * error).mean().item<double>(), 1e-15);
  EXPECT_NEAR(result.metrics.at("error"), error.abs().mean().item<double>(), 1e-15);
}

TEST(Fit, AnyCutAndAnyOrderGiveTheSameGradient) {
  Alone team;
  const Outcome whole = outcome(8, false, 5, team);
  for (const int64_t slot : {1, 2, 3, 5, 7}) {
    for (const bool reversed : {false, true}) expect_close(outcome(slot, reversed, 5, team), whole, 1e-12);
  }
}

TEST(Fit, AnyNumberOfRanksGivesTheSameGradientEvenWithIdleOnes) {
  Alone alone;
  const Outcome expected = outcome(3, false, 5, alone);
  for (const int size : {2, 3, 5}) {  // three slots: of five ranks two have nothing to do
    std::vector<Outcome> results(static_cast<std::size_t>(size));
    Threads(size).run(
        [&](Team& team) { results[static_cast<std::size_t>(team.rank())] = outcome(3, false, 5, team); });
    for (const Outcome& result : results) {
      expect_close(result, expected, 1e-12);
      EXPECT_TRUE(same_bits(result.weights, results[0].weights));
    }
  }
}

TEST(Fit, FindsTheMinimumOfAConvexProblem) {
  TinySource source;
  source.batch_size = source.records;  // every step sees all of them
  TinyObjective objective;
  FitConfig config = tiny_config(400);
  config.optimizer.learning_rate = 0.1;
  Alone team;
  std::vector<double> norms;
  fit(config, source, objective, team,
      {[&](StepEvent& event) { norms.push_back(event.metrics.at("grad_norm")); }});
  EXPECT_GT(norms.front(), 0.5);
  EXPECT_LT(norms.back(), 1e-6);
}

TEST(Fit, StopsAtABrokenIdentityBeforeAWeightChanges) {
  TinySource source;
  TinyObjective objective;
  objective.identity = Identity{"loss is ln 2", 0.7, 0.693, 1e-3};
  Training training(tiny_config(3), source, objective);
  const NamedTensors before = copied(training.state());
  Alone team;
  const std::string error = error_of([&] { fit(training, team, {}); });
  EXPECT_NE(error.find("step 1: loss is ln 2 must be 0.693"), std::string::npos) << error;
  EXPECT_TRUE(same_bits(training.state(), before));

  objective.identity->measured = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(error_of([&] { fit(training, team, {}); }), "");
  objective.identity->measured = 0.6935;
  std::size_t seen = 0;
  fit(training, team, {[&](StepEvent& event) { seen = std::max(seen, event.identities.size()); }});
  EXPECT_EQ(seen, 1U);
}

TEST(Fit, AnIdentityThatIsNotANumberInOneSlotIsBrokenWhateverTheOthersSay) {
  TinySource source;
  TinyObjective objective;
  int asked = 0;
  objective.identity = Identity{"ratio", 1, 1, 0};
  objective.spoil = [&](Tensor&) {
    objective.identity->measured = asked++ == 0 ? std::numeric_limits<double>::quiet_NaN() : 1;
  };
  Training training(tiny_config(3), source, objective);
  Alone team;
  EXPECT_NE(error_of([&] { fit(training, team, {}); }).find("ratio must be 1, and is nan"),
            std::string::npos);
  EXPECT_GT(asked, 1);  // more slots than one were seen
}

TEST(Fit, ResumedRunsDoNotAskForTheFirstStepsIdentities) {
  TinySource source;
  TinyObjective objective;
  Training training(tiny_config(3), source, objective);
  training.restore(1, copied(training.state()));
  objective.identity = Identity{"only at first", 2, 1, 0};
  Alone team;
  EXPECT_EQ(fit(training, team, {}).step, 3);
}

TEST(Fit, IdentitiesOfEveryIterationAreAskedForAtItsFirstStep) {
  TinySource source;
  TinyObjective objective;
  FitConfig config = tiny_config(6);
  config.iteration = 2;
  objective.identity = Identity{"ratio", 1, 1, 0, /*every_iteration=*/true};
  Alone team;
  std::vector<int64_t> asked;
  const Hook look = [&](StepEvent& event) {
    if (!event.identities.empty()) asked.push_back(event.step);
    if (event.step == 3) objective.identity->measured = 2;  // seen at step 5, not at step 4
  };
  Training training(config, source, objective);
  EXPECT_EQ(error_of([&] { fit(training, team, {look}); }),
            "step 5: ratio must be 1, and is 2, 1 off; the bound is 0");
  EXPECT_EQ(training.step, 4);
  EXPECT_EQ(asked, (std::vector<int64_t>{1, 3}));
}

TEST(Fit, EveryRankStopsWhereOneFindsAnIdentityBroken) {
  std::vector<std::string> errors(2);
  Threads(2).run([&](Team& team) {
    TinySource source;
    TinyObjective objective;
    if (team.rank() == 1) objective.identity = Identity{"equal", 1, 2, 0};
    errors[static_cast<std::size_t>(team.rank())] =
        error_of([&] { fit(tiny_config(2), source, objective, team, {}); });
  });
  EXPECT_EQ(errors[0], errors[1]);
  EXPECT_NE(errors[1].find("equal must be 2"), std::string::npos) << errors[1];
}

TEST(Fit, RefusesWhatItCannotTrain) {
  TinySource source;
  Alone team;
  TinyObjective none(std::vector<at::ScalarType>{});
  EXPECT_EQ(error_of([&] { Training(tiny_config(1), source, none); }), "there is no parameter to train");
  TinyObjective twice;
  twice.weights.push_back(twice.weights[0]);
  EXPECT_EQ(error_of([&] { Training(tiny_config(1), source, twice); }),
            "two trained parameters have the name model.w_Double");
  TinyObjective frozen;
  frozen.weights[0].value = at::zeros({kWidth, 1}, at::kDouble);
  EXPECT_EQ(error_of([&] { Training(tiny_config(1), source, frozen); }),
            "parameter model.w_Double wants to be a leaf with gradient");
  TinyObjective fine;
  FitConfig config = tiny_config(1);
  config.schedule.lr_scheduler_type = "cosin";
  EXPECT_NE(error_of([&] { Training(config, source, fine); }).find("not \"cosin\"; did you mean cosine?"),
            std::string::npos);
  EXPECT_EQ(error_of([&] { fit(tiny_config(0), source, fine, team, {}); }), "fit wants steps >= 1, not 0");
}

TEST(Fit, IterationsHoldTheLearningRateAndSaveAtTheirEnds) {
  TinySource source;
  TinyObjective objective;
  FitConfig config = tiny_config(12);
  config.iteration = 4;
  config.save_every = 2;
  config.schedule = {.lr_scheduler_type = "linear", .warmup_steps = 0, .warmup_ratio = 0};
  Alone team;
  std::vector<double> rates;
  std::vector<int64_t> saved;
  fit(config, source, objective, team, {[&](StepEvent& event) {
        rates.push_back(event.metrics.at("learning_rate") / 0.01);
        if (event.save) saved.push_back(event.step);
        EXPECT_EQ(event.boundary, event.step % 4 == 0);
      }});
  for (std::size_t i = 0; i < rates.size(); ++i)
    EXPECT_NEAR(rates[i], 1 - static_cast<double>(i / 4) / 3, 1e-12);
  EXPECT_EQ(saved, (std::vector<int64_t>{4, 8, 12}));
}

TEST(Fit, AHookMakesAnEarlierStepTheLastAndInsideAnIterationThatOfIt) {
  for (const int64_t iteration : {1, 4}) {
    for (const bool pause : {false, true}) {
      TinySource source;
      TinyObjective objective;
      FitConfig config = tiny_config(12);
      config.iteration = iteration;
      Alone team;
      std::vector<int64_t> done, complete, saved;
      const FitResult result = fit(config, source, objective, team,
                                   {[&](StepEvent& event) {
                                      if (event.step == 6) event.stop = true;
                                      if (pause && event.step == 7) event.pause = true;
                                    },
                                    every(100, [&](StepEvent& event) { complete.push_back(event.step); }),
                                    [&](StepEvent& event) {
                                      done.push_back(event.step);
                                      if (event.saved()) saved.push_back(event.step);
                                    }});
      const int64_t last = iteration == 1 ? 6 : 8;
      const bool paused = pause && iteration > 1;
      EXPECT_EQ(result.step, last);
      EXPECT_EQ(result.paused, paused);
      EXPECT_EQ(done.back(), last);
      EXPECT_EQ(saved, std::vector<int64_t>{last});
      EXPECT_EQ(complete, paused ? std::vector<int64_t>{} : std::vector<int64_t>{last});
    }
  }
}

TEST(Fit, AHookThatSavesInsideAnIterationIsHeardAtItsEndAndThereAlone) {
  TinySource source;
  TinyObjective objective;
  FitConfig config = tiny_config(12);
  config.iteration = 4;
  Alone team;
  std::vector<int64_t> saved;
  fit(config, source, objective, team,
      {[](StepEvent& event) { event.save |= event.step == 2; },
       [&](StepEvent& event) {
         if (event.saved()) saved.push_back(event.step);
       }});
  EXPECT_EQ(saved, (std::vector<int64_t>{4, 12}));
}

TEST(Fit, AHookKnowsOfAStopThatOneBeforeItAsksForAndOfNoLaterOne) {
  TinySource source;
  TinyObjective objective;
  Alone team;
  std::vector<int64_t> before, behind;
  fit(tiny_config(12), source, objective, team,
      {every(4, [&](StepEvent& event) { before.push_back(event.step); }),
       [](StepEvent& event) { event.stop |= event.step == 6; },
       every(4, [&](StepEvent& event) { behind.push_back(event.step); })});
  EXPECT_EQ(before, std::vector<int64_t>{4});
  EXPECT_EQ(behind, (std::vector<int64_t>{4, 6}));
}

TEST(Fit, EpochsBecomeSteps) {
  FitConfig config;
  config.epochs = 2;
  config.resolve_steps(100, 16);
  EXPECT_EQ(config.steps, 13);  // 200 records, 16 a step
  config.resolve_steps(1, 1);
  EXPECT_EQ(config.steps, 13);
}

TEST(Precision, GradientsOfBfloat16AddUpInFp32) {
  Tensor weight = at::zeros({2}, at::kBFloat16);
  weight.requires_grad_(true);
  Gradients gradients({{"w", weight, 1}});
  gradients.clear();
  for (int i = 0; i < 1000; ++i) weight.sum().backward();
  EXPECT_EQ(gradients.sums().at(0).scalar_type(), at::kFloat);
  EXPECT_EQ(gradients.sums().at(0)[0].item<float>(), 1000);  // bf16 would stall at 256
  EXPECT_FALSE(weight.grad().defined());
}

TEST(Precision, SmallUpdatesOfBfloat16AreNotLost) {
  Tensor weight = at::ones({4, 4}, at::kBFloat16);
  weight.requires_grad_(true);
  AdamWConfig config;
  AdamW optimizer(config, {{"w", weight, 1}});
  const auto version = weight._version();
  const std::vector<Tensor> gradient = {at::ones({4, 4}, at::kFloat)};
  for (int i = 0; i < 100; ++i) optimizer.update(gradient, 1e-4, 1);
  // A constant gradient moves Adam by the learning rate a step; half a unit of bf16 below 1 is 2e-3.
  const Tensor master = optimizer.state().at("master.w");
  EXPECT_NEAR(master[0][0].item<float>(), 0.99, 1e-5);
  EXPECT_TRUE(at::equal(weight.detach(), master.to(at::kBFloat16)));
  EXPECT_LT(weight.detach()[0][0].item<float>(), 1);
  EXPECT_EQ(weight._version(), version + 100);  // packed copies must be made again
}

TEST(Precision, NormDoesNotDependOnThreads) {
  Tensor weight = at::zeros({1 << 18}, at::kFloat);
  weight.requires_grad_(true);
  Gradients gradients({{"w", weight, 1}});
  gradients.clear();
  const Tensor x = at::arange(1 << 18, at::kFloat).sin();
  (weight * x).sum().backward();
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = gradients.norm();
  at::set_num_threads(2);
  EXPECT_EQ(gradients.norm(), one);
  at::set_num_threads(before);
  const double expected = x.to(at::kDouble).pow(2).sum().sqrt().item<double>();
  EXPECT_NEAR(one, expected, 1e-12 * expected);
}

}  // namespace
}  // namespace prefer::testing
