// The arguments of kernels/kl from tensors.
#include "src/ops/kl_rows.hpp"

#include "kernels/kl/kl.hpp"
#include "src/ops/dispatch.hpp"

#include <algorithm>

namespace prefer::ops {
namespace {

void pass(const TwoLogits& logits, const KlRows& values, const KlRows& upstream) {
  with_target("linear_logprob", {logits.ours, logits.theirs, logits.label}, [&](auto target) {
    using Target = decltype(target);
    kernels::kl::Divergence<typename Target::Element> args;
    args.policy = Target::read(logits.ours), args.reference = Target::read(logits.theirs);
    args.rows = logits.ours.size(0);
    args.vocab = std::min(logits.ours.size(1), logits.theirs.size(1));
    args.policy_stride = logits.ours.stride(0), args.reference_stride = logits.theirs.stride(0);
    args.inv_temperature = static_cast<typename Target::Wide>(1 / logits.temperature);
    if (logits.label.defined()) args.label = Target::indices(logits.label);
    args.kl = Target::write_wide(values.kl);
    args.k1 = Target::write_wide(values.k1);
    args.k2 = Target::write_wide(values.k2);
    args.k3 = Target::write_wide(values.k3);
    args.grad_kl = Target::read_wide(upstream.kl);
    args.grad_k1 = Target::read_wide(upstream.k1);
    args.grad_k2 = Target::read_wide(upstream.k2);
    args.grad_k3 = Target::read_wide(upstream.k3);
    if (upstream.any()) args.grad = Target::write(logits.ours), args.grad_stride = args.policy_stride;
    args.stream = stream_of(target.device);
    PREFER_RUN_TWIN(target, kl, forward, args);
  });
}

}  // namespace

void read_kl(const TwoLogits& logits, const KlRows& values) { pass(logits, values, {}); }

void write_kl_gradient(const TwoLogits& logits, const KlRows& upstream) {
  pass(logits, {}, upstream);
  const int64_t ours = logits.ours.size(1), both = std::min(ours, logits.theirs.size(1));
  if (both < ours) logits.ours.narrow(1, both, ours - both).zero_();
}

}  // namespace prefer::ops
