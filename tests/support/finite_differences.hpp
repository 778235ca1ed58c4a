// Compares gradients in f64 with central differences of the function itself.
#pragma once

#include "prefer/tensor.hpp"

#include <ATen/CPUGeneratorImpl.h>

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace prefer::testing {

/// (f(x + h) - f(x - h)) / 2h for every element of `x`, contiguous doubles that `f`, a scalar, reads: x is
/// changed in place while this runs, and put back.
inline Tensor finite_differences(const std::function<Tensor()>& f, const Tensor& x, double h = 1e-5) {
  const at::NoGradGuard no_grad;
  const Tensor slope = at::empty_like(x);
  double* value = static_cast<double*>(x.mutable_data_ptr());
  const auto at = [&](double there, int64_t i) {
    value[i] = there;
    x.unsafeGetTensorImpl()->bump_version();
    return f().item<double>();
  };
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double was = value[i];
    const double up = at(was + h, i), down = at(was - h, i);
    at(was, i);
    static_cast<double*>(slope.mutable_data_ptr())[i] = (up - down) / (2 * h);
  }
  return slope;
}

using ScalarFunction = std::function<Tensor(const std::vector<Tensor>&)>;

/// Gradients of `f` at copies of `inputs` (double) against finite differences; `tolerance` is relative to the
/// largest difference of the input, or to 1.
inline void expect_gradient(const ScalarFunction& f, std::vector<Tensor> inputs, double tolerance = 1e-7) {
  for (Tensor& input : inputs) input = input.detach().clone().requires_grad_();
  f(inputs).backward();
  for (size_t n = 0; n < inputs.size(); ++n) {
    const Tensor given = inputs[n].grad().defined() ? inputs[n].grad() : at::zeros_like(inputs[n]);
    const Tensor found = finite_differences([&] { return f(inputs); }, inputs[n].detach());
    const double scale = std::max(1.0, found.abs().max().item<double>());
    EXPECT_LE((given - found).abs().max().item<double>(), tolerance * scale) << "input " << n;
  }
}

/// Standard normals that are the same on every machine.
inline Tensor normal(at::IntArrayRef shape, uint64_t seed, at::ScalarType type = at::kDouble) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::TensorOptions(at::kDouble))
      .to(type);
}

}  // namespace prefer::testing
