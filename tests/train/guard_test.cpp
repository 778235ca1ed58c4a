// The guard: nothing that is not finite, and no spike, changes anything.
#include "support/error.hpp"
#include "tests/train/tiny.hpp"

#include <limits>

namespace prefer::testing {
namespace {

constexpr double kBad[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()};

struct Guarded {
  explicit Guarded(FitConfig config) : training(std::move(config), source, objective) {}
  TinySource source;
  TinyObjective objective{{at::kDouble, at::kFloat, at::kBFloat16}};
  Training training;
  Alone team;
};

FitConfig guarded(const std::string& on_bad, double spike = 0) {
  FitConfig config = tiny_config(40);
  config.schedule = {.lr_scheduler_type = "constant", .warmup_steps = 0, .warmup_ratio = 0};
  config.guard = {.on_bad = on_bad, .spike = spike, .window = 16, .max_skips = 2};
  return config;
}

TEST(Guard, StopsAtALossThatIsNotFiniteWithEverythingAsItWas) {
  for (const double bad : kBad) {
    Guarded run(guarded("stop"));
    run.training.config.steps = 3;
    fit(run.training, run.team, {});
    const NamedTensors before = copied(run.training.state());
    run.training.config.steps = 6;
    run.objective.spoil = [bad](Tensor& loss) { loss = loss * bad; };
    const std::string error = error_of([&] { fit(run.training, run.team, {}); });
    EXPECT_EQ(error.rfind("step 4: the loss is ", 0), 0U) << error;
    EXPECT_TRUE(same_bits(run.training.state(), before));
    EXPECT_EQ(run.training.step, 3);
  }
}

TEST(Guard, NamesTheParameterWhoseGradientIsNotFinite) {
  Guarded run(guarded("stop"));
  const NamedTensors before = copied(run.training.state());
  run.objective.spoil = [&](Tensor& loss) {  // the square root's slope at 0 is infinite, times 0
    loss = loss + (run.objective.weights.at(1).value * 0).sqrt().sum();
  };
  const std::string error = error_of([&] { fit(run.training, run.team, {}); });
  EXPECT_EQ(error.rfind("step 1: the gradient of model.w_Float is not finite", 0), 0U) << error;
  EXPECT_TRUE(same_bits(run.training.state(), before));
}

TEST(Guard, SkippedStepsChangeNothingAndAreCounted) {
  Guarded run(guarded("skip"));
  run.training.config.steps = 6;
  int calls = 0;
  run.objective.spoil = [&](Tensor& loss) {
    if (++calls == 4)
      loss = loss * std::numeric_limits<double>::quiet_NaN();  // first slot of the second step
  };
  NamedTensors before;
  const FitResult result = fit(run.training, run.team, {[&](StepEvent& event) {
                                 if (event.step == 1) before = copied(run.training.weights());
                                 EXPECT_EQ(event.skipped.empty(), event.step != 2);
                                 EXPECT_EQ(event.metrics.contains("skipped_steps"), event.step >= 2);
                                 if (event.step == 2) {
                                   EXPECT_TRUE(same_bits(run.training.weights(), before));
                                 }
                                 if (event.step == 3) {
                                   EXPECT_FALSE(same_bits(run.training.weights(), before));
                                 }
                               }});
  EXPECT_EQ(result.skipped, 1);
  EXPECT_EQ(run.objective.passed_steps.item<int64_t>(), 5);
}

TEST(Guard, TooManySkipsStopTheRun) {
  Guarded run(guarded("skip"));
  run.objective.spoil = [](Tensor& loss) { loss = loss * std::numeric_limits<double>::infinity(); };
  const std::string error = error_of([&] { fit(run.training, run.team, {}); });
  EXPECT_NE(error.find("step 3: the loss is inf, and 2 of the last 16 steps were skipped already"),
            std::string::npos)
      << error;
}

TEST(Guard, SkipsASpikeButNotItsNeighbours) {
  Guarded run(guarded("skip", 10));
  int64_t step = 0;
  std::vector<int64_t> skipped;
  run.objective.spoil = [&](Tensor& loss) {
    if (step + 1 == 25) loss = loss * 1e4;
  };
  fit(run.training, run.team, {[&](StepEvent& event) {
        step = event.step;
        if (!event.skipped.empty()) {
          skipped.push_back(event.step);
          EXPECT_NE(event.skipped.find("is a spike"), std::string::npos);
        }
      }});
  EXPECT_EQ(skipped, (std::vector<int64_t>{25}));
}

TEST(Guard, EveryRankSkipsWhatOneFoundBad) {
  std::vector<NamedTensors> weights(3);
  std::vector<int64_t> skipped(3);
  Threads(3).run([&](Team& team) {
    Guarded run(guarded("skip"));
    run.training.config.steps = 5;
    int calls = 0;
    run.objective.spoil = [&](Tensor& loss) {
      if (team.rank() == 2 && ++calls == 2) loss = loss * std::numeric_limits<double>::quiet_NaN();
    };
    const auto rank = static_cast<std::size_t>(team.rank());
    skipped[rank] = fit(run.training, team, {}).skipped;
    weights[rank] = copied(run.training.weights());
  });
  EXPECT_EQ(skipped, (std::vector<int64_t>{1, 1, 1}));
  for (const NamedTensors& rank : weights) EXPECT_TRUE(same_bits(rank, weights[0]));
}

}  // namespace
}  // namespace prefer::testing
