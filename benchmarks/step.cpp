// Where a DPO step goes: the seconds of each phase, of the matrix products alone, and the products' rate
// beside that of a large square product in the same run. step model=PATH train=PAIRS [dtype=bfloat16]
// [steps=5]
#include "prefer/objectives/logprob.hpp"
#include "prefer/prefer.hpp"
#include "support.hpp"

#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/randn.h>

using namespace prefer;

namespace {

struct Config {
  std::string model, train, dtype = "bfloat16";
  int64_t steps = 5, batch_size = 4, max_length = 512;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", required());
    f("train", train, "pairs", required());
    f("dtype", dtype, "number type of the weights", dtype_rule());
    f("steps", steps, "steps that are timed, after one that is not", at_least(1));
    f("batch_size", batch_size, "pairs a step", at_least(1));
    f("max_length", max_length, "tokens of prompt and completion together", at_least(1));
    process.describe(f);
  }
};

double seconds_of(const std::function<void()>& work) { return benchmark::best_seconds(1, work); }

/// What the steps' tokens, scored tokens and phases add up to, in seconds.
struct Phases {
  int64_t tokens = 0, scored = 0;
  double batch = 0, policy = 0, reference = 0, loss = 0, backward = 0, update = 0;
  double step() const { return batch + policy + reference + loss + backward + update; }
};

/// One step as fit and PreferenceObjective do it, its phases apart.
void run_step(Training& training, const Transformer& policy, const Transformer& reference, int64_t step,
              Phases& sum) {
  const Plan plan = training.source.plan(step);
  training.gradients.clear();
  for (const Slot& slot : plan.slots) {
    Batch batch;
    Tensor logp, frozen, loss;
    sum.batch += seconds_of([&] { batch = training.source.batch(step, slot); });
    sum.policy += seconds_of([&] { logp = token_logp(policy, batch); });
    sum.reference += seconds_of([&] {
      const c10::NoGradGuard no_grad;
      frozen = token_logp(reference, batch);
    });
    sum.loss += seconds_of([&] {
      const Tensor ratio = by_sequence(logp - frozen, batch);  // [S]
      const Tensor sign = (1 - 2 * batch.role).to(at::kDouble);
      loss = -at::log_sigmoid(0.1 * (ratio * sign).view({-1, 2}).sum(1)).mean();
    });
    sum.backward += seconds_of([&] { loss.backward(); });
    sum.tokens += batch.tokens.size(0);
    sum.scored += batch.row.size(0);
  }
  sum.update += seconds_of([&] {
    const double norm = training.gradients.norm();
    training.optimizer.update(training.gradients.sums(), 5e-7, training.optimizer.clipping(norm));
  });
}

/// All products of a model's step on random numbers: forward with and without packing the weights, and for
/// gradients.
class Products {
 public:
  Products(const ModelConfig& c, at::ScalarType dtype) {
    const auto add = [&](int64_t out, int64_t in, int64_t count, bool head = false) {
      for (int64_t i = 0; i < count; ++i) all_.push_back({Matrix(at::randn({out, in}).to(dtype)), head});
    };
    add((c.heads + 2 * c.kv_heads) * c.head_dim, c.hidden_size, c.layers);
    add(c.hidden_size, c.heads * c.head_dim, c.layers);
    add(2 * c.intermediate_size, c.hidden_size, c.layers);
    add(c.hidden_size, c.intermediate_size, c.layers);
    add(c.vocab_size, c.hidden_size, 1, true);
  }

  /// FLOP of one forward over `tokens`, `scored` of which meet the head.
  double flop(int64_t tokens, int64_t scored) const {
    double sum = 0;
    for (const auto& [w, head] : all_)
      sum += 2.0 * static_cast<double>((head ? scored : tokens) * w.rows() * w.columns());
    return sum;
  }
  double forward(int64_t tokens, int64_t scored) const {
    return each(tokens, scored,
                [](const Matrix& w, const Tensor& x, const Tensor&) { times_transposed(x, w); });
  }
  double backward(int64_t tokens, int64_t scored) const {
    return each(tokens, scored, [](const Matrix& w, const Tensor& x, const Tensor& dy) {
      times(dy, w);
      transposed_times(dy, x);
    });
  }
  void forget() const {
    for (const auto& [w, _] : all_) w.forget_packed();
  }

