// RMSNorm as a differentiable op over kernels/norm.
#include "prefer/ops/norm.hpp"

#include "kernels/norm/norm.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

struct Normed {
  Tensor sum;   // [M, D], or undefined without a residual
  Tensor y;     // [M, D]
  Tensor rstd;  // [M]
};

void check(const Tensor& x, const Tensor& residual, const Tensor& weight) {
  if (x.dim() != 2 || weight.dim() != 1 || weight.size(0) != x.size(1) ||
      x.scalar_type() != weight.scalar_type()) {
    fail("rms_norm wants [M, D] and [D] of one type, not ", x.sizes(), " ", x.scalar_type(), " and ",
         weight.sizes(), " ", weight.scalar_type());
  }
  if (residual.defined() && (residual.sizes() != x.sizes() || residual.scalar_type() != x.scalar_type())) {
    fail("add_rms_norm wants two [M, D] of one type, not ", x.sizes(), " and ", residual.sizes());
  }
}

Normed forward(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  const at::NoGradGuard no_grad;
  const Tensor gain = weight.contiguous();
  Normed result;
  result.y = at::empty(x.sizes(), x.options());
  result.rstd = at::empty({x.size(0)}, x.options().dtype(ops::wide_type(x.scalar_type())));
  if (residual.defined()) result.sum = at::empty(x.sizes(), x.options());
  ops::with_target("rms_norm", {x, residual, gain}, [&](auto target) {
    using Target = decltype(target);
    kernels::norm::Forward<typename Target::Element> args;
    args.x = Target::read(x);
    args.residual = Target::read(residual);
    args.weight = Target::read(gain);
    args.rows = x.size(0);
    args.width = x.size(1);
    args.x_stride = x.stride(0);
    args.eps = eps;
    args.sum = Target::write(result.sum);
    args.y = Target::write(result.y);
    args.rstd = Target::write_wide(result.rstd);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, norm, forward, args);
  });
  return result;
}

// {gradient of what was normalised, gradient of the weight where it is wanted}
std::pair<Tensor, Tensor> backward(const Tensor& x, const Tensor& weight, const Tensor& rstd,
                                   const Tensor& dy, const Tensor& dsum, bool weight_wanted) {
  const Tensor gain = weight.contiguous();
  Tensor dx = at::empty(x.sizes(), x.options());
  Tensor dweight;
  if (weight_wanted) dweight = at::empty({x.size(1)}, rstd.options());
  ops::with_target("rms_norm", {x, gain, dy, dsum}, [&](auto target) {
    using Target = decltype(target);
    kernels::norm::Backward<typename Target::Element> args;
    args.x = Target::read(x);
    args.weight = Target::read(gain);
    args.rstd = Target::read_wide(rstd);
    args.dy = Target::read(dy);
    args.dsum = Target::read(dsum);
    args.rows = x.size(0);
    args.width = x.size(1);
    args.x_stride = x.stride(0);
    args.dx = Target::write(dx);
    args.dweight = Target::write_wide(dweight);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, norm, backward, args);
  });
  if (dweight.defined()) dweight = dweight.to(weight.scalar_type());
  return {dx, dweight};
}

Tensor or_zeros(const Tensor& gradient, const Tensor& like) {
  return gradient.defined() ? gradient.contiguous() : at::zeros_like(like, at::MemoryFormat::Contiguous);
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  check(x, {}, weight);
  const Tensor rows = x.stride(1) == 1 ? x.detach() : x.detach().contiguous();
  const Normed normed = forward(rows, {}, weight.detach(), eps);
  differentiable("rms_norm", {normed.y}, {x, weight},
                 [rows, w = weight.detach(), rstd = normed.rstd](const auto& gradients, const auto& wanted) {
                   const auto [dx, dweight] =
                       backward(rows, w, rstd, gradients[0].contiguous(), {}, wanted[1]);
                   return std::vector<Tensor>{dx, dweight};
                 });
  return normed.y;
}

std::pair<Tensor, Tensor> add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                       double eps) {
  check(x, residual, weight);
  const Normed normed =
      forward(x.detach().contiguous(), residual.detach().contiguous(), weight.detach(), eps);
  const auto gradient = [sum = normed.sum.detach(), w = weight.detach(), rstd = normed.rstd](
                            const auto& gradients, const auto& wanted) {
    const Tensor dsum = gradients[0].defined() ? gradients[0].contiguous() : Tensor();
    const auto [dx, dweight] = backward(sum, w, rstd, or_zeros(gradients[1], sum), dsum, wanted[2]);
    return std::vector<Tensor>{dx, dx, dweight};
  };
  differentiable("add_rms_norm", {normed.sum, normed.y}, {x, residual, weight}, gradient);
  return {normed.sum, normed.y};
}

}  // namespace prefer
