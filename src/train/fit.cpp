// The loop of every trainer.
#include "prefer/train/fit.hpp"

#include "prefer/core/error.hpp"
#include "prefer/train/parts.hpp"

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
  double forward = 0;      ///< Unix time when the first batch of a slot was there; 0 without one
  std::string not_finite;  ///< records of the first slot whose loss is not finite
  Metrics metrics;
  std::map<std::string, Identity> identities;  ///< of this rank: the one that is furthest off, of each name

  void add(int64_t slot, const Loss& part, const Tensor& divided) {
    losses_[slot] = divided.detach();
    metrics_[slot] = part.metrics;
    for (const Identity& identity : part.identities) {
      const auto [at, is_new] = identities.try_emplace(identity.name, identity);
      const bool further = !(gap(identity) <= gap(at->second));  // NaN is the furthest
      if (!is_new && further && !std::isnan(gap(at->second))) at->second = identity;
    }
  }
  /// Adds up over slots and ranks. Only now are losses read: a GPU is not waited for before.
  void finish(const Plan& plan, Team& team) {
    const auto slots = static_cast<int64_t>(plan.slots.size());
    const Tensor losses = gathered(losses_, slots, 1, team);  // [slots, 1]
    for (int64_t i = 0; i < slots; ++i) {
      const double part = losses[i].item<double>();
      if (!std::isfinite(part) && not_finite.empty()) not_finite = records_of(plan.slots[i]);
      loss += part;
    }
    metrics = merged(metrics_, slots, team);
  }
  static double gap(const Identity& identity) { return std::abs(identity.measured - identity.expected); }

 private:
  std::map<int64_t, Tensor> losses_;  // by the slot's place in the plan, [] each
  std::map<int64_t, Metrics> metrics_;
};

/// Those that must hold where nothing was learnt in the step's iteration: where nothing was learnt before
/// (`first`) all, otherwise those of every iteration.
std::vector<Identity> check_identities(const Sums& sums, int64_t step, bool first, Team& team) {
  std::string broken;
  std::vector<Identity> checked;
  for (const auto& [name, identity] : sums.identities) {
    if (!first && !identity.every_iteration) continue;
    checked.push_back(identity);
    if (broken.empty() && !(Sums::gap(identity) <= identity.bound)) {
      std::ostringstream out;
      out.precision(9);
      out << "step " << step << ": " << name << " must be " << identity.expected << ", and is "
          << identity.measured << ", " << Sums::gap(identity) << " off; the bound is " << identity.bound;
      broken = out.str();
    }
  }
  broken = team.agree(broken);
  if (!broken.empty()) fail(broken);
  return checked;
}

/// The gradient of the step, summed over slots and ranks, in training.gradients; what else adds up is
/// returned.
Sums backward(Training& training, int64_t step, const Plan& plan, Team& team) {
  const Counts total = training.objective.count(plan);
  const NamedTensors prepared = training.objective.prepare(plan, training.source, team);
  const std::vector<int64_t> mine = team.mine(tokens_of(plan.slots));
  training.gradients.clear(static_cast<int64_t>(plan.slots.size()));
  Sums sums;
  double forward = 0;
  do {
    sums = {};
    for (const int64_t slot : mine) {
      const Batch batch = training.source.batch(step, plan.slots[slot]);
      if (forward == 0) forward = training.config.clock();
      const Loss loss = training.objective(batch, prepared);
      const Tensor divided = loss.divided_by(total);
      if (slot == mine.back()) training.gradients.last(team);
      divided.backward();
      sums.add(slot, loss, divided);
    }
  } while (!training.gradients.reduce(team));
  sums.forward = forward;
  sums.finish(plan, team);
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
    training.gradients.passed();
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
  f("steps", steps, "optimizer steps; 0 = as many as `epochs` take", within(0, kMostSteps));
  f("epochs", epochs, "passes over the records, where `steps` is 0", positive() & within(0, 1e6));
  describe_update(f);
}

void FitConfig::describe_update(Fields& f) {
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
  bool last = false, save = false, stop = false, pause = false;
  bool learnt = false;  // whether a step of the iteration has changed a weight
  for (int64_t step = training.step + 1; step <= config.steps && !last; ++step) {
    const double begin = config.clock();
    const int64_t faults = page_faults();
    StepEvent event{.step = step, .steps = config.steps, .iteration = config.iteration};
    team.doing("step " + std::to_string(step));
    const Plan plan = training.source.plan(step);
    const Sums sums = backward(training, step, plan, team);
    const bool first = training.guard.skipped() == step - 1;  // no step before it changed a weight
    learnt = learnt && (step - 1) % config.iteration != 0;
    if (!learnt && sums.not_finite.empty())  // else the guard's
      event.identities = check_identities(sums, step, first, team);
    event.skipped = update(training, step, sums, team, event);
    learnt = learnt || event.skipped.empty();
    training.step = step;

    for (const Slot& slot : plan.slots) event.tokens += slot.tokens;
    event.now = config.clock();
    event.seconds = event.now - begin;
    if (sums.forward > 0) event.times["batch_seconds"] = sums.forward - begin;
    event.page_faults = page_faults() - faults;
    event.boundary = step % config.iteration == 0 || step == config.steps;
    event.save = save || due(config, step);
    event.stop = stop;
    event.pause = pause;
    for (const Hook& hook : hooks) hook(event);
    save = event.save && !event.boundary;
    stop = event.stop;
    pause = event.pause;
    last = event.last();
  }
  return {training.step, training.guard.skipped(), pause && training.step < config.steps};
}

FitResult fit(const FitConfig& config, Source& source, Objective& objective, Team& team, const Hooks& hooks) {
  Training training(config, source, objective);
  return fit(training, team, hooks);
}

}  // namespace prefer
