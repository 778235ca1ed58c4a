// SwiGLU as a differentiable op over kernels/swiglu.
#include "prefer/ops/swiglu.hpp"

#include "kernels/swiglu/swiglu.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

Tensor forward(const Tensor& gate_up) {
  const int64_t width = gate_up.size(1) / 2;
  Tensor h = at::empty({gate_up.size(0), width}, gate_up.options());
  ops::with_target("swiglu", {gate_up}, [&](auto target) {
    using Target = decltype(target);
    kernels::swiglu::Forward<typename Target::Element> args;
    args.gate = Target::read(gate_up);
    args.up = args.gate + width;
    args.rows = gate_up.size(0);
    args.width = width;
    args.gate_stride = args.up_stride = 2 * width;
    args.h = Target::write(h);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, swiglu, forward, args);
  });
  return h;
}

Tensor backward(const Tensor& gate_up, const Tensor& dh) {
  const int64_t width = gate_up.size(1) / 2;
  Tensor gradient = at::empty_like(gate_up);
  ops::with_target("swiglu", {gate_up, dh}, [&](auto target) {
    using Target = decltype(target);
    kernels::swiglu::Backward<typename Target::Element> args;
    args.gate = Target::read(gate_up);
    args.up = args.gate + width;
    args.rows = gate_up.size(0);
    args.width = width;
    args.gate_stride = args.up_stride = 2 * width;
    args.dh = Target::read(dh);
    args.dgate = Target::write(gradient);
    args.dup = args.dgate + width;
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, swiglu, backward, args);
  });
  return gradient;
}

}  // namespace

Tensor swiglu(const Tensor& gate_up) {
  if (gate_up.dim() != 2 || gate_up.size(1) % 2 != 0) fail("swiglu wants [M, 2I], not ", gate_up.sizes());
  const Tensor kept = gate_up.detach().contiguous();
  const Tensor h = forward(kept);
  differentiable("swiglu", {h}, {gate_up}, [kept](const auto& gradients, const auto&) {
    return std::vector<Tensor>{backward(kept, gradients[0].contiguous())};
  });
  return h;
}

}  // namespace prefer
