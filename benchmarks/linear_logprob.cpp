// linear_logprob on SmolLM2's head: time and peak memory of forward and gradient, all logits in one chunk and
// under the default budget: linear_logprob [rows]. Memory is the process's resident peak, each case in a
// fresh process that has not packed the head yet; gradients are subtracted.
#include "prefer/ops/linear_logprob.hpp"

#include "prefer/trainers/process.hpp"
#include "support.hpp"
#include "tests/support/peak.hpp"

#include <sys/wait.h>
#include <unistd.h>

namespace {

using prefer::Tensor;

constexpr int64_t kVocab = 49152, kWidth = 576;
constexpr int64_t kAll = int64_t{1} << 40;  // a budget that every row fits
constexpr double kMiB = 1 << 20;

/// A head and rows to score, and one pass forward and back over them.
class Problem {
 public:
  Problem(int64_t rows, at::ScalarType type, bool trained)
      : hidden_(at::randn({rows, kWidth}).to(type).requires_grad_()),
        weight_((0.05 * at::randn({kVocab, kWidth})).to(type).requires_grad_(trained)),
        head_(weight_),
        label_(at::arange(rows, at::kLong) * 11 % kVocab) {}

  /// As in a step of training: a trained head has changed since it was packed.
  void pass(int64_t budget) {
    hidden_.mutable_grad() = weight_.mutable_grad() = Tensor();
    if (weight_.requires_grad()) weight_.unsafeGetTensorImpl()->bump_version();
    prefer::linear_logprob(hidden_, head_, label_, {.logits_bytes = budget}).logp.sum().backward();
  }
  double gradient_bytes() const {
    const auto bytes = [](const Tensor& t) {
      return t.grad().defined() ? static_cast<double>(t.grad().nbytes()) : 0;
    };
    return bytes(hidden_) + bytes(weight_);
  }

 private:
  Tensor hidden_, weight_;
  prefer::Matrix head_;
  Tensor label_;
};

/// Calls `work` in a process of its own.
template <class Work>
void in_fresh_process(Work work) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    work();
    std::fflush(stdout);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

void memory(const char* what, int64_t rows, at::ScalarType type, bool trained, int64_t budget) {
  in_fresh_process([&] {
    Problem problem(rows, type, trained);
    const auto peak = static_cast<double>(prefer::testing::peak_beyond([&] { problem.pass(budget); }));
    std::printf("%-44s %8.0f MiB beyond inputs and gradients\n", what,
                (peak - problem.gradient_bytes()) / kMiB);
  });
}

bool times(const char* type_name, int64_t rows, at::ScalarType type, bool trained) {
  Problem problem(rows, type, trained);
  const auto seconds = prefer::benchmark::median_seconds(
      7, {[&] { problem.pass(kAll); }, [&] { problem.pass(prefer::LogprobOptions{}.logits_bytes); }});
  const double whole = seconds[0], cut = seconds[1];
  std::printf("%s, %s: one chunk %.0f ms, under the budget %.0f ms: %.2f of one chunk's speed\n", type_name,
              trained ? "trained head, logits computed again" : "frozen head, nothing computed again",
              1e3 * whole, 1e3 * cut, whole / cut);
  return prefer::benchmark::bar("speed of one chunk's", whole / cut, trained ? 0.7 : 0.9);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 4096;
  const int64_t budget = prefer::LogprobOptions{}.logits_bytes;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const std::string name = c10::toString(type);
    memory((name + " trained head, one chunk").c_str(), rows, type, true, kAll);
    memory((name + " trained head, under the budget").c_str(), rows, type, true, budget);
    memory((name + " frozen head, under the budget").c_str(), rows, type, false, budget);
  }
  const prefer::Process process({});  // its allocator keeps memory, as in every program
  std::printf("logits [%lld, %lld], budget %.0f MiB; %s\n", static_cast<long long>(rows),
              static_cast<long long>(kVocab), static_cast<double>(budget) / kMiB,
              process.description().c_str());
  bool met = true;
  for (const bool trained : {true, false}) {
    met &= times("fp32", rows, at::kFloat, trained);
    met &= times("bf16", rows, at::kBFloat16, trained);
  }
  return met ? 0 : 1;
}
