// Every op on the GPU against the same op on the CPU: results and gradients, in fp32 and bf16.
#include "cuda_model/device.hpp"
#include "prefer/core/random.hpp"
#include "prefer/ops/attention.hpp"
#include "prefer/ops/differentiable.hpp"
#include "prefer/ops/embedding.hpp"
#include "prefer/ops/linear_logprob.hpp"
#include "prefer/ops/norm.hpp"
#include "prefer/ops/rope.hpp"
#include "prefer/ops/sample.hpp"
#include "prefer/ops/swiglu.hpp"
#include "support/finite_differences.hpp"

namespace prefer {
namespace {

using testing::expect_near;
using testing::kGpu;
using testing::normal;
using Tensors = std::vector<Tensor>;

/// An op with its constants: inputs in, outputs out, on the device of the inputs.
struct Case {
  const char* name;
  Tensors inputs;  // double, on the CPU
  std::function<Tensors(const Tensors&)> op;
};

struct Outcome {
  Tensors outputs, gradients;
};

/// Outputs, and the gradients of a sum that weighs every element differently.
Outcome run(const Case& c, at::Device device, at::ScalarType type) {
  Tensors inputs;
  for (const Tensor& input : c.inputs) inputs.push_back(input.to(device, type).requires_grad_());
  Outcome outcome{c.op(inputs), {}};
  Tensor loss = at::zeros({}, at::TensorOptions(at::kDouble).device(device));
  for (size_t i = 0; i < outcome.outputs.size(); ++i) {
    const Tensor& y = outcome.outputs[i];
    loss = loss + (y.to(at::kDouble) * normal(y.sizes(), 77 + i).to(device)).sum();
  }
  loss.backward();
  for (const Tensor& input : inputs) outcome.gradients.push_back(input.grad());
  return outcome;
}

Tensor ids(const std::vector<int64_t>& values, const Tensor& like) {
  return tensor_of(values, at::kLong).to(like.device());
}

std::vector<int64_t> some(int64_t count, int64_t below) {
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i) result.push_back((i * 7919 + 3) % below);
  return result;
}

RopeTable table(int64_t dim, const Tensor& like) {
  return make_rope_table({.dim = dim}, 64, like.scalar_type(), like.device());
}

/// A prompt of 40 tokens with two continuations.
AttentionRuns forest() {
  using Spans = std::vector<kernels::attention::Span>;
  AttentionRuns runs;
  runs.add(0, 40, 0, Spans{{0, 40}});
  runs.add(40, 20, 40, Spans{{0, 40}, {40, 20}});
  runs.add(60, 7, 40, Spans{{0, 40}, {60, 7}});
  return runs;
}

Case attention_case(const char* name, int64_t dim, int64_t window) {
  return {name,
          {normal({67, 6, dim}, 1), normal({67, 2, dim}, 2), normal({67, 2, dim}, 3)},
          [window](const Tensors& x) {
            return Tensors{attention(x[0], x[1], x[2], forest(), {.window = window})};
          }};
}

Case logprob_case(const char* name, const LogprobOptions& options, bool frozen_head) {
  return {name, {normal({9, 48}, 1), normal({1031, 48}, 2) * 0.3}, [=](const Tensors& x) {
            const Matrix head(frozen_head ? x[1].detach() : x[1]);
            const Logprobs got = linear_logprob(x[0], head, ids(some(9, 1031), x[0]), options);
            return options.entropy ? Tensors{got.logp, got.entropy} : Tensors{got.logp};
          }};
}

Case second_model_case(const char* name, const LogprobOptions& options, bool frozen_head) {
  return {
      name, {normal({9, 48}, 1), normal({1031, 48}, 2) * 0.3}, [=](const Tensors& x) {
        const auto here = [&](const Tensor& t) { return t.to(x[0].device(), x[0].scalar_type()); };
        const Matrix head(frozen_head ? x[1].detach() : x[1]);
        const SecondModel second{here(normal({9, 40}, 3)), Matrix(here(normal({1029, 40}, 4) * 0.3)), true};
        const Logprobs got = linear_logprob(x[0], head, ids(some(9, 1029), x[0]), options, second);
        return Tensors{got.logp, got.kl, got.k1, got.k2};
      }};
}

std::vector<Case> cases() {
  const Tensor rows = normal({67, 96}, 1), gain = normal({96}, 2) + 1;
  return {
      {"linear",
       {rows, normal({80, 96}, 2), normal({80}, 3)},
       [](const Tensors& x) { return Tensors{linear(x[0], Matrix(x[1]), x[2])}; }},
      {"stacked_linear",
       {rows, normal({80, 96}, 2), normal({33, 96}, 3)},
       [](const Tensors& x) {
         return Tensors{linear(x[0], Matrix({x[1], x[2]}))};
       }},
      {"rms_norm", {rows, gain}, [](const Tensors& x) { return Tensors{rms_norm(x[0], x[1], 1e-5)}; }},
      {"rms_norm_of_rows_apart",
       {normal({67, 131}, 1), gain},
       [](const Tensors& x) { return Tensors{rms_norm(x[0].narrow(1, 3, 96), x[1], 1e-5)}; }},
      {"add_rms_norm",
       {rows, normal({67, 96}, 4), gain},
       [](const Tensors& x) {
         const auto [sum, normed] = add_rms_norm(x[0], x[1], x[2], 1e-5);
         return Tensors{sum, normed};
       }},
      {"swiglu", {rows}, [](const Tensors& x) { return Tensors{swiglu(x[0])}; }},
      {"rope",
       {normal({67, 3, 64}, 1)},
       [](const Tensors& x) { return Tensors{rope(x[0], ids(some(67, 64), x[0]), table(64, x[0]))}; }},
      {"split_rope",
       {normal({67, 8 * 32}, 1)},
       [](const Tensors& x) {
         const QueryKeyValue qkv = split_rope(x[0], 4, 2, ids(some(67, 64), x[0]), table(32, x[0]));
         return Tensors{qkv.query, qkv.key, qkv.value};
       }},
      attention_case("attention_16", 16, 0),
      attention_case("attention_64_window", 64, 11),
      attention_case("attention_128", 128, 0),
      attention_case("attention_256", 256, 0),
      {"embed",
       {normal({50, 96}, 1)},
       [](const Tensors& x) { return Tensors{embed(x[0], ids(some(67, 50), x[0]))}; }},
      logprob_case("linear_logprob", {}, false),
      logprob_case("linear_logprob_entropy", {.temperature = 0.7, .entropy = true}, false),
      logprob_case("linear_logprob_in_chunks", {.temperature = 1.3, .entropy = true, .logits_bytes = 9000},
                   false),
      logprob_case("linear_logprob_frozen_head_in_chunks", {.logits_bytes = 9000}, true),
      second_model_case("linear_logprob_second_model", {.temperature = 0.7}, false),
      second_model_case("linear_logprob_second_model_in_chunks", {.logits_bytes = 18000}, false),
      second_model_case("linear_logprob_second_model_frozen_head", {.logits_bytes = 18000}, true),
      {"checkpointed",
       {rows, normal({80, 96}, 2)},
       [](const Tensors& x) {
         const Matrix w(x[1]);
         return checkpointed([w](const Tensors& in) { return Tensors{at::tanh(linear(in[0], w))}; }, {x[0]},
                             {x[1]});
       }},
  };
}

class CudaOp : public ::testing::TestWithParam<Case> {};

TEST_P(CudaOp, IsTheCpus) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    SCOPED_TRACE(c10::toString(type));
    const Outcome wanted = run(GetParam(), at::kCPU, type), found = run(GetParam(), kGpu, type);
    const double tolerance = testing::op_tolerance(type);
    for (size_t i = 0; i < wanted.outputs.size(); ++i)
      expect_near(found.outputs[i], wanted.outputs[i], tolerance, "output " + std::to_string(i));
    for (size_t i = 0; i < wanted.gradients.size(); ++i)
      expect_near(found.gradients[i], wanted.gradients[i], tolerance, "gradient " + std::to_string(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaOp, ::testing::ValuesIn(cases()),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(CudaOps, DrawsAndScoresAreTheCpus) {
  const Tensor logits = normal({64, 1031}, 1, at::kFloat) * 3;
  std::vector<double> numbers;
  for (uint64_t i = 0; i < 64; ++i) numbers.push_back(uniform({.seed = 5, .record = i}));
  const Tensor drawn = tensor_of(numbers, at::kDouble);
  for (const SampleOptions& options :
       {SampleOptions{}, SampleOptions{.temperature = 0},
        SampleOptions{.temperature = 0.7, .top_p = 0.8, .top_k = 40, .tempered = true}}) {
    SampleOptions with = options;
    with.entropy = true;
    const Drawn wanted = sample_tokens(logits, drawn, with);
    const Drawn found = sample_tokens(logits.to(kGpu), drawn.to(kGpu), with);
    EXPECT_TRUE(at::equal(found.token.to(at::kCPU), wanted.token));
    expect_near(found.logp, wanted.logp, 2e-5, "logp");
    expect_near(found.entropy, wanted.entropy, 2e-5, "entropy");
  }
}

// A look at the ids would wait for the device: the guard finds what such a row makes of the loss.
TEST(CudaOps, AnIdOutsideTheTableGivesNaNAndTouchesNothing) {
  const Tensor weights = normal({5, 3}, 1, at::kFloat).to(kGpu).requires_grad_();
  const Tensor rows = embed(weights, tensor_of(std::vector<int64_t>{4, 5, -1, 0}, at::kLong).to(kGpu));
  const Tensor nans = at::isfinite(rows.detach()).logical_not().sum(1).to(at::kCPU);
  EXPECT_TRUE(at::equal(nans, tensor_of(std::vector<int64_t>{0, 3, 3, 0}, at::kLong)));
  rows.sum().backward();
  EXPECT_EQ(weights.grad().sum().item<double>(), 12);
}

}  // namespace
}  // namespace prefer
