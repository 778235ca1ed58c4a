// kl_divergence and kl_of_tokens as differentiable ops over kernels/kl.
#include "prefer/ops/kl.hpp"

#include "kernels/kl/kl.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

struct Rows {
  Tensor policy, reference;              // [M, V]
  Tensor kl, policy_lse, reference_lse;  // [M]
  Tensor label;                          // [M] int64, or undefined
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
  if (rows.label.defined()) args.label = Target::indices(rows.label);
  args.stream = ops::stream_of(target.device);
  return args;
}

Tensor backward(const Rows& rows, const Tensor& of_kl, const Tensor& of_logp) {
  const Tensor gradient = at::empty_like(rows.policy);
  ops::with_target("kl", {rows.policy, rows.reference, of_kl, of_logp}, [&](auto target) {
    using Target = decltype(target);
    auto args = arguments<kernels::kl::Backward<typename Target::Element>>(rows, target);
    args.grad_kl = Target::read_wide(of_kl);
    args.grad_policy_logp = Target::read_wide(of_logp);
    args.grad = Target::write(gradient);
    args.grad_stride = gradient.stride(0);
    PREFER_RUN_TWIN(target, kl, backward, args);
  });
  return gradient;
}

/// `label` may be undefined: then there are no log-probabilities.
TokenKl made(const char* name, const Tensor& policy, const Tensor& reference, const Tensor& label,
             double temperature) {
  if (policy.dim() != 2 || reference.sizes() != policy.sizes() ||
      reference.scalar_type() != policy.scalar_type()) {
    fail(name, " wants [M, V] and [M, V] of one type, not ", policy.scalar_type(), " ", policy.sizes(),
         " and ", reference.scalar_type(), " ", reference.sizes());
  }
  if (label.defined() &&
      (label.dim() != 1 || label.size(0) != policy.size(0) || label.scalar_type() != at::kLong))
    fail(name, " wants int64 labels [", policy.size(0), "], not ", label.scalar_type(), " ", label.sizes());
  if (!(temperature > 0)) fail(name, " wants a temperature > 0, not ", temperature);
  const auto wide = policy.options().dtype(ops::wide_type(policy.scalar_type())).requires_grad(false);
  const auto column = [&] { return at::empty({policy.size(0)}, wide); };
  Rows rows{policy.detach().contiguous(),
            reference.detach().contiguous(),
            column(),
            column(),
            column(),
            label.defined() ? label.contiguous() : label,
            temperature};
  TokenKl out{rows.kl, label.defined() ? column() : Tensor(), label.defined() ? column() : Tensor()};
  ops::with_target(name, {rows.policy, rows.reference, rows.label}, [&](auto target) {
    using Target = decltype(target);
    auto args = arguments<kernels::kl::Forward<typename Target::Element>>(rows, target);
    if (rows.label.defined()) {
      args.policy_logp = Target::write_wide(out.policy_logp);
      args.reference_logp = Target::write_wide(out.reference_logp);
    }
    PREFER_RUN_TWIN(target, kl, forward, args);
  });
  if (!wants_gradient({policy})) return out;
  rows.kl = out.kl.clone();  // an output must not be held by its own gradient
  std::vector<Tensor> outputs{out.kl};
  if (label.defined()) outputs.push_back(out.policy_logp);
  differentiable(name, outputs, {policy}, [rows](const auto& gradients, const auto&) {
    const bool has_kl = gradients[0].defined(), has_logp = gradients.size() > 1 && gradients[1].defined();
    const Tensor of_kl = has_kl ? gradients[0].contiguous() : at::zeros_like(rows.kl);
    return std::vector<Tensor>{backward(rows, of_kl, has_logp ? gradients[1].contiguous() : Tensor())};
  });
  return out;
}

}  // namespace

Tensor kl_divergence(const Tensor& policy, const Tensor& reference, double temperature) {
  return made("kl_divergence", policy, reference, {}, temperature).kl;
}

TokenKl kl_of_tokens(const Tensor& policy, const Tensor& reference, const Tensor& label, double temperature) {
  if (!label.defined()) fail("kl_of_tokens wants labels, not an undefined tensor");
  return made("kl_of_tokens", policy, reference, label, temperature);
}

}  // namespace prefer
