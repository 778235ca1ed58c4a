// What the twins of adamw share: the checks, the step's factors, and an element's work (CUDA, and its tests).
#pragma once

#include "kernels/adamw/adamw.hpp"
#include "kernels/check.hpp"

#include <cmath>

namespace prefer::kernels::adamw {

template <class T>
void check(const Step<T>& a) {
  require(a.size >= 0, "adamw wants size >= 0", "size", a.size);
  require(a.size == 0 || (a.param && a.grad && a.m && a.v), "adamw wants param, grad, m and v", "param",
          a.param, "grad", a.grad, "m", a.m, "v", a.v);
  require(a.beta1 >= 0 && a.beta1 < 1 && a.beta2 >= 0 && a.beta2 < 1, "adamw wants betas in [0, 1)", "beta1",
          a.beta1, "beta2", a.beta2);
  require(a.step >= 1, "adamw wants a step of at least 1", "step", a.step);
  require(a.eps >= 0 && a.weight_decay >= 0, "adamw wants eps and weight_decay >= 0", "eps", a.eps,
          "weight_decay", a.weight_decay);
}

/// What the formula has of the step alone, computed in double and rounded once.
struct Factors {
  float grad_scale, blend1, beta2, blend2, root_correction, eps, step_size, decay;
};

template <class T>
Factors factors(const Step<T>& a) {
  const double t = static_cast<double>(a.step);
  const auto single = [](double x) { return static_cast<float>(x); };
  return {single(a.grad_scale),
          single(1 - a.beta1),
          single(a.beta2),
          single(1 - a.beta2),
          single(1 / std::sqrt(1 - std::pow(a.beta2, t))),
          single(a.eps),
          single(a.learning_rate / (1 - std::pow(a.beta1, t))),
          single(1 - a.learning_rate * a.weight_decay)};
}

PREFER_HOST_DEVICE void update_element(const Step<float>& a, const Factors& f, std::int64_t i) {
  const float g = a.grad[i] * f.grad_scale;
  const float m = a.m[i] + (g - a.m[i]) * f.blend1;
  const float v = f.beta2 * a.v[i] + f.blend2 * (g * g);
  const float p = f.decay * a.param[i] - f.step_size * (m / (std::sqrt(v) * f.root_correction + f.eps));
  a.param[i] = p;
  a.m[i] = m;
  a.v[i] = v;
  if (a.copy) a.copy[i] = narrow_bf16(p);
}

}  // namespace prefer::kernels::adamw
