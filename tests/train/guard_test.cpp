// The guard: nothing that is not finite, and no spike, changes anything.
#include "support/error.hpp"
#include "tests/train/tiny.hpp"

#include <cmath>
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

/// "records 3, 17, 5": those of the first slot of a step.
std::string first_records(TinySource& source, int64_t step) {
  std::string text;
  const Plan plan = source.plan(step);
  for (const int64_t record : plan.slots.at(0).records)
    text += (text.empty() ? "records " : ", ") + std::to_string(record);
  return text;
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
    EXPECT_NE(error.find(", from " + first_records(run.source, 4) + " on;"), std::string::npos) << error;
    EXPECT_TRUE(same_bits(run.training.state(), before));
    EXPECT_EQ(run.training.step, 3);
  }
}

/// Adds 0 to a loss, whose slope in one element of `weight` is +-infinity or not a number.
Tensor spoiled(const Tensor& loss, const Tensor& weight, double bad) {
  const Tensor element = weight.flatten()[1];
  if (std::isnan(bad)) return loss + (element * 0).sqrt();  // 0 times an infinite slope
  const Tensor root = (element - element.detach()).sqrt();
  return bad > 0 ? loss + root : loss - root;
}

TEST(Guard, OneBadElementOfOneGradientChangesNothingAndItsParameterIsNamed) {
  for (const double bad : kBad) {
    for (std::size_t i = 0; i < 3; ++i) {
      for (const char* on_bad : {"stop", "skip"}) {
        Guarded run(guarded(on_bad));
        run.training.config.steps = 2;
        fit(run.training, run.team, {});
        const NamedTensors before = copied(run.training.state());
        run.training.config.steps = 3;
        const Parameter& parameter = run.objective.weights[i];
        run.objective.spoil = [&](Tensor& loss) { loss = spoiled(loss, parameter.value, bad); };
        std::string said;
        const std::string error =
            error_of([&] { fit(run.training, run.team, {[&](StepEvent& event) { said = event.skipped; }}); });
        const std::string expected = "the gradient of model." + parameter.name + " is not finite";
        EXPECT_EQ(error.empty() ? said : error,
                  error.empty()
                      ? expected
                      : "step 3: " + expected + "; no weight was changed (guard.on_bad=skip goes on)");
        EXPECT_EQ(run.training.guard.skipped(), error.empty() ? 1 : 0);
        NamedTensors after = copied(run.training.state());
        for (const char* counted : {"guard.skips", "guard.skipped"}) after[counted] = before.at(counted);
        EXPECT_TRUE(same_bits(after, before)) << error << said;
      }
    }
  }
}

TEST(Guard, ANormWhoseSquareOverflowsChangesNothing) {
  FitConfig config = guarded("stop");
  config.optimizer.max_grad_norm = 0;  // the second moment would be infinite for good
  Guarded run(config);
  const NamedTensors before = copied(run.training.state());
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    const Parameter& parameter = run.objective.weights[i];
    run.objective.spoil = [&](Tensor& loss) {
      loss = loss + ((parameter.value - parameter.value.detach()) * 1e20).sum().to(at::kDouble);
    };
    const std::string error = error_of([&] { fit(run.training, run.team, {}); });
    EXPECT_EQ(error.rfind("step 1: the gradient norm ", 0), 0U) << error;
    EXPECT_NE(error.find(" overflows: float32 does not hold its square; the largest part is that of model." +
                         parameter.name + ";"),
              std::string::npos)
        << error;
    EXPECT_TRUE(same_bits(run.training.state(), before));
  }
  run.objective.spoil = [&](Tensor& loss) {  // of fp64 even the square of the norm may overflow
    const Tensor& weight = run.objective.weights[0].value;
    loss = loss + ((weight - weight.detach()) * 1e200).sum();
  };
  const std::string error = error_of([&] { fit(run.training, run.team, {}); });
  EXPECT_NE(error.find("the gradient norm inf overflows"), std::string::npos) << error;
}

TEST(Guard, EveryRankNamesWhatOneGradientBroke) {
  std::vector<std::string> errors(2);
  Threads(2).run([&](Team& team) {
    Guarded run(guarded("stop"));
    const NamedTensors before = copied(run.training.state());
    run.objective.spoil = [&](Tensor& loss) {
      if (team.rank() == 1) loss = spoiled(loss, run.objective.weights[2].value, kBad[1]);
    };
    errors[static_cast<std::size_t>(team.rank())] = error_of([&] { fit(run.training, team, {}); });
    EXPECT_TRUE(same_bits(run.training.state(), before));
  });
  EXPECT_EQ(errors[0].rfind("step 1: the gradient of model.w_BFloat16 is not finite", 0), 0U) << errors[0];
  EXPECT_EQ(errors[1], errors[0]);
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
  EXPECT_EQ(error.rfind("step 3: the loss is inf, from records ", 0), 0U) << error;
  EXPECT_NE(error.find(" on, and 2 of the last 16 steps were skipped already"), std::string::npos) << error;
}

TEST(Guard, SpeaksWhereTheLossIsNotFiniteAndTheIdentityIsAskedForAtTheFirstStepThatIsNotSkipped) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (const double then : {0.693, 0.8}) {
    for (const char* on_bad : {"stop", "skip"}) {
      Guarded run(guarded(on_bad));
      run.training.config.steps = 4;
      run.objective.identity = Identity{"loss is ln 2", kNaN, 0.693, 1e-3};
      int calls = 0;
      run.objective.spoil = [&](Tensor& loss) {
        if (++calls <= 3) loss = loss * kNaN;  // the slots of the first step
        run.objective.identity->measured = calls <= 3 ? kNaN : then;
      };
      std::vector<int64_t> skipped, asked;
      const std::string error = error_of([&] {
        fit(run.training, run.team, {[&](StepEvent& event) {
              if (!event.skipped.empty()) skipped.push_back(event.step);
              if (!event.identities.empty()) asked.push_back(event.step);
            }});
      });
      if (on_bad == std::string("stop")) {
        EXPECT_EQ(error.rfind("step 1: the loss is ", 0), 0U) << error;
        EXPECT_NE(error.find(", from " + first_records(run.source, 1) + " on;"), std::string::npos) << error;
        continue;
      }
      EXPECT_EQ(skipped, std::vector<int64_t>{1});
      EXPECT_EQ(asked, then == 0.8 ? std::vector<int64_t>{} : std::vector<int64_t>{2});
      EXPECT_EQ(error.rfind("step 2: loss is ln 2 must be 0.693, and is 0.8", 0) == 0, then == 0.8) << error;
    }
  }
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
