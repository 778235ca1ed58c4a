// Flattens parameter groups, and takes gradients out of autograd into sums of full precision.
#include "prefer/train/trained.hpp"

#include "prefer/core/error.hpp"

#include <ATen/ops/linalg_vector_norm.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>

namespace prefer {
namespace {

constexpr int64_t kPiece = 1 << 16;  // elements whose squares one thread adds up

void check(const std::string& name, const Tensor& value) {
  const at::ScalarType type = value.scalar_type();
  if (type != at::kFloat && type != at::kBFloat16 && type != at::kDouble) {
    fail("parameter ", name, " is ", c10::toString(type), "; trained are Float, BFloat16 and Double");
  }
  if (!value.is_leaf() || !value.requires_grad())
    fail("parameter ", name, " wants to be a leaf with gradient");
  if (!value.is_contiguous()) fail("parameter ", name, " is not contiguous");
}

template <class T>
double squares(const T* values, int64_t size) {
  double lane[8] = {};
  int64_t i = 0;
  for (; i + 8 <= size; i += 8) {
    for (int64_t k = 0; k < 8; ++k) lane[k] += static_cast<double>(values[i + k]) * values[i + k];
  }
  for (; i < size; ++i) lane[0] += static_cast<double>(values[i]) * values[i];
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

template <class T>
double sum_of_squares(const Tensor& tensor) {
  const T* values = tensor.const_data_ptr<T>();
  const int64_t size = tensor.numel();
  std::vector<double> pieces((size + kPiece - 1) / kPiece);
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      pieces[p] = squares(values + p * kPiece, std::min(kPiece, size - p * kPiece));
    }
  });
  double sum = 0;
  for (const double piece : pieces) sum += piece;
  return sum;
}

/// Of each tensor; a GPU is waited for once.
std::vector<double> sums_of_squares(const std::vector<Tensor>& tensors) {
  std::vector<double> sums;
  if (tensors.front().is_cpu()) {
    for (const Tensor& t : tensors)
      sums.push_back(t.scalar_type() == at::kDouble ? sum_of_squares<double>(t) : sum_of_squares<float>(t));
    return sums;
  }
  std::vector<Tensor> norms;
  for (const Tensor& t : tensors)
    norms.push_back(at::linalg_vector_norm(t, 2, std::nullopt, false, at::kDouble));
  const Tensor read = at::stack(norms).to(at::kCPU);
  const double* norm = read.const_data_ptr<double>();
  for (std::size_t i = 0; i < tensors.size(); ++i) sums.push_back(norm[i] * norm[i]);
  return sums;
}

}  // namespace

std::vector<Trained> trained_parameters(const std::vector<ParameterGroup>& groups) {
  std::vector<Trained> result;
  std::set<std::string> names;
  for (const ParameterGroup& group : groups) {
    for (const Parameter& parameter : group.parameters) {
      const std::string name = group.name.empty() ? parameter.name : group.name + "." + parameter.name;
      check(name, parameter.value);
      if (!names.insert(name).second) fail("two trained parameters have the name ", name);
      result.push_back({name, parameter.value, group.learning_rate_scale});
    }
  }
  if (result.empty()) fail("there is no parameter to train");
  return result;
}

class Gradients::Collect final : public torch::autograd::PostAccumulateGradHook {
 public:
  Collect(Gradients& gradients, std::size_t index) : gradients_(gradients), index_(index) {}

  void operator()(const Tensor& parameter) override {
    const c10::NoGradGuard no_grad;
    Tensor& sum = gradients_.sums_[index_];
    if (gradients_.empty_[index_]) {
      sum.copy_(parameter.grad());
    } else {
      sum.add_(parameter.grad());
    }
    gradients_.empty_[index_] = false;
    parameter.mutable_grad() = Tensor();
  }

 private:
  Gradients& gradients_;
  std::size_t index_;
};

Gradients::Gradients(std::vector<Trained> parameters)
    : parameters_(std::move(parameters)), empty_(parameters_.size(), true) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].value;
    const at::ScalarType type = value.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    sums_.push_back(at::empty(value.sizes(), value.options().dtype(type).requires_grad(false)));
    torch::autograd::impl::set_post_acc_grad_hooks(value, std::make_unique<Collect>(*this, i));
  }
}

Gradients::~Gradients() {
  for (const Trained& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter.value, nullptr);
  }
}

void Gradients::clear() { empty_.assign(empty_.size(), true); }

std::vector<Tensor>& Gradients::sums() {
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (empty_[i]) sums_[i].zero_();
    empty_[i] = false;
  }
  return sums_;
}

double Gradients::norm() {
  const std::vector<double> squares = sums_of_squares(sums());
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

std::string Gradients::first_not_finite() {
  for (std::size_t i = 0; i < sums().size(); ++i) {
    if (!std::isfinite((sums_[i] * 0).sum().item<double>()))
      return parameters_[i].name;  // squares may overflow
  }
  return "";
}

std::string Gradients::largest() {
  const std::vector<double> squares = sums_of_squares(sums());
  return parameters_[static_cast<std::size_t>(std::ranges::max_element(squares) - squares.begin())].name;
}

}  // namespace prefer
