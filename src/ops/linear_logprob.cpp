// linear_logprob: products with the head in chunks of rows, and kernels/token_logprob over each chunk's
// logits.
#include "prefer/ops/linear_logprob.hpp"

#include "kernels/token_logprob/token_logprob.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

struct Rows {
  Tensor label;    // [m]
  Tensor logp;     // [m]
  Tensor lse;      // [m]
  Tensor entropy;  // [m], or undefined

  Rows part(int64_t begin, int64_t count) const {
    const auto cut = [&](const Tensor& t) { return t.defined() ? t.narrow(0, begin, count) : Tensor(); };
    return {cut(label), cut(logp), cut(lse), cut(entropy)};
  }
};

void read_rows(const Tensor& logits, const Rows& rows, double temperature) {
  ops::with_target("linear_logprob", {logits, rows.label}, [&](auto target) {
    using Target = decltype(target);
    kernels::token_logprob::Forward<typename Target::Element> args;
    args.logits = Target::read(logits);
    args.label = Target::indices(rows.label);
    args.rows = logits.size(0);
    args.vocab = logits.size(1);
    args.stride = logits.stride(0);
    args.inv_temperature = static_cast<typename Target::Wide>(1 / temperature);
    args.logp = Target::write_wide(rows.logp);
    args.lse = Target::write_wide(rows.lse);
    args.entropy = Target::write_wide(rows.entropy);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, token_logprob, forward, args);
  });
}

// Turns logits into the gradient of sum(dlogp logp + dentropy entropy), in place.
void into_gradient(const Tensor& logits, const Rows& rows, const Tensor& dlogp, const Tensor& dentropy,
                   double temperature) {
  ops::with_target("linear_logprob", {logits, rows.label, dlogp, dentropy}, [&](auto target) {
    using Target = decltype(target);
    kernels::token_logprob::Backward<typename Target::Element> args;
    args.logits = Target::read(logits);
    args.label = Target::indices(rows.label);
    args.rows = logits.size(0);
    args.vocab = logits.size(1);
    args.stride = logits.stride(0);
    args.inv_temperature = static_cast<typename Target::Wide>(1 / temperature);
    args.lse = Target::read_wide(rows.lse);
    args.entropy = Target::read_wide(rows.entropy);
    args.grad_logp = Target::read_wide(dlogp);
    args.grad_entropy = Target::read_wide(dentropy);
    args.grad = Target::write(logits);
    args.grad_stride = logits.stride(0);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, token_logprob, backward, args);
  });
}

// What one call keeps for its gradient.
struct Kept {
  Tensor hidden;  // [M, D]
  Matrix head;
  Rows rows;
  double temperature = 1;
  int64_t chunk = 0;  // rows whose logits are held at once
  Tensor logits;      // [M, V]: one chunk
  Tensor slope;       // [M, D] dlogp/dhidden: a frozen head, many chunks, no entropy
};

void check(const Tensor& hidden, const Matrix& head, const Tensor& label, const LogprobOptions& options) {
  const bool fits = head.defined() && hidden.dim() == 2 && label.dim() == 1 &&
                    label.size(0) == hidden.size(0) && hidden.size(1) == head.columns() &&
                    label.scalar_type() == at::kLong;
  if (!fits) {
    fail("linear_logprob wants [M, D], [V, D] and int64 [M], not ", hidden.sizes(), ", [", head.rows(), ", ",
         head.columns(), "] and ", label.sizes(), " ", label.scalar_type());
  }
  if (!(options.temperature > 0)) fail("linear_logprob wants a temperature > 0, not ", options.temperature);
}

// The first derivative of every row's logp with respect to its hidden state.
Tensor slope_of(const Kept& kept, const Tensor& logits, int64_t begin) {
  const Rows part = kept.rows.part(begin, logits.size(0));
  into_gradient(logits, part, at::ones_like(part.logp), {}, kept.temperature);
  return times(logits, kept.head);
}

void forward(Kept& kept, bool keep_logits, bool keep_slope) {
  for (int64_t begin = 0; begin < kept.hidden.size(0); begin += kept.chunk) {
    const int64_t count = std::min(kept.chunk, kept.hidden.size(0) - begin);
    const Tensor logits = times_transposed(kept.hidden.narrow(0, begin, count), kept.head);  // [m, V]
    read_rows(logits, kept.rows.part(begin, count), kept.temperature);
    if (keep_logits) kept.logits = logits;
    if (keep_slope) kept.slope.narrow(0, begin, count).copy_(slope_of(kept, logits, begin));
  }
}

