// Drawing and scoring tokens over kernels/sample and kernels/token_logprob.
#include "prefer/ops/sample.hpp"

#include "kernels/sample/sample.hpp"
#include "kernels/token_logprob/token_logprob.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {

Tensor sample_tokens(const Tensor& logits, const Tensor& uniform, const SampleOptions& options) {
  if (logits.dim() != 2 || uniform.dim() != 1 || uniform.size(0) != logits.size(0) ||
      uniform.scalar_type() != at::kDouble) {
    fail("sample_tokens wants [M, V] and double [M], not ", logits.sizes(), " and ", uniform.sizes(), " ",
         uniform.scalar_type());
  }
  const Tensor rows = logits.contiguous();
  const Tensor token = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
  const Tensor logp = at::empty({rows.size(0)}, rows.options().dtype(ops::wide_type(rows.scalar_type())));
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
    args.token = static_cast<int64_t*>(token.mutable_data_ptr());
    args.logp = Target::write_wide(logp);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, sample, forward, args);
  });
  return token;
}

Tensor token_logprob(const Tensor& logits, const Tensor& label, double temperature) {
  if (logits.dim() != 2 || label.dim() != 1 || label.size(0) != logits.size(0) ||
      label.scalar_type() != at::kLong) {
    fail("token_logprob wants [M, V] and int64 [M], not ", logits.sizes(), " and ", label.sizes(), " ",
         label.scalar_type());
  }
  if (!(temperature > 0)) fail("token_logprob wants a temperature > 0, not ", temperature);
  const Tensor rows = logits.contiguous();
  const Tensor logp = at::empty({rows.size(0)}, rows.options().dtype(ops::wide_type(rows.scalar_type())));
  const Tensor lse = at::empty_like(logp);
  ops::with_target("token_logprob", {rows, label}, [&](auto target) {
    using Target = decltype(target);
    kernels::token_logprob::Forward<typename Target::Element> args;
    args.logits = Target::read(rows);
    args.label = Target::indices(label);
    args.rows = rows.size(0);
    args.vocab = rows.size(1);
    args.stride = rows.stride(0);
    args.inv_temperature = static_cast<typename Target::Wide>(1 / temperature);
    args.logp = Target::write_wide(logp);
    args.lse = Target::write_wide(lse);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, token_logprob, forward, args);
  });
  return logp;
}

}  // namespace prefer
