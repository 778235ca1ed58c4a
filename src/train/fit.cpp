// The loop of every trainer.
#include "prefer/train/fit.hpp"

#include "prefer/core/error.hpp"
#include "prefer/train/team_metrics.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace prefer {
namespace {

double system_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Minor page faults of the process so far: memory that the kernel had to hand out.
int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// "records 3, 17"; of many the first.
std::string records_of(const Slot& slot) {
  constexpr std::size_t shown = 8;
  std::string text = "records";
  for (std::size_t i = 0; i < std::min(slot.records.size(), shown); ++i)
    text += (i > 0 ? ", " : " ") + std::to_string(slot.records[i]);
  return slot.records.size() > shown ? text + ", ..." : text;
}

/// What the slots of a step add up to, beside their gradient.
struct Sums {
  double loss = 0;         ///< once finish() has read it
  std::string not_finite;  ///< records of this rank's first slot whose loss is not finite
  Metrics metrics;
  std::map<std::string, Identity> identities;  ///< the one that is furthest off, of each name

  void add(const Slot& slot, const Loss& part, const Tensor& divided) {
    slots_.push_back(&slot);
    losses_.push_back(divided.detach().to(at::kDouble).reshape({1}));
    metrics.merge(part.metrics);
    for (const Identity& identity : part.identities) {
      const auto [at, is_new] = identities.try_emplace(identity.name, identity);
      if (!is_new && !(gap(identity) <= gap(at->second))) at->second = identity;
    }
  }
  /// Adds up over slots and ranks, with the gradients. Only now are losses read: a GPU is not waited for
  /// before.
  void finish(std::vector<Tensor> gradients, Team& team) {
    Tensor sum = at::zeros({1}, gradients.front().options().dtype(at::kDouble));
    for (const Tensor& value : losses_) sum = sum + value;
    gradients.push_back(sum);
    team.reduce(gradients);
    loss = gradients.back().item<double>();
    for (std::size_t i = 0; i < slots_.size() && !std::isfinite(loss) && not_finite.empty(); ++i) {
      if (!std::isfinite(losses_[i].item<double>())) not_finite = records_of(*slots_[i]);
    }
    metrics = merged(metrics, team);
  }
  static double gap(const Identity& identity) { return std::abs(identity.measured - identity.expected); }

 private:
  std::vector<const Slot*> slots_;  // of the plan of the step
  std::vector<Tensor> losses_;      // [1] each
};

void check_identities(const Sums& sums, Team& team) {
  std::string broken;
  for (const auto& [name, identity] : sums.identities) {
    if (broken.empty() && !(Sums::gap(identity) <= identity.bound)) {
      std::ostringstream out;
      out.precision(9);
      out << "step 1: " << name << " must be " << identity.expected << ", and is " << identity.measured
          << ", " << Sums::gap(identity) << " off; the bound is " << identity.bound;
      broken = out.str();
    }
  }
  if (team.any(!broken.empty()))
    fail(broken.empty() ? "step 1: an identity does not hold on another rank" : broken);
}

/// The gradient of the step, summed over slots and ranks, in training.gradients; what else adds up is
/// returned.
Sums backward(Training& training, int64_t step, const Plan& plan, Team& team) {
  const Counts total = training.objective.count(plan);
  const NamedTensors prepared = training.objective.prepare(plan, training.source, team);
  training.gradients.clear();
  Sums sums;
  for (const int64_t mine : team.mine(tokens_of(plan.slots))) {
    const Loss loss = training.objective(training.source.batch(step, plan.slots[mine]), prepared);
    const Tensor divided = loss.divided_by(total);
    divided.backward();
    sums.add(plan.slots[mine], loss, divided);
  }
  sums.finish(training.gradients.sums(), team);
  return sums;
}

/// Lets the guard judge, and updates where it allows it. Returns why not, and adds what was done to the
/// metrics.
std::string update(Training& training, int64_t step, const Sums& sums, Team& team, StepEvent& event) {
  const FitConfig& config = training.config;
  const double norm = training.gradients.norm();
  const std::string bad =
      training.guard.judge(step, {sums.loss, sums.not_finite, norm}, training.gradients, team);
  const int64_t iteration = ceiling(step, config.iteration);
  const double rate = config.optimizer.learning_rate *
                      config.schedule.factor(iteration, ceiling(config.steps, config.iteration));
  if (bad.empty()) {
    training.optimizer.update(training.gradients.sums(), rate, training.optimizer.clipping(norm));
    training.objective.passed(step);
  }
  event.metrics = sums.metrics.values();
  event.metrics["loss"] = sums.loss;
  event.metrics["grad_norm"] = norm;
  event.metrics["learning_rate"] = rate;
  if (training.guard.skipped() > 0)
    event.metrics["skipped_steps"] = static_cast<double>(training.guard.skipped());
  return bad;
}

bool due(const FitConfig& config, int64_t step) {
  if (step == config.steps) return true;
  return step % config.iteration == 0 && config.save_every > 0 && step % config.save_every == 0;
}

}  // namespace

void FitConfig::describe(Fields& f) {
  f("steps", steps, "optimizer steps; 0 = as many as `epochs` take", at_least(0));
  f("epochs", epochs, "passes over the records, where `steps` is 0", positive() & within(0, 1e6));
  f.group("optimizer", optimizer);
  f.group("schedule", schedule);
  f.group("guard", guard);
}

void FitConfig::resolve_steps(int64_t records, int64_t batch_size) {
  if (steps == 0)
    steps = static_cast<int64_t>(
        std::ceil(epochs * static_cast<double>(records) / static_cast<double>(batch_size)));
}

FitResult fit(Training& training, Team& team, const Hooks& hooks) {
  FitConfig& config = training.config;
  if (config.steps < 1) fail("fit wants steps >= 1, not ", config.steps);
  if (!config.clock) config.clock = system_time;
  bool stop = false;
  for (int64_t step = training.step + 1; step <= config.steps && !stop; ++step) {
    const double begin = config.clock();
    const int64_t faults = page_faults();
    StepEvent event{.step = step, .steps = config.steps};
    const Plan plan = training.source.plan(step);
    const Sums sums = backward(training, step, plan, team);
    if (step == 1) check_identities(sums, team);
    event.skipped = update(training, step, sums, team, event);
    training.step = step;

    if (step == 1) {
      for (const auto& [_, identity] : sums.identities) event.identities.push_back(identity);
    }
    for (const Slot& slot : plan.slots) event.tokens += slot.tokens;
    event.now = config.clock();
    event.seconds = event.now - begin;
    event.page_faults = page_faults() - faults;
    event.boundary = step % config.iteration == 0 || step == config.steps;
    event.save = due(config, step);
    for (const Hook& hook : hooks) hook(event);
    stop = event.stop;
  }
  return {training.step, training.guard.skipped(), stop && training.step < config.steps};
}

FitResult fit(const FitConfig& config, Source& source, Objective& objective, Team& team, const Hooks& hooks) {
  Training training(config, source, objective);
  return fit(training, team, hooks);
}

}  // namespace prefer