void add_weight_gradient(Tensor& sum, const Tensor& dlogits, const Tensor& hidden) {
  const Tensor part = transposed_times(dlogits, hidden);  // [V, D]
  if (!sum.defined()) {
    sum = part;
  } else {
    if (sum.scalar_type() == at::kBFloat16) sum = sum.to(at::kFloat);
    sum.add_(part);
  }
}

// {gradient of hidden, gradient of the head}
std::pair<Tensor, Tensor> backward(const Kept& kept, const Tensor& dlogp, const Tensor& dentropy,
                                   bool hidden_wanted, bool head_wanted) {
  if (kept.slope.defined()) {
    return {(kept.slope * dlogp.unsqueeze(1).to(kept.slope.scalar_type())), Tensor()};
  }
  Tensor dhidden, dhead;
  if (hidden_wanted) dhidden = at::empty(kept.hidden.sizes(), kept.hidden.options());
  for (int64_t begin = 0; begin < kept.hidden.size(0); begin += kept.chunk) {
    const int64_t count = std::min(kept.chunk, kept.hidden.size(0) - begin);
    const Tensor hidden = kept.hidden.narrow(0, begin, count);
    const Tensor logits = kept.logits.defined() ? kept.logits : times_transposed(hidden, kept.head);
    const auto cut = [&](const Tensor& t) { return t.defined() ? t.narrow(0, begin, count) : t; };
    into_gradient(logits, kept.rows.part(begin, count), cut(dlogp), cut(dentropy), kept.temperature);
    if (hidden_wanted) dhidden.narrow(0, begin, count).copy_(times(logits, kept.head));
    if (head_wanted) add_weight_gradient(dhead, logits, hidden);
  }
  if (dhead.defined()) dhead = dhead.to(kept.hidden.scalar_type());
  return {dhidden, dhead};
}

}  // namespace

Logprobs linear_logprob(const Tensor& hidden, const Matrix& head, const Tensor& label,
                        const LogprobOptions& options) {
  check(hidden, head, label, options);
  const int64_t row_bytes = head.rows() * static_cast<int64_t>(hidden.element_size());
  const auto wide = hidden.options().dtype(ops::wide_type(hidden.scalar_type())).requires_grad(false);
  const auto column = [&] { return at::empty({hidden.size(0)}, wide); };
  Kept kept{hidden.detach().contiguous(),
            head,
            {label.contiguous(), column(), column(), {}},
            options.temperature,
            std::max<int64_t>(options.logits_bytes / row_bytes, 2),
            {},
            {}};
  if (options.entropy) kept.rows.entropy = column();
  std::vector<Tensor> inputs{hidden};
  inputs.insert(inputs.end(), head.parts().begin(), head.parts().end());
  const bool gradient = wants_gradient(inputs);
  const bool one_chunk = kept.chunk >= hidden.size(0);
  const bool keep_slope = gradient && !one_chunk && !head.trained() && !options.entropy;
  if (keep_slope) kept.slope = at::empty_like(kept.hidden);
  forward(kept, gradient && one_chunk, keep_slope);

  const Logprobs result{kept.rows.logp, kept.rows.entropy};
  if (!gradient) return result;
  if (head.parts().size() != 1)
    fail("linear_logprob trains a head of one weight, and ", head.parts().size(), " are stacked");
  kept.rows.logp = Tensor();  // an output must not be held by its own gradient
  kept.rows.entropy = options.entropy ? kept.rows.entropy.detach() : Tensor();
  std::vector<Tensor> outputs{result.logp};
  if (options.entropy) outputs.push_back(result.entropy);
  differentiable("linear_logprob", outputs, inputs, [kept](const auto& gradients, const auto& wanted) {
    const Tensor dlogp = gradients[0].defined() ? gradients[0].contiguous() : at::zeros_like(kept.rows.lse);
    const Tensor dentropy =
        gradients.size() > 1 && gradients[1].defined() ? gradients[1].contiguous() : Tensor();
    const auto [dhidden, dhead] = backward(kept, dlogp, dentropy, wanted[0], wanted[1]);
    return std::vector<Tensor>{dhidden, dhead};
  });
  return result;
}

}  // namespace prefer
