// Drawing and scoring tokens over kernels/sample.
#include "prefer/ops/sample.hpp"

#include "kernels/sample/sample.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {

Drawn sample_tokens(const Tensor& logits, const Tensor& uniform, const SampleOptions& options) {
  if (logits.dim() != 2 || uniform.dim() != 1 || uniform.size(0) != logits.size(0) ||
      uniform.scalar_type() != at::kDouble) {
    fail("sample_tokens wants [M, V] and double [M], not ", logits.sizes(), " and ", uniform.sizes(), " ",
         uniform.scalar_type());
  }
  if (options.tempered && !(options.temperature > 0))
    fail("sample_tokens wants a temperature > 0 for tempered log-probs, not ", options.temperature);
  const Tensor rows = logits.contiguous();
  const auto wide = rows.options().dtype(ops::wide_type(rows.scalar_type()));
  Drawn drawn{
      at::empty({rows.size(0)}, rows.options().dtype(at::kLong)), at::empty({rows.size(0)}, wide), {}};
  if (options.entropy) drawn.entropy = at::empty({rows.size(0)}, wide);
  ops::with_target("sample_tokens", {rows, uniform}, [&](auto target) {
    using Target = decltype(target);
    kernels::sample::Forward<typename Target::Element> args;
    args.logits = Target::read(rows);
    args.rows = rows.size(0);
    args.vocab = rows.size(1);
    args.stride = rows.stride(0);
    args.uniform = static_cast<const double*>(uniform.const_data_ptr());
    args.temperature = options.temperature;
    args.top_k = options.top_k;
    args.top_p = options.top_p;
    args.token = static_cast<int64_t*>(drawn.token.mutable_data_ptr());
    if (options.tempered) args.inv_temperature = static_cast<typename Target::Wide>(1 / options.temperature);
    args.logp = Target::write_wide(drawn.logp);
    if (options.entropy) args.entropy = Target::write_wide(drawn.entropy);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, sample, forward, args);
  });
  return drawn;
}

}  // namespace prefer
