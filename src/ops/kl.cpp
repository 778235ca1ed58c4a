// kl_divergence as a differentiable op over kernels/kl.
#include "prefer/ops/kl.hpp"

#include "kernels/kl/kl.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

struct Rows {
  Tensor policy, reference;              // [M, V]
  Tensor kl, policy_lse, reference_lse;  // [M]
  double temperature = 1;
};

template <class Args, class Target>
Args arguments(const Rows& rows, Target target) {
  Args args;
  args.policy = Target::read(rows.policy);
  args.reference = Target::read(rows.reference);
  args.rows = rows.policy.size(0);
  args.vocab = rows.policy.size(1);
  args.policy_stride = rows.policy.stride(0);
  args.reference_stride = rows.reference.stride(0);
  args.inv_temperature = static_cast<typename Target::Wide>(1 / rows.temperature);
  args.kl = Target::write_wide(rows.kl);
  args.policy_lse = Target::write_wide(rows.policy_lse);
  args.reference_lse = Target::write_wide(rows.reference_lse);
  args.stream = ops::stream_of(target.device);
  return args;
}

Tensor backward(const Rows& rows, const Tensor& upstream) {
  const Tensor gradient = at::empty_like(rows.policy);
  ops::with_target("kl_divergence", {rows.policy, rows.reference, upstream}, [&](auto target) {
    using Target = decltype(target);
    auto args = arguments<kernels::kl::Backward<typename Target::Element>>(rows, target);
    args.grad_kl = Target::read_wide(upstream);
    args.grad = Target::write(gradient);
    args.grad_stride = gradient.stride(0);
    PREFER_RUN_TWIN(target, kl, backward, args);
  });
  return gradient;
}

}  // namespace

Tensor kl_divergence(const Tensor& policy, const Tensor& reference, double temperature) {
  if (policy.dim() != 2 || reference.sizes() != policy.sizes() ||
      reference.scalar_type() != policy.scalar_type()) {
    fail("kl_divergence wants [M, V] and [M, V] of one type, not ", policy.scalar_type(), " ", policy.sizes(),
         " and ", reference.scalar_type(), " ", reference.sizes());
  }
  if (!(temperature > 0)) fail("kl_divergence wants a temperature > 0, not ", temperature);
  const auto wide = policy.options().dtype(ops::wide_type(policy.scalar_type())).requires_grad(false);
  const auto column = [&] { return at::empty({policy.size(0)}, wide); };
  Rows rows{policy.detach().contiguous(),
            reference.detach().contiguous(),
            column(),
            column(),
            column(),
            temperature};
  ops::with_target("kl_divergence", {rows.policy, rows.reference}, [&](auto target) {
    using Target = decltype(target);
    const auto args = arguments<kernels::kl::Forward<typename Target::Element>>(rows, target);
    PREFER_RUN_TWIN(target, kl, forward, args);
  });
  const Tensor kl = rows.kl;
  if (!wants_gradient({policy})) return kl;
  rows.kl = kl.clone();  // an output must not be held by its own gradient
  differentiable("kl_divergence", {kl}, {policy}, [rows](const auto& gradients, const auto&) {
    return std::vector<Tensor>{backward(rows, gradients[0].contiguous())};
  });
  return kl;
}

}  // namespace prefer