 private:
  template <class Work>
  double each(int64_t tokens, int64_t scored, const Work& work) const {
    double sum = 0;
    for (const auto& [w, head] : all_) {
      const int64_t rows = head ? scored : tokens;
      const Tensor x = at::randn({rows, w.columns()}).to(w.dtype()),
                   dy = at::randn({rows, w.rows()}).to(w.dtype());
      sum += seconds_of([&, &w = w] { work(w, x, dy); });
    }
    return sum;
  }
  std::vector<std::pair<Matrix, bool>> all_;  ///< and whether it is the head
};

double square_rate(at::ScalarType dtype) {
  constexpr int64_t kSide = 2048;
  const Matrix w(at::randn({kSide, kSide}).to(dtype));
  const Tensor x = at::randn({kSide, kSide}).to(dtype);
  return 2.0 * kSide * kSide * kSide / benchmark::best_seconds(5, [&] { times_transposed(x, w); });
}

void say(const char* what, double seconds, double step) {
  std::printf("%-40s %8.1f ms %5.1f %%\n", what, seconds * 1e3, 100 * seconds / step);
}

void report(const Phases& sum, const ModelConfig& model, const Config& config) {
  const auto steps = static_cast<double>(config.steps);
  const double step = sum.step() / steps;
  const int64_t tokens = sum.tokens / config.steps, scored = sum.scored / config.steps;
  std::printf("a step of %lld tokens, %lld scored\n", static_cast<long long>(tokens),
              static_cast<long long>(scored));
  say("policy forward", sum.policy / steps, step);
  say("reference forward", sum.reference / steps, step);
  say("backward", sum.backward / steps, step);
  say("gradient norm and update", sum.update / steps, step);
  say("batch and loss", (sum.batch + sum.loss) / steps, step);
  say("step", step, step);

  const at::ScalarType dtype = dtype_from_name(config.dtype);
  const Products products(model, dtype);
  products.forward(tokens, scored), products.backward(tokens, scored);  // generates code, finds forms out
  products.forget();
  const double packing = products.forward(tokens, scored) + products.backward(tokens, scored);
  const double forward = products.forward(tokens, scored), backward = products.backward(tokens, scored);
  const double flop = products.flop(tokens, scored), rate = 4 * flop / (2 * forward + backward),
               square = square_rate(dtype);
  std::printf("of these, measured alone on random numbers:\n");
  say("products of policy and reference", 2 * forward, step);
  say("products for gradients", backward, step);
  say("packing the policy's weights", packing - forward - backward, step);
  std::printf(
      "products: %.0f GFLOP/s, %.0f %% of the %.0f of a product of 2048 x 2048 matrices; the whole step: "
      "%.0f %%\n",
      rate / 1e9, 100 * rate / square, square / 1e9, 100 * 4 * flop / step / square);
}

void time_steps(const Config& config) {
  Process process(config.process);
  const SpanBuilder spans(load_tokenizer(config.model));
  const PreferenceData data =
      load_preferences(process.fs(), config.train, spans, {.max_length = config.max_length}, OnBad::skip);
  RecordSource source(std::make_shared<const std::vector<Record>>(as_dataset(data).records),
                      {.batch_size = config.batch_size, .shuffle = false}, process.device());
  const auto policy = load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
  const auto reference = policy->frozen();
  policy->train();
  PreferenceObjective objective(policy, PreferenceLoss(), {reference, true, 0});
  FitConfig fit;
  fit.steps = config.steps;
  Training training(fit, source, objective);
  std::printf("%s on %s\n", config.dtype.c_str(), process.description().c_str());
  Phases warm, sum;
  run_step(training, *policy, *reference, 1, warm);
  for (int64_t step = 2; step <= config.steps + 1; ++step) run_step(training, *policy, *reference, step, sum);
  report(sum, policy->config(), config);
}

}  // namespace

int main(int argc, char** argv) { return run_program<Config>(argc, argv, time_steps); }
