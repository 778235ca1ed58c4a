// gae over kernels/scan.
#include "prefer/ops/scan.hpp"

#include "kernels/scan/scan.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {

Advantages gae(const Tensor& reward, const Tensor& value, const Tensor& begin, double gamma, double lambda) {
  const bool fits = reward.dim() == 1 && value.sizes() == reward.sizes() &&
                    value.scalar_type() == reward.scalar_type() && begin.dim() == 1 && begin.size(0) >= 1 &&
                    begin.scalar_type() == at::kLong && reward.scalar_type() != at::kBFloat16;
  if (!fits) {
    fail("gae wants float or double [M] and [M] of one type, and int64 [S + 1], not ", reward.scalar_type(),
         " ", reward.sizes(), ", ", value.scalar_type(), " ", value.sizes(), " and ", begin.scalar_type(),
         " ", begin.sizes());
  }
  const Tensor rewards = reward.detach().contiguous(), values = value.detach().contiguous();
  const Advantages result{at::empty_like(rewards), at::empty_like(rewards)};
  if (begin.is_cpu()) {
    const int64_t first = begin[0].item<int64_t>(), end = begin[-1].item<int64_t>();
    if (first != 0 || end != reward.size(0))
      fail("gae wants boundaries from 0 to ", reward.size(0), ", the number of tokens, not from ", first,
           " to ", end);
  }
  ops::with_target("gae", {rewards, values, begin}, [&](auto target) {
    using Target = decltype(target);
    if constexpr (!std::is_same_v<typename Target::Element, kernels::bf16>) {
      kernels::scan::Gae<typename Target::Element> args;
      args.reward = Target::read(rewards);
      args.value = Target::read(values);
      args.begin = Target::indices(begin);
      args.sequences = begin.size(0) - 1;
      args.gamma = gamma;
      args.lambda = lambda;
      args.advantage = Target::write(result.advantage);
      args.returns = Target::write(result.returns);
      args.stream = ops::stream_of(target.device);
      PREFER_RUN_TWIN(target, scan, forward, args);
    }
  });
  return result;
}

}  // namespace prefer
